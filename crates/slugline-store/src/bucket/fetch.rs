//! Bucket to store: only what is lacking here, and a slug is visible only when it is whole.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use slugline_model::slug::SlugId;

use crate::bucket::cache::Places;
use crate::bucket::client::ATTEMPTS;
use crate::bucket::index::{Entry, Thing};
use crate::bucket::packing::LARGE;
use crate::bucket::record::{self, Record};
use crate::bucket::trouble::Trouble;
use crate::bucket::upload::record_name;
use crate::bucket::{Home, crew};
use crate::error::{Result, StoreError};
use crate::manifest::Head;
use crate::object::{self, ObjectKey};
use crate::page::Page;
use crate::{Store, parallel};

/// How many bytes nobody wants are read to save a request.
const GAP: u64 = 64 << 10;

/// How large one request's answer may be (bytes), unless a single object is larger.
pub(crate) const SPAN: u64 = 4 << 20;

/// Neighbours in a pack, got by one request.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    pub(crate) pack: String,
    pub(crate) range: Range<u64>,
    pub(crate) entries: Vec<Entry>,
}

impl Stretch {
    /// An entry's bytes of those of the stretch.
    pub(crate) fn content<'a>(&self, entry: &Entry, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let start = usize::try_from(entry.offset.checked_sub(self.range.start)?).ok()?;
        let length = usize::try_from(entry.length).ok()?;
        bytes.get(start..start.checked_add(length)?)
    }
}

impl Store {
    /// Sees to it that a slug that is in the bucket is whole here. What is here already does not
    /// come again; what has come when it fails stays, and the slug is not visible.
    pub fn fetch(&self, id: &SlugId) -> Result<()> {
        let Some(home) = &self.home else { return Err(unknown(id)) };
        let _lock = self.lock_shared()?;
        for attempt in 1.. {
            match self.fetch_once(home, id) {
                // Another machine may have put packs together anew: then the record says so now.
                Err(StoreError::Bucket(error))
                    if attempt < ATTEMPTS && error.trouble == Trouble::Missing => {}
                other => return other,
            }
        }
        unreachable!("the last attempt returns")
    }

    /// Gets one object from the bucket in the place of what is here under its key, if anything. When
    /// it fails, what is here stays as it is.
    pub fn fetch_object(&self, object: ObjectKey) -> Result<()> {
        let thing = Thing::Object(object);
        let Some(home) = &self.home else {
            return Err(StoreError::WrongContent { name: format!("object {object}") });
        };
        let _lock = self.lock_shared()?;
        let there = home.bucket.index_names()?;
        home.cache.learn(&home.bucket, &there)?;
        let places = home.cache.find(&HashSet::from([thing]), &there);
        self.fetch_things(home, &[thing], &places)
    }

    /// Gets a slug that is not here at all, if there is a bucket.
    pub(crate) fn bring(&self, id: &SlugId) -> Result<()> {
        if self.home.is_none() || self.layout.slug(id).exists() { Ok(()) } else { self.fetch(id) }
    }

    /// Gets what is damaged or missing of a slug.
    pub(crate) fn mend(&self, id: &SlugId) -> Result<()> {
        if self.read_head(id).is_err() {
            let _ = fs_err::remove_file(self.layout.slug(id));
        } else {
            for page in self.pages_of(id)? {
                if self.read_page(id, page).is_err() {
                    let _ = fs_err::remove_file(self.layout.page(page));
                }
            }
            if let Ok(manifest) = self.read_manifest(id) {
                self.drop_damaged(manifest.files().map(|(_, object, _)| object).collect())?;
            }
        }
        self.fetch(id)
    }

    /// What is damaged loses its name.
    fn drop_damaged(&self, objects: HashSet<ObjectKey>) -> Result<()> {
        let objects: Vec<ObjectKey> = objects.into_iter().collect();
        let check = |buffer: &mut Vec<u8>, object: &ObjectKey| {
            let Ok(file) = self.open_object(*object) else { return Ok(()) };
            if object::hash(file, buffer).is_ok_and(|(hash, _)| hash != object.hash) {
                let _ = fs_err::remove_file(self.layout.object(*object));
            }
            Ok(())
        };
        parallel::each(&objects, || Ok(vec![0; 1 << 17]), check, |_, ()| {})
    }

