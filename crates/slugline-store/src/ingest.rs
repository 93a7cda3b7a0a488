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
use crate::series::{self, Memory, Series};
use crate::staging::Staging;
use crate::tree::{Listing, Tree, as_path};
use crate::weight::is_little;
use crate::{Store, parallel, pyc};

/// How often progress is told (files).
const STEP: usize = 500;

/// When more than this is new it begins to be written to the disk, so that the end need not wait
/// for all of it (bytes).
const SYNCED_AT_ONCE: u64 = 64 << 20;

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
        let lock = self.lock_shared()?;
        let staging = Staging::new(&self.layout)?;
        let ingested = self.ingest_by(&staging, tree, request, progress);
        if ingested.is_err() {
            drop(lock);
            self.take_back(&staging);
        }
        ingested
    }

    fn ingest_by(
        &self,
        staging: &Staging,
        tree: &Path,
        request: &IngestRequest,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<SlugSummary> {
        let tree = Tree::open(tree)?;
        let started = now();
        let series = request.series.as_ref().map(|app| self.layout.series().join(app.as_str()));
        let (listing, last) = std::thread::scope(|scope| {
            let last = scope.spawn(|| {
                let known = |path| Series::load(path, |id| self.layout.slug(id).exists());
                series.as_deref().map(known).unwrap_or_default()
            });
            let listing = tree.list();
            (listing, last.join().expect("loading does not panic"))
        });
        let listing = listing?;
        for path in &listing.skipped {
            progress(Progress::Skipped { path: as_path(path) });
        }
        let packed = self.pack(&tree, &listing, &last, staging, progress)?;
        let (ingested, memory) = std::thread::scope(|scope| {
            let memory = series
                .is_some()
                .then(|| scope.spawn(|| remember(&tree, &listing, &packed, started)));
            let mut draft = draft(&listing, &packed, request.process_types.clone());
            let ingested = self
                .judge(&mut draft, &request.limits, staging)
                .and_then(|()| self.commit(&draft, staging))
                .map(|id| draft.summary(id));
            (ingested, memory.map(|memory| memory.join().expect("remembering does not panic")))
        });
        let summary = ingested?;
        if let Some((path, memory)) = series.zip(memory) {
            // It only saves time: without it the next tree is read whole.
            let _ = series::save(&path, &summary.id, &memory);
        }
        Ok(summary)
    }

    fn pack(
        &self,
        tree: &Tree,
        listing: &Listing,
        series: &Series,
        staging: &Staging,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Option<Packed>>> {
        let of = listing.files.len();
        progress(Progress::Listed { files: of as u64 });
        let sizes = self.packed_sizes()?;
        let weigh_all = is_little(listing.files.iter().map(|file| file.stamp.size()).sum());
        let layout = &self.layout;
        let packing = Packing { tree, layout, staging, sizes: &sizes, weigh_all, series };
        let (mut packed, mut done, mut unsynced) = (vec![None; of], 0, 0);
        parallel::each(
            &listing.files,
            || Packer::new(packing),
            Packer::pack,
            |index, file| {
                packed[index] = Some(file);
                done += 1;
                unsynced += if file.new { file.size } else { 0 };
                if unsynced > SYNCED_AT_ONCE {
                    // While others pack on. If it fails, so does the sync before the commit.
                    let _ = self.sync_all();
                    unsynced = 0;
                }
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

/// What the next tree of the series is compared with.
fn remember(tree: &Tree, listing: &Listing, packed: &[Option<Packed>], now: i128) -> Memory {
    let mut memory = Memory::default();
    for (file, packed) in listing.files.iter().zip(packed.iter().flatten()) {
        let source = pyc::source_of(&file.path).and_then(|path| tree.time_and_size(&path));
        memory.file(file, source, *packed, now);
    }
    memory
}

/// What a tree's manifest and commit take.
fn draft(listing: &Listing, packed: &[Option<Packed>], process_types: ProcessTypes) -> Draft {
    let mut draft = Draft::new(process_types);
    let directories = listing.directories.iter().map(|path| (path.clone(), Entry::Directory));
    let symlinks = listing.symlinks.iter();
    let symlinks =
        symlinks.map(|(path, target)| (path.clone(), Entry::Symlink { target: target.clone() }));
    let files = listing.files.iter().zip(packed).map(|(listed, file)| {
        let packed = file.expect("every listed file was packed, or packing failed");
        (listed.path.clone(), draft.count(packed))
    });
    // All at once: a map is made of a sorted list in a fraction of the time.
    draft.manifest.entries = files.chain(directories).chain(symlinks).collect();
    draft
}
