//! From staged objects to a visible slug, safe on the disk.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use slugline_model::limits::Limits;
use slugline_model::procfile::ProcessTypes;
use slugline_model::slug::{SizeVerdict, SlugId, SlugSummary, judge_size};

use crate::error::{Result, StoreError, reading, writing};
use crate::manifest::{Encoded, Entry, Manifest};
use crate::object::ObjectKey;
use crate::pack::Packed;
use crate::page::Page;
use crate::{Store, parallel};

/// Up to so many new objects are synced one by one; more of them, with all else that waits to be
/// written to the disk, at once.
const FEW: usize = 64;

/// File systems with one journal, by the kernel's numbers: ext2 to ext4, and xfs. What is synced
/// there takes every earlier name with it, also those that another ingest gave to objects that this
/// one found and did not store. Elsewhere only syncing everything does.
const ORDERED: [u64; 2] = [0xef53, 0x5846_5342];

/// A slug whose new objects are staged, and that is not visible yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) manifest: Manifest,
    /// Packed sizes (bytes) that were not known before.
    sizes: Vec<([u8; 32], u64)>,
    /// Objects that are staged.
    new: Vec<ObjectKey>,
    bytes: u64,
    packed_bytes: u64,
}

impl Draft {
    pub(crate) fn new(process_types: ProcessTypes) -> Self {
        let manifest = Manifest { process_types, ..Manifest::default() };
        Self { manifest, sizes: vec![], new: vec![], bytes: 0, packed_bytes: 0 }
    }

    /// Puts a file at a path where there is nothing yet.
    pub(crate) fn file(&mut self, path: Vec<u8>, packed: Packed) {
        let Packed { object, size, weight, weighed, new } = packed;
        self.manifest.entries.insert(path, Entry::File { object, size });
        self.bytes += size;
        self.packed_bytes += weight;
        self.sizes.extend(weighed.then_some((object.hash, weight)));
        self.new.extend(new.then_some(object));
    }

    /// Takes an entry away. A file's object, if it was staged, stays staged until
    /// [`Draft::forget_unused`].
    pub(crate) fn take(&mut self, path: &[u8], weight_of: impl FnOnce(ObjectKey) -> u64) {
        if let Some(Entry::File { object, size }) = self.manifest.entries.remove(path) {
            self.bytes -= size;
            self.packed_bytes -= weight_of(object);
        }
    }

    /// Leaves objects out that came in and were taken away again.
    pub(crate) fn forget_unused(&mut self) {
        let used: HashSet<ObjectKey> = self.manifest.files().map(|(_, object, _)| object).collect();
        self.new.retain(|object| used.contains(object));
    }

    /// Whether the slug is small enough.
    pub(crate) fn judge(&self, limits: &Limits) -> Result<()> {
        let (packed_bytes, limit) = (self.packed_bytes, limits.slug_hard);
        match judge_size(packed_bytes, limits) {
            SizeVerdict::TooLarge(_) => Err(StoreError::TooLarge { packed_bytes, limit }),
            SizeVerdict::Fits | SizeVerdict::Large(_) => Ok(()),
        }
    }

    pub(crate) fn summary(self, id: SlugId) -> SlugSummary {
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

impl Store {
    /// Objects first, and safe on the disk before they have their names, so that a name always
    /// means the whole content; the head last, since it is what makes the slug visible.
    pub(crate) fn commit(&self, draft: &Draft, stage: &Path) -> Result<SlugId> {
        let encoded = draft.manifest.encode();
        let new = &draft.new;
        let sync = Sync { store: self, few: new.len() <= FEW && self.is_ordered()? };
        for object in sync.each(new) {
            sync_path(&stage.join(object.to_string()))?;
        }
        let pages = self.stage_pages(&encoded, stage, sync.few)?;
        sync.all()?;
        let place = |(): &mut (), object: &ObjectKey| {
            let to = self.layout.object(*object);
            fs_err::rename(stage.join(object.to_string()), &to).map_err(writing(&to))
        };
        parallel::each(new, || Ok(()), place, |_, ()| {})?;
        for page in pages {
            let to = self.layout.page(page.id);
            fs_err::rename(stage.join(page.id.to_string()), &to).map_err(writing(&to))?;
        }
        for object in sync.each(new) {
            sync_path(self.layout.object(*object).parent().unwrap_or(self.layout.root()))?;
        }
        if sync.few {
            sync_path(&self.layout.pages())?;
        }
        if !draft.sizes.is_empty() {
            self.change_sizes(|known, path| Arc::make_mut(known).extend(path, &draft.sizes))?;
        }
        self.place_head(&encoded.id, &encoded.head, stage, || sync.all())?;
        self.note_verified(new);
        Ok(encoded.id)
    }

    /// Makes a slug visible whose pages and objects are in their places.
    pub(crate) fn place_head(
        &self,
        id: &SlugId,
        head: &[u8],
        stage: &Path,
        sync: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let staged = stage.join("head");
        fs_err::write(&staged, head).map_err(writing(&staged))?;
        sync_path(&staged)?;
        sync()?;
        let slug = self.layout.slug(id);
        fs_err::rename(&staged, &slug).map_err(writing(&slug))?;
        sync_path(&self.layout.slugs())
    }

    /// Stages the pages that the store does not hold yet.
    fn stage_pages<'a>(
        &self,
        encoded: &'a Encoded,
        stage: &Path,
        sync: bool,
    ) -> Result<Vec<&'a Page>> {
        let mut new: Vec<&Page> =
            encoded.pages.iter().filter(|page| !self.has_page(page.id)).collect();
        new.sort_by_key(|page| page.id);
        new.dedup();
        for page in &new {
            let staged = stage.join(page.id.to_string());
            let squeezed = page.squeezed().map_err(writing(&staged))?;
            fs_err::write(&staged, squeezed).map_err(writing(&staged))?;
            if sync {
                sync_path(&staged)?;
            }
        }
        Ok(new)
    }

    /// Whether what is synced here takes every earlier name with it.
    pub(crate) fn is_ordered(&self) -> Result<bool> {
        let root = self.layout.root();
        let kind = rustix::fs::statfs(root).map_err(reading(root))?.f_type;
        Ok(u64::try_from(kind).is_ok_and(|kind| ORDERED.contains(&kind)))
    }

    /// Syncs the file system that the store is on.
    pub(crate) fn sync_all(&self) -> Result<()> {
        let root = self.layout.root();
        let directory = fs_err::File::open(root).map_err(reading(root))?;
        rustix::fs::syncfs(&directory).map_err(writing(root))
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
        if self.few { Ok(()) } else { self.store.sync_all() }
    }
}

pub(crate) fn sync_path(path: &Path) -> Result<()> {
    let file = fs_err::File::open(path).map_err(reading(path))?;
    file.sync_all().map_err(writing(path))
}