    fn fetch_once(&self, home: &Home, id: &SlugId) -> Result<()> {
        let Record { indexes, head } = home.record(id)?;
        let understood = |source| StoreError::Manifest { id: id.clone(), source };
        let pages = Head::decode(&head).map_err(understood)?.pages;
        home.cache.learn(&home.bucket, &indexes)?;
        let lacking: Vec<Thing> =
            pages.iter().filter(|page| !self.has_page(**page)).map(|p| Thing::Page(*p)).collect();
        self.fetch_found(home, &lacking, &indexes)?;
        let manifest = self.manifest_of(id, &head)?;
        let lacking: HashSet<Thing> = manifest
            .files()
            .filter(|(_, object, size)| !self.layout.holds(*object, *size))
            .map(|(_, object, _)| Thing::Object(object))
            .collect();
        self.fetch_found(home, &lacking.into_iter().collect::<Vec<_>>(), &indexes)?;
        self.put_head(id, &head)?;
        Ok(())
    }

    /// Gets these by these indexes.
    pub(crate) fn fetch_found(
        &self,
        home: &Home,
        things: &[Thing],
        indexes: &BTreeSet<String>,
    ) -> Result<()> {
        if things.is_empty() {
            return Ok(());
        }
        let places = home.cache.find(&things.iter().copied().collect(), indexes);
        self.fetch_things(home, things, &places)
    }

    fn fetch_things(&self, home: &Home, things: &[Thing], places: &Places) -> Result<()> {
        if let Some(thing) = things.iter().find(|thing| !places.of.contains_key(thing)) {
            return Err(home.bucket.missing(&shown(*thing)));
        }
        let (stretches, large) = stretches(places);
        let jobs = stretches.into_iter().map(|stretch| {
            let client = Arc::clone(&home.bucket.client);
            Ok(async move {
                let name = format!("packs/{}", stretch.pack);
                let bytes = client.get_range(&name, stretch.range.clone()).await?;
                Ok((stretch, bytes))
            })
        });
        crew::each(home.bucket.runtime(), jobs, |(stretch, bytes)| {
            self.take_in(home, &stretch, &bytes)
        })?;
        for (pack, entry) in large {
            let Thing::Object(object) = entry.thing else { continue };
            let mut outcome = self.fetch_large(home, object, &pack, &entry);
            if matches!(outcome, Err(StoreError::WrongContent { .. })) {
                outcome = self.fetch_large(home, object, &pack, &entry);
            }
            outcome.map_err(|error| home.damaged(&format!("packs/{pack}"), error))?;
        }
        Ok(())
    }

    /// Stores what came, and asks again where it is damaged: a bit may have flipped on its way.
    fn take_in(&self, home: &Home, stretch: &Stretch, first: &Bytes) -> Result<()> {
        let name = format!("packs/{}", stretch.pack);
        let take = |bytes: &Bytes| self.arrive(stretch, bytes);
        let mut outcome = take(first);
        for _ in 1..ATTEMPTS {
            if !matches!(outcome, Err(StoreError::WrongContent { .. })) {
                return outcome;
            }
            let again = home.bucket.client.get_range(&name, stretch.range.clone());
            outcome = take(&home.bucket.wait(again)?);
        }
        outcome.map_err(|error| home.damaged(&name, error))
    }
}

impl Home {
    /// The record of a slug, whole.
    pub(crate) fn record(&self, id: &SlugId) -> Result<Record> {
        let (client, name) = (&self.bucket.client, record_name(id));
        for _ in 0..ATTEMPTS {
            match self.bucket.wait(client.get(&name, record::LONGEST)) {
                Ok(bytes) => {
                    if let Some(record) = Record::decode(id, &bytes) {
                        return Ok(record);
                    }
                }
                Err(error) if error.trouble == Trouble::Missing => return Err(unknown(id)),
                Err(error) => return Err(error.into()),
            }
        }
        Err(self.damage(&name))
    }

