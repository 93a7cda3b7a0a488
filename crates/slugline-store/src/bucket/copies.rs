//! The bucket as a place where whole copies of damaged parts are.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, Read};
use std::ops::Range;

use bytes::{Buf as _, Bytes};
use slugline_model::slug::SlugId;

use crate::Store;
use crate::bucket::Home;
use crate::bucket::fetch::SPAN;
use crate::bucket::index::{Entry, Thing};
use crate::fsck::Copies;
use crate::object::ObjectKey;
use crate::page::PageId;

/// What is in a store's bucket.
#[derive(Debug)]
pub struct InBucket<'a> {
    home: &'a Home,
    /// What was known when it was first looked at.
    indexes: BTreeSet<String>,
}

impl Store {
    /// The copies in the bucket; none where there is no bucket, or where it does not answer.
    pub fn copies_in_bucket(&self) -> Option<InBucket<'_>> {
        let home = self.home.as_ref()?;
        let indexes = home.bucket.index_names().ok()?;
        home.cache.learn(&home.bucket, &indexes).ok()?;
        Some(InBucket { home, indexes })
    }
}

impl InBucket<'_> {
    fn find(&self, thing: Thing) -> Option<(String, Entry)> {
        let places = self.home.cache.find(&HashSet::from([thing]), &self.indexes);
        let (pack, entry) = places.of.get(&thing)?;
        Some((format!("packs/{}", places.packs[*pack].name), *entry))
    }
}

impl Copies for InBucket<'_> {
    fn name(&self) -> String {
        self.home.bucket.settings().shown()
    }

    fn head(&self, id: &SlugId) -> Option<Vec<u8>> {
        Some(self.home.record(id).ok()?.head)
    }

    fn page(&self, id: PageId) -> Option<Vec<u8>> {
        let (pack, entry) = self.find(Thing::Page(id))?;
        let range = entry.offset..entry.offset + entry.length;
        let bucket = &self.home.bucket;
        Some(bucket.wait(bucket.client.get_range(&pack, range)).ok()?.to_vec())
    }

    fn object(&self, object: ObjectKey, _: &[Vec<u8>]) -> Option<Box<dyn Read + '_>> {
        let (pack, entry) = self.find(Thing::Object(object))?;
        let rest = entry.offset..entry.offset + entry.length;
        let packed = Packed { home: self.home, pack, rest, come: Bytes::new() };
        if entry.squeezed {
            let unpacked = zstd::Decoder::new(packed).ok()?;
            return Some(Box::new(unpacked.take(entry.size + 1)));
        }
        Some(Box::new(packed))
    }
}

/// A part of a pack, read bit by bit.
struct Packed<'a> {
    home: &'a Home,
    pack: String,
    rest: Range<u64>,
    come: Bytes,
}

impl Read for Packed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.come.is_empty() && !self.rest.is_empty() {
            let end = self.rest.end.min(self.rest.start + SPAN);
            let bucket = &self.home.bucket;
            let part = bucket.client.get_range(&self.pack, self.rest.start..end);
            self.come = bucket.wait(part).map_err(io::Error::other)?;
            self.rest.start = end;
        }
        let read = buffer.len().min(self.come.len());
        buffer[..read].copy_from_slice(&self.come[..read]);
        self.come.advance(read);
        Ok(read)
    }
}
