//! Tree to slug: list → pack → judge → commit.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use slugline_model::limits::Limits;
use slugline_model::name::AppName;
use slugline_model::procfile::ProcessTypes;
use slugline_model::slug::SlugSummary;

use crate::commit::Draft;
use crate::error::Result;
use crate::manifest::Entry;
use crate::pack::{Packed, Packer, Packing};
use crate::series::{self, Series};
use crate::staging::Staging;
use crate::tree::{Listing, Tree, as_path};
use crate::{Store, parallel, pyc};

/// How often progress is told (files).
const STEP: usize = 500;

/// What a slug is to be made with.
#[derive(Debug, Clone, Default)]
pub struct IngestRequest {
    /// The process types that go with it.
    pub process_types: ProcessTypes,
    /// How large it may be.
    pub limits: Limits,
    /// The app whose builds these trees are, one after another. What the last one held and nobody
    /// touched since is not read again. No process may have a file of the tree open.
    pub series: Option<AppName>,
}

/// What an ingest is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The tree is listed.
    Listed {
        /// How many regular files it has.
        files: u64,
    },
    /// A socket, pipe or device, which no slug can hold, was passed over.
    Skipped {
        /// Where, within the tree.
        path: PathBuf,
    },
    /// More files are packed.
    Packed {
        /// So many.
        files: u64,
        /// Of so many.
        of: u64,
    },
}

impl Store {
    /// Makes a slug of a tree. When it returns, the slug survives `kill -9` and power loss; when it
    /// fails or is killed, no part of the slug is visible.
    ///
    /// The tree is taken as hostile: no symbolic link is followed, and nothing outside is read.
    /// `.git` and what lies in `tmp` are left out, as Heroku does.
    pub fn ingest(
        &self,
        tree: &Path,
        request: &IngestRequest,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<SlugSummary> {
        let _lock = self.lock_shared()?;
        let staging = Staging::new(&self.layout)?;
        let tree = Tree::open(tree)?;
        let started = now();
        let listing = tree.list()?;
        for path in &listing.skipped {
            progress(Progress::Skipped { path: as_path(path) });
        }
        let series = request.series.as_ref().map(|app| self.layout.series().join(app.as_str()));
        let last =
            series.as_ref().map(|path| Series::load(path, |id| self.layout.slug(id).exists()));
        let last = last.unwrap_or_default();
        let packed = self.pack(&tree, &listing, &last, staging.path(), progress)?;
        let draft = draft(&listing, &packed, request.process_types.clone());
        draft.judge(&request.limits)?;
        let id = self.commit(&draft, staging.path())?;
        if let Some(path) = series {
            let files = listing.files.iter().zip(packed.iter().flatten()).map(|(file, packed)| {
                let source = pyc::source_of(&file.path).and_then(|path| tree.time_and_size(&path));
                (file, source, *packed)
            });
            // It only saves time: without it the next tree is read whole.
            let _ = series::save(&path, &id, started, files);
        }
        Ok(draft.summary(id))
    }

    fn pack(
        &self,
        tree: &Tree,
        listing: &Listing,
        series: &Series,
        stage: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Option<Packed>>> {
        let of = listing.files.len();
        progress(Progress::Listed { files: of as u64 });
        let sizes = self.packed_sizes()?;
        let packing = Packing { tree, layout: &self.layout, stage, sizes: &sizes, series };
        let (mut packed, mut done) = (vec![None; of], 0);
        parallel::each(
            &listing.files,
            || Packer::new(packing),
            Packer::pack,
            |index, file| {
                packed[index] = Some(file);
                done += 1;
                if done % STEP == 0 || done == of {
                    progress(Progress::Packed { files: done as u64, of: of as u64 });
                }
            },
        )?;
        Ok(packed)
    }
}

/// Nanoseconds since 1970.
fn now() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}

/// What a tree's manifest and commit take.
fn draft(listing: &Listing, packed: &[Option<Packed>], process_types: ProcessTypes) -> Draft {
    let mut draft = Draft::new(process_types);
    let entries = &mut draft.manifest.entries;
    let directories = listing.directories.iter();
    entries.extend(directories.map(|path| (path.clone(), Entry::Directory)));
    let symlinks = listing.symlinks.iter().cloned();
    entries.extend(symlinks.map(|(path, target)| (path, Entry::Symlink { target })));
    for (listed, file) in listing.files.iter().zip(packed) {
        let packed = file.expect("every listed file was packed, or packing failed");
        draft.file(listed.path.clone(), packed);
    }
    draft
}
