//! From staged objects to a visible slug, safe on the disk.

use std::collections::{HashMap, HashSet};
use std::io;
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
use crate::staging::Staging;
use crate::weight::{Estimate, Scale, Verdict, is_little, is_sample, is_small, weigh_whole};
use crate::{Store, parallel};

/// Up to so many new objects are synced one by one; more of them, with all else that waits to be
/// written to the disk, at once.
const FEW: usize = 64;

/// File systems with one journal, by the kernel's numbers: ext2 to ext4, and xfs. What is synced
/// there takes every earlier name with it. Elsewhere only syncing everything does.
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
    estimate: Estimate,
    packed_bytes: u64,
}

impl Draft {
    pub(crate) fn new(process_types: ProcessTypes) -> Self {
        Self {
            manifest: Manifest { process_types, ..Manifest::default() },
            sizes: vec![],
            new: vec![],
            bytes: 0,
            estimate: Estimate::default(),
            packed_bytes: 0,
        }
    }

    /// Puts a file at a path where there is nothing yet.
    pub(crate) fn file(&mut self, path: Vec<u8>, packed: Packed) {
        let entry = self.count(packed);
        self.manifest.entries.insert(path, entry);
    }

    /// Counts a file in; its entry is for the caller to put where it belongs.
    pub(crate) fn count(&mut self, packed: Packed) -> Entry {
        let Packed { object, size, weight, weighed, new } = packed;
        self.bytes += size;
        self.estimate.add(size, weight);
        self.sizes.extend(weight.filter(|_| weighed).map(|weight| (object.hash, weight)));
        self.new.extend(new.then_some(object));
        Entry::File { object, size }
    }

    /// Takes an entry away. A file's object, if it was staged, stays staged until
    /// [`Draft::forget_unused`].
    pub(crate) fn take(&mut self, path: &[u8], weight_of: impl FnOnce(ObjectKey) -> Option<u64>) {
        if let Some(Entry::File { object, size }) = self.manifest.entries.remove(path) {
            self.bytes -= size;
            self.estimate.take(size, weight_of(object));
        }
    }

    /// Leaves objects out that came in and were taken away again.
    pub(crate) fn forget_unused(&mut self) {
        let used: HashSet<ObjectKey> = self.manifest.files().map(|(_, object, _)| object).collect();
        self.new.retain(|object| used.contains(object));
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
    /// Whether a slug is small enough.
    pub(crate) fn judge(
        &self,
        draft: &mut Draft,
        limits: &Limits,
        staging: &Staging,
    ) -> Result<()> {
        draft.packed_bytes = match draft.estimate.judge(limits) {
            Verdict::WillDo(packed) => packed,
            Verdict::Incomplete => self.weigh_rest(draft, staging)?,
            Verdict::NearLimit => self.weigh_whole(&draft.manifest, Some(staging))?,
        };
        let (packed_bytes, limit) = (draft.packed_bytes, limits.slug_hard);
        match judge_size(packed_bytes, limits) {
            SizeVerdict::TooLarge(_) => Err(StoreError::TooLarge { packed_bytes, limit }),
            SizeVerdict::Fits | SizeVerdict::Large(_) => Ok(()),
        }
    }

    /// The packed size of a slug that is in the store (bytes), as it was judged.
    pub(crate) fn weigh_stored(&self, manifest: &Manifest, limits: &Limits) -> Result<u64> {
        let sizes = self.packed_sizes()?;
        let mut estimate = Estimate::default();
        let all = is_little(manifest.files().map(|(_, _, size)| size).sum());
        for (_, object, size) in manifest.files() {
            let weight = match sizes.get(&object.hash) {
                None if all || is_sample(object, size) => Some(self.weigh_sample(object, size)?),
                known => known,
            };
            estimate.add(size, weight);
        }
        match estimate.judge(limits) {
            Verdict::WillDo(packed) => Ok(packed),
            Verdict::Incomplete | Verdict::NearLimit => self.weigh_whole(manifest, None),
        }
    }

    pub(crate) fn weigh_sample(&self, object: ObjectKey, size: u64) -> Result<u64> {
        weigh_at(&self.layout.object(object), size)
    }

    /// Packs the small files that are no samples.
    fn weigh_rest(&self, draft: &mut Draft, staging: &Staging) -> Result<u64> {
        let known = self.packed_sizes()?;
        let mut weights: HashMap<[u8; 32], u64> = draft.sizes.iter().copied().collect();
        let mut estimate = Estimate::default();
        for (_, object, size) in draft.manifest.files() {
            let weight = weights.get(&object.hash).copied().or_else(|| known.get(&object.hash));
            let weight = match weight {
                None if is_small(size) => {
                    let weight = weigh_at(&staging.find(object), size)?;
                    weights.insert(object.hash, weight);
                    Some(weight)
                }
                weight => weight,
            };
            estimate.add(size, weight);
        }
        draft.sizes = weights.into_iter().collect();
        Ok(estimate.packed())
    }

    /// The packed size of a slug's files, none estimated (bytes).
    fn weigh_whole(&self, manifest: &Manifest, staging: Option<&Staging>) -> Result<u64> {
        let files: Vec<(ObjectKey, u64)> =
            manifest.files().map(|(_, object, size)| (object, size)).collect();
        let weigh = |(): &mut (), (object, size): &(ObjectKey, u64)| {
            let place = self.layout.object(*object);
            let path = staging.map_or(place, |staging| staging.find(*object));
            match fs_err::File::open(&path) {
                // Whether all is there is not what is asked here.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(*size),
                file => file.and_then(weigh_whole).map_err(reading(&path)),
            }
        };
        let mut packed = 0;
        parallel::each(&files, || Ok(()), weigh, |_, weight: u64| packed += weight)?;
        Ok(packed)
    }

    /// Objects and pages first, and safe on the disk; the head last, since it is what makes the slug
    /// visible.
    pub(crate) fn commit(&self, draft: &Draft, staging: &Staging) -> Result<SlugId> {
        let encoded = draft.manifest.encode();
        let new = &draft.new;
        let few = new.len() <= FEW && self.is_ordered()? && staging.is_alone()?;
        let sync = Sync { store: self, few };
        for object in sync.each(new) {
            sync_path(&staging.find(*object))?;
        }
        let pages = self.stage_pages(&encoded, staging.path(), sync.few)?;
        sync.all()?;
        staging.place(new)?;
        for page in pages {
            let to = self.layout.page(page.id);
            fs_err::rename(staging.path().join(page.id.to_string()), &to).map_err(writing(&to))?;
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
        let ordered = self.is_ordered()?;
        let sync_names = || if ordered { Ok(()) } else { sync.all() };
        self.place_head(&encoded.id, &encoded.head, staging.path(), sync_names)?;
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

/// The packed size of a file (bytes): estimated, of a large one. Where it is missing, its size.
fn weigh_at(path: &Path, size: u64) -> Result<u64> {
    match fs_err::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(size),
        file => {
            let weigh = |mut file| Scale::new()?.weigh_any(&mut file, size);
            file.and_then(weigh).map_err(reading(path))
        }
    }
}

pub(crate) fn sync_path(path: &Path) -> Result<()> {
    let file = fs_err::File::open(path).map_err(reading(path))?;
    file.sync_all().map_err(writing(path))
}
