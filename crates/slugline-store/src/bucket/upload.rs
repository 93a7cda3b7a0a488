//! Slug to bucket: what the bucket lacks, then the record that makes the slug visible there.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use slugline_model::slug::SlugId;

use crate::Store;
use crate::bucket::client::Client;
use crate::bucket::index::Thing;
use crate::bucket::packing::{LARGE, Need, NewIndex, NewPack, Packs};
use crate::bucket::record::Record;
use crate::bucket::{Home, crew};
use crate::error::Result;
use crate::manifest::Manifest;
use crate::page::PageId;

/// How often a slug is put together anew because another machine removed what it counted on.
const ATTEMPTS: usize = 3;

/// What [`Store::share`] sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shared {
    /// Packs.
    pub packs: u64,
    /// Files and pages in them.
    pub things: u64,
    /// The packs' bytes.
    pub bytes: u64,
}

impl Store {
    /// Sees to it that a slug that is here is whole in the bucket. What the bucket holds is not sent
    /// again, and one interrupted goes on where it was. When it fails, the slug is not in the
    /// bucket, and stays here.
    ///
    /// Without a bucket there is nothing to do.
    pub fn share(&self, id: &SlugId) -> Result<Shared> {
        let Some(home) = &self.home else { return Ok(Shared::default()) };
        let _lock = self.lock_shared()?;
        let _turn = home.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let name = record_name(id);
        home.own(id)?;
        if home.bucket.wait(home.bucket.client.head(&name))?.is_some() {
            return Ok(Shared::default());
        }
        let manifest = self.read_manifest(id)?;
        let pages = self.pages_of(id)?;
        let needs = needs(&manifest, &pages);
        let mut shared = Shared::default();
        for _ in 0..ATTEMPTS {
            let record = self.send(home, id, &needs, &mut shared)?;
            home.bucket.wait(home.bucket.client.put(&name, record.encode().into()))?;
            // Whoever collects removes an index first, and then looks for records that need it: one
            // of the two sees the other.
            if record.indexes.is_subset(&home.bucket.index_names()?) {
                return Ok(shared);
            }
            home.bucket.wait(home.bucket.client.delete(&name))?;
        }
        Err(home.bucket.missing(&name))
    }

    /// Sends what the bucket lacks of these, and says how all of them can be found there.
    fn send(
        &self,
        home: &Home,
        id: &SlugId,
        needs: &[Need<'_>],
        shared: &mut Shared,
    ) -> Result<Record> {
        let there = home.bucket.index_names()?;
        home.cache.keep_indexes(&there)?;
        home.cache.learn(&home.bucket, &there)?;
        let wanted: HashSet<Thing> = needs.iter().map(|need| need.thing).collect();
        let places = home.cache.find(&wanted, &there);
        let found = places.of.values().map(|(pack, _)| places.packs[*pack].index.clone());
        let mut indexes: BTreeSet<String> = found.collect();
        let lacking = needs.iter().filter(|need| !places.of.contains_key(&need.thing)).copied();
        let (large, small): (Vec<Need<'_>>, Vec<Need<'_>>) =
            lacking.partition(|need| need.size >= LARGE);
        self.send_packs(home, id, &small, |index, bytes| {
            shared.count(index.things, bytes);
            indexes.insert(index.name);
        })?;
        for need in &large {
            let index = self.send_large(home, id, need)?;
            shared.count(1, need.size);
            indexes.insert(index.name);
        }
        Ok(Record { indexes, head: self.read_head(id)? })
    }

    fn send_packs(
        &self,
        home: &Home,
        id: &SlugId,
        needs: &[Need<'_>],
        mut sent: impl FnMut(NewIndex, u64),
    ) -> Result<()> {
        let jobs = Packs::new(self, id, needs)?
            .map(|pack| pack.map(|pack| put_pack(Arc::clone(&home.bucket.client), pack)));
        crew::each(home.bucket.runtime(), jobs, |(index, bytes)| {
            home.cache.note_index(&index.name, &index.bytes)?;
            sent(index, bytes);
            Ok(())
        })
    }
}

impl Home {
    /// Says in the bucket that this machine needs a slug, before it is looked for there.
    pub(crate) fn own(&self, id: &SlugId) -> Result<()> {
        if self.cache.has_slug(id) {
            return Ok(());
        }
        let name = self.cache.owner_name(id)?;
        self.bucket.wait(self.bucket.client.put(&name, Bytes::from_static(b"needed")))?;
        self.cache.note_slug(id)
    }
}

impl Shared {
    fn count(&mut self, things: u64, bytes: u64) {
        self.packs += 1;
        self.things += things;
        self.bytes += bytes;
    }
}

/// The pack first: an index always tells of a pack that is there.
pub(crate) async fn put_pack(client: Arc<Client>, pack: NewPack) -> Result<(NewIndex, u64)> {
    let NewPack { name, content, index } = pack;
    let bytes = content.len() as u64;
    client.put(&format!("packs/{name}"), content).await?;
    put_index(&client, &index).await?;
    Ok((index, bytes))
}

pub(crate) async fn put_index(client: &Client, index: &NewIndex) -> Result<()> {
    let content: Bytes = index.bytes.clone();
    Ok(client.put(&format!("indexes/{}", index.name), content).await?)
}

/// Where the record of a slug lies.
pub(crate) fn record_name(id: &SlugId) -> String {
    format!("slugs/{id}")
}

/// All that a slug needs, each once: its pages, then its objects in the order of their paths, so
/// that what lies together in a tree lies together in packs.
fn needs<'a>(manifest: &'a Manifest, pages: &[PageId]) -> Vec<Need<'a>> {
    let pages = pages.iter().map(|page| Need { thing: Thing::Page(*page), size: 0, path: b"" });
    let files = manifest.files();
    let files = files.map(|(path, object, size)| Need { thing: Thing::Object(object), size, path });
    let mut seen = HashSet::new();
    pages.chain(files).filter(|need| seen.insert(need.thing)).collect()
}
