//! Puts small things together, so that thousands of files are a few requests.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Read as _;

use bytes::Bytes;
use slugline_model::slug::SlugId;

use crate::Store;
use crate::bucket::index::{self, Entry, Index, Thing};
use crate::error::{Result, StoreError, reading};
use crate::object::ObjectKey;
use crate::tree::as_path;

/// How large a pack may be (bytes), unless what is in it does not get smaller.
pub(crate) const PACK: usize = 8 << 20;

/// From which size on an object has a pack of its own (bytes).
pub(crate) const LARGE: u64 = 8 << 20;

/// zstd's level: a pack is made once, and read by every machine.
const LEVEL: i32 = 3;

/// A thing that a slug needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need<'a> {
    pub(crate) thing: Thing,
    /// Unpacked (bytes); zero for pages.
    pub(crate) size: u64,
    /// Where in the slug; empty for pages.
    pub(crate) path: &'a [u8],
}

/// A pack that is not in the bucket yet.
#[derive(Debug)]
pub(crate) struct NewPack {
    pub(crate) name: String,
    pub(crate) content: Bytes,
    pub(crate) index: NewIndex,
}

/// An index that is not in the bucket yet.
#[derive(Debug, Clone)]
pub(crate) struct NewIndex {
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
    pub(crate) things: u64,
}

/// Makes packs of needs, one after another.
pub(crate) struct Packs<'a> {
    store: &'a Store,
    id: &'a SlugId,
    needs: std::slice::Iter<'a, Need<'a>>,
    squeezer: zstd::bulk::Compressor<'static>,
    /// Squeezed already, and did not fit into the last pack.
    held: Option<(Need<'a>, u64, Vec<u8>)>,
}

/// A pack that is being filled.
#[derive(Debug, Default)]
pub(crate) struct Filling {
    content: Vec<u8>,
    entries: Vec<Entry>,
}

impl<'a> Packs<'a> {
    pub(crate) fn new(store: &'a Store, id: &'a SlugId, needs: &'a [Need<'a>]) -> Result<Self> {
        let squeezer = zstd::bulk::Compressor::new(LEVEL);
        let squeezer = squeezer.map_err(reading(store.layout.root()))?;
        Ok(Self { store, id, needs: needs.iter(), squeezer, held: None })
    }

    fn fill(&mut self) -> Result<Option<NewPack>> {
        let mut filling = Filling::default();
        loop {
            let held = self.held.take().map_or_else(|| self.squeeze(), |held| Ok(Some(held)))?;
            let Some((need, size, bytes)) = held else { break };
            if !filling.takes(&bytes) {
                self.held = Some((need, size, bytes));
                break;
            }
            filling.put(need.thing, matches!(need.thing, Thing::Object(_)), size, &bytes);
        }
        filling.finish().map_err(reading(self.store.layout.root()))
    }

    /// The next need, as it goes into a pack, with its size unpacked.
    fn squeeze(&mut self) -> Result<Option<(Need<'a>, u64, Vec<u8>)>> {
        let Some(need) = self.needs.next().copied() else { return Ok(None) };
        let bytes = match need.thing {
            Thing::Page(page) => self.store.page(page)?,
            Thing::Object(object) => {
                let content = self.read(object, need)?;
                self.squeezer.compress(&content).map_err(reading(as_path(need.path)))?
            }
        };
        let is_page = matches!(need.thing, Thing::Page(_));
        let size = if is_page { bytes.len() as u64 } else { need.size };
        Ok(Some((need, size, bytes)))
    }

    /// An object, checked: no damage goes to the bucket.
    fn read(&self, object: ObjectKey, need: Need<'a>) -> Result<Vec<u8>> {
        let mut content = Vec::with_capacity(usize::try_from(need.size).unwrap_or(0));
        let file = self.store.open_object(object)?;
        file.take(LARGE + 1).read_to_end(&mut content).map_err(reading(as_path(need.path)))?;
        if *blake3::hash(&content).as_bytes() == object.hash {
            return Ok(content);
        }
        Err(StoreError::DamagedObject { object, path: as_path(need.path), id: self.id.clone() })
    }
}

impl Iterator for Packs<'_> {
    type Item = Result<NewPack>;

    fn next(&mut self) -> Option<Result<NewPack>> {
        self.fill().transpose()
    }
}

impl Filling {
    /// Whether there is room for so many more bytes.
    pub(crate) fn takes(&self, bytes: &[u8]) -> bool {
        let fits = self.content.len() + bytes.len() <= PACK && self.entries.len() < index::MOST;
        fits || self.entries.is_empty()
    }

    pub(crate) fn put(&mut self, thing: Thing, squeezed: bool, size: u64, bytes: &[u8]) {
        let (offset, length) = (self.content.len() as u64, bytes.len() as u64);
        // Doubling ends far above what a pack needs.
        if self.content.capacity() < self.content.len() + bytes.len() {
            self.content.reserve_exact(bytes.len().max(PACK / 8));
        }
        self.content.extend_from_slice(bytes);
        self.entries.push(Entry { thing, squeezed, offset, length, size });
    }

    pub(crate) fn finish(self) -> std::io::Result<Option<NewPack>> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let name = pack_name(blake3::hash(&self.content));
        let size = self.content.len() as u64;
        let index = NewIndex::new(&Index { pack: name.clone(), size, entries: self.entries })?;
        Ok(Some(NewPack { name, content: self.content.into(), index }))
    }
}

impl NewIndex {
    pub(crate) fn new(index: &Index) -> std::io::Result<Self> {
        let (name, bytes) = index.encode()?;
        Ok(Self { name, bytes: bytes.into(), things: index.entries.len() as u64 })
    }
}

/// A name that no pack had before, nor will have again.
pub(crate) fn pack_name(hash: blake3::Hash) -> String {
    // The standard library seeds it from the kernel's randomness.
    let mut hasher = RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    if let Ok(now) = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
        hasher.write_u128(now.as_nanos());
    }
    format!("{hash}-{:016x}", hasher.finish())
}