    /// That what came is not what was put there, however often it was asked for.
    pub(crate) fn damaged(&self, name: &str, error: StoreError) -> StoreError {
        match error {
            StoreError::WrongContent { .. } => self.damage(name),
            other => other,
        }
    }

    /// That something in the bucket is damaged.
    pub(crate) fn damage(&self, name: &str) -> StoreError {
        self.bucket.client.error("read", name, Trouble::Damaged).into()
    }
}

impl Store {
    /// Takes in pages that are whole; the objects go the faster way.
    pub(crate) fn arrive_page(&self, entry: &Entry, bytes: &[u8]) -> Result<()> {
        let Thing::Page(id) = entry.thing else { return Ok(()) };
        if Page::from_squeezed(id, bytes).is_none() {
            return Err(StoreError::WrongContent { name: format!("page {id}") });
        }
        self.put_page(id, bytes)
    }
}

fn unknown(id: &SlugId) -> StoreError {
    StoreError::UnknownSlug { id: id.clone() }
}

fn shown(thing: Thing) -> String {
    match thing {
        Thing::Object(object) => format!("object {object}"),
        Thing::Page(page) => format!("page {page}"),
    }
}

/// The fewest requests that get these, and what is large and comes in parts.
pub(crate) fn stretches(places: &Places) -> (Vec<Stretch>, Vec<(String, Entry)>) {
    let mut by_place: BTreeMap<(usize, u64), Entry> = BTreeMap::new();
    let mut large = Vec::new();
    for (pack, entry) in places.of.values() {
        if entry.length >= LARGE && !entry.squeezed {
            large.push((places.packs[*pack].name.clone(), *entry));
        } else {
            by_place.insert((*pack, entry.offset), *entry);
        }
    }
    let mut all: Vec<(usize, Stretch)> = Vec::new();
    for ((pack, offset), entry) in by_place {
        let end = offset + entry.length;
        match all.last_mut() {
            Some((last, stretch))
                if *last == pack
                    && offset - stretch.range.end <= GAP
                    && end - stretch.range.start <= SPAN =>
            {
                stretch.range.end = end;
                stretch.entries.push(entry);
            }
            _ => {
                let name = places.packs[pack].name.clone();
                all.push((pack, Stretch { pack: name, range: offset..end, entries: vec![entry] }));
            }
        }
    }
    (all.into_iter().map(|(_, stretch)| stretch).collect(), large)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucket::cache::KnownPack;

    fn places(entries: &[(usize, u64, u64)]) -> Places {
        let pack = |n| KnownPack { index: format!("index{n}"), name: format!("pack{n}") };
        let of = entries.iter().enumerate().map(|(number, (pack, offset, length))| {
            let hash = [u8::try_from(number).unwrap(); 32];
            let thing = Thing::Object(ObjectKey { hash, executable: false });
            let (offset, length) = (*offset, *length);
            (thing, (*pack, Entry { thing, squeezed: true, offset, length, size: length }))
        });
        Places { of: of.collect(), packs: vec![pack(0), pack(1)] }
    }

    #[test]
    fn neighbours_are_one_request_and_strangers_two() {
        let places =
            places(&[(0, 0, 10), (0, 30, 10), (0, 40 + GAP, 5), (0, 1 << 30, 5), (1, 0, 5)]);
        let (stretches, large) = stretches(&places);
        let found: Vec<(&str, Range<u64>)> =
            stretches.iter().map(|s| (s.pack.as_str(), s.range.clone())).collect();
        let far = 1 << 30;
        assert_eq!(found, [("pack0", 0..45 + GAP), ("pack0", far..far + 5), ("pack1", 0..5)]);
        assert!(large.is_empty());
    }

    #[test]
    fn no_request_is_larger_than_may_be() {
        let (stretches, _) = stretches(&places(&[(0, 0, SPAN - 5), (0, SPAN - 5, 6)]));
        assert_eq!(stretches.len(), 2);
    }
}
