//! Tree to slug: list → pack → judge → commit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use slugline_model::limits::Limits;
use slugline_model::procfile::ProcessTypes;
use slugline_model::slug::{SizeVerdict, SlugId, SlugSummary, judge_size};

use crate::error::{Result, StoreError, reading, writing};
use crate::manifest::{Entry, Manifest};
use crate::object::ObjectKey;
use crate::pack::{Packed, Packer, Packing};
use crate::staging::Staging;
use crate::tree::{Listing, Tree, as_path};
use crate::{Store, parallel};

/// How often progress is told (files).
const STEP: usize = 500;

/// What a slug is to be made with.
#[derive(Debug, Clone, Default)]
pub struct IngestRequest {
    /// The process types that go with it.
    pub process_types: ProcessTypes,
    /// How large it may be.
    pub limits: Limits,
    /// Whether the tree is thrown away afterwards, so that large files may be moved out of it.
    /// No process may have them open.
    pub consume: bool,
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
        let listing = tree.list()?;
        for path in &listing.skipped {
            progress(Progress::Skipped { path: as_path(path) });
        }
        let packed = self.pack(&tree, &listing, staging.path(), request.consume, progress)?;
        let draft = Draft::new(listing, &packed, request.process_types.clone());
        if let SizeVerdict::TooLarge(_) = judge_size(draft.packed_bytes, &request.limits) {
            let (packed_bytes, limit) = (draft.packed_bytes, request.limits.slug_hard);
            return Err(StoreError::TooLarge { packed_bytes, limit });
        }
        let id = self.commit(&draft, staging.path())?;
        Ok(draft.summary(id))
    }

    fn pack(
        &self,
        tree: &Tree,
        listing: &Listing,
        stage: &Path,
        consume: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Option<Packed>>> {
        let of = listing.files.len();
        progress(Progress::Listed { files: of as u64 });
        let sizes = self.packed_sizes()?;
        let packing = Packing { tree, layout: &self.layout, stage, sizes: &sizes, consume };
        let (mut packed, mut done) = (vec![None; of], 0);
        parallel::each(
            &listing.files,
            || Packer::new(packing),
            |packer, path| packer.pack(path),
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
        if !draft.new.is_empty() {
            self.sync()?;
        }
        let place = |(): &mut (), object: &ObjectKey| {
            let to = self.layout.object(*object);
            fs_err::rename(stage.join(object.to_string()), &to).map_err(writing(&to))
        };
        parallel::each(&draft.new, || Ok(()), place, |_, ()| {})?;
        self.change_sizes(|sizes, path| Arc::make_mut(sizes).extend(path, &draft.sizes))?;
        let staged = stage.join("manifest");
        fs_err::write(&staged, text).map_err(writing(&staged))?;
        self.sync()?;
        let slug = self.layout.slug(&id);
        fs_err::rename(&staged, &slug).map_err(writing(&slug))?;
        let slugs = self.layout.slugs();
        let directory = fs_err::File::open(&slugs).map_err(reading(&slugs))?;
        directory.sync_all().map_err(writing(&slugs))?;
        Ok(id)
    }

    fn sync(&self) -> Result<()> {
        let root = self.layout.root();
        let directory = fs_err::File::open(root).map_err(reading(root))?;
        rustix::fs::syncfs(&directory).map_err(writing(root))
    }
}

impl Draft {
    fn new(listing: Listing, packed: &[Option<Packed>], process_types: ProcessTypes) -> Self {
        let (mut bytes, mut packed_bytes) = (0, 0);
        let (mut sizes, mut new) = (BTreeMap::new(), Vec::new());
        let mut manifest = Manifest { process_types, ..Manifest::default() };
        let entries = &mut manifest.entries;
        entries.extend(listing.directories.into_iter().map(|path| (path, Entry::Directory)));
        let link = |(path, target)| (path, Entry::Symlink { target });
        entries.extend(listing.symlinks.into_iter().map(link));
        for (path, file) in listing.files.into_iter().zip(packed) {
            let Packed { object, size, weight, new: is_new } =
                file.expect("every listed file was packed, or packing failed");
            entries.insert(path, Entry::File { object, size });
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
