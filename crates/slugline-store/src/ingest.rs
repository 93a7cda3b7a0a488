//! Tree to slug: list → pack → judge → commit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use slugline_model::limits::Limits;
use slugline_model::name::AppName;
use slugline_model::procfile::ProcessTypes;
use slugline_model::slug::{SizeVerdict, SlugId, SlugSummary, judge_size};

use crate::error::{Result, StoreError, reading, writing};
use crate::manifest::{Entry, Manifest};
use crate::object::ObjectKey;
use crate::pack::{Packed, Packer, Packing};
use crate::series::{self, Series};
use crate::staging::Staging;
use crate::tree::{Listing, Tree, as_path};
use crate::{Store, parallel, pyc};

/// How often progress is told (files).
const STEP: usize = 500;

/// Up to so many new objects are synced one by one; more of them, with all else that waits to be
/// written to the disk, at once.
const FEW: usize = 64;

/// File systems with one journal, by the kernel's numbers: ext2 to ext4, and xfs. What is synced
/// there takes every earlier name with it, also those that another ingest gave to objects that this
/// one found and did not store. Elsewhere only syncing everything does.
const ORDERED: [u64; 2] = [0xef53, 0x5846_5342];

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

/// A slug whose new objects are staged, and that is not visible yet.
struct Draft {
    manifest: Manifest,
    /// Packed sizes (bytes) that were not known before.
    sizes: Vec<([u8; 32], u64)>,
    new: Vec<ObjectKey>,
    bytes: u64,
    packed_bytes: u64,
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
        let draft = Draft::new(&listing, &packed, request.process_types.clone());
        if let SizeVerdict::TooLarge(_) = judge_size(draft.packed_bytes, &request.limits) {
            let (packed_bytes, limit) = (draft.packed_bytes, request.limits.slug_hard);
            return Err(StoreError::TooLarge { packed_bytes, limit });
        }
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

    /// Objects first, and safe on the disk before they have their names, so that a name always
    /// means the whole content; the manifest last, since it is what makes the slug visible.
    fn commit(&self, draft: &Draft, stage: &Path) -> Result<SlugId> {
        let (id, text) = draft.manifest.encode();
        let few = draft.new.len() <= FEW && is_ordered(self.layout.root())?;
        let sync = Sync { store: self, few };
        for object in sync.each(&draft.new) {
            sync_path(&stage.join(object.to_string()))?;
        }
        sync.all()?;
        let place = |(): &mut (), object: &ObjectKey| {
            let to = self.layout.object(*object);
            fs_err::rename(stage.join(object.to_string()), &to).map_err(writing(&to))
        };
        parallel::each(&draft.new, || Ok(()), place, |_, ()| {})?;
        for object in sync.each(&draft.new) {
            sync_path(self.layout.object(*object).parent().unwrap_or(self.layout.root()))?;
        }
        self.change_sizes(|sizes, path| Arc::make_mut(sizes).extend(path, &draft.sizes))?;
        let staged = stage.join("manifest");
        fs_err::write(&staged, text).map_err(writing(&staged))?;
        sync_path(&staged)?;
        sync.all()?;
        let slug = self.layout.slug(&id);
        fs_err::rename(&staged, &slug).map_err(writing(&slug))?;
        sync_path(&self.layout.slugs())?;
        Ok(id)
    }
}

/// How new objects get to the disk.
struct Sync<'a> {
    store: &'a Store,
    few: bool,
}

impl Sync<'_> {
    /// The objects that are synced one by one.
    fn each<'o>(&self, new: &'o [ObjectKey]) -> &'o [ObjectKey] {
        if self.few { new } else { &[] }
    }

    /// Where there are too many for that, syncs the file system.
    fn all(&self) -> Result<()> {
        if self.few {
            return Ok(());
        }
        let root = self.store.layout.root();
        let directory = fs_err::File::open(root).map_err(reading(root))?;
        rustix::fs::syncfs(&directory).map_err(writing(root))
    }
}

fn is_ordered(root: &Path) -> Result<bool> {
    let kind = rustix::fs::statfs(root).map_err(reading(root))?.f_type;
    Ok(u64::try_from(kind).is_ok_and(|kind| ORDERED.contains(&kind)))
}

fn sync_path(path: &Path) -> Result<()> {
    let file = fs_err::File::open(path).map_err(reading(path))?;
    file.sync_all().map_err(writing(path))
}

/// Nanoseconds since 1970.
fn now() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i128::try_from(since.as_nanos()).unwrap_or(i128::MAX)
}

impl Draft {
    fn new(listing: &Listing, packed: &[Option<Packed>], process_types: ProcessTypes) -> Self {
        let (mut bytes, mut packed_bytes) = (0, 0);
        let (mut sizes, mut new) = (BTreeMap::new(), Vec::new());
        let mut manifest = Manifest { process_types, ..Manifest::default() };
        let entries = &mut manifest.entries;
        let directories = listing.directories.iter();
        entries.extend(directories.map(|path| (path.clone(), Entry::Directory)));
        let symlinks = listing.symlinks.iter().cloned();
        entries.extend(symlinks.map(|(path, target)| (path, Entry::Symlink { target })));
        for (listed, file) in listing.files.iter().zip(packed) {
            let Packed { object, size, weight, new: is_new } =
                file.expect("every listed file was packed, or packing failed");
            entries.insert(listed.path.clone(), Entry::File { object, size });
            bytes += size;
            packed_bytes += weight;
            sizes.insert(object.hash, weight);
            new.extend(is_new.then_some(object));
        }
        Self { manifest, sizes: sizes.into_iter().collect(), new, bytes, packed_bytes }
    }

    fn summary(self, id: SlugId) -> SlugSummary {
        SlugSummary {
            id,
            files: self.manifest.files().count() as u64,
            bytes: self.bytes,
            packed_bytes: self.packed_bytes,
            new_files: self.new.len() as u64,
            process_types: self.manifest.process_types,
        }
    }
}
