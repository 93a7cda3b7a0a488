//! Removal from the bucket: of slugs that this machine no longer needs, and of what no slug needs.
//!
//! Other machines may send and fetch meanwhile. What was put there lately is left alone, because
//! its record may be on its way. Of what is older the index goes first; then the records are looked
//! at again, and whoever put one in between has counted on an index that is put back. Whoever puts
//! one later sees that the index is gone, and sends its things anew under new names.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use object_store::ObjectMeta;
use slugline_model::slug::SlugId;

use crate::Store;
use crate::bucket::index::Thing;
use crate::bucket::packing::pack_name;
use crate::bucket::record::Record;
use crate::bucket::trouble::Trouble;
use crate::bucket::upload::record_name;
use crate::bucket::{Bucket, Home, crew};
use crate::error::{Result, StoreError};
use crate::manifest::Head;

/// What [`Store::collect`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Slugs that were removed.
    pub slugs: u64,
    /// Packs that were removed.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packs that were put together of what others still had.
    pub new_packs: u64,
}

/// What lies in the bucket, by name.
type Listed = BTreeMap<String, ObjectMeta>;

/// The records of all slugs.
pub(crate) type Records = HashMap<SlugId, Record>;

impl Store {
    /// Removes from the bucket the slugs that no machine needs any more: those that this one put
    /// there and that are not to be kept, unless another machine needs them too. Then what no slug
    /// in the bucket needs. Where the settings do not allow it, nothing is done.
    pub fn collect(&self, keep: &[SlugId]) -> Result<Collected> {
        self.collect_but(&mut |_| Some(keep.to_vec()))
    }

    /// The same, with the slugs to keep asked for, of those that this machine has put there, at a
    /// moment when it puts none. None says that none may be given up now.
    pub fn collect_but(
        &self,
        keep: &mut dyn FnMut(&[SlugId]) -> Option<Vec<SlugId>>,
    ) -> Result<Collected> {
        let Some(home) = &self.home else { return Ok(Collected::default()) };
        if !home.bucket.settings().collect {
            return Ok(Collected::default());
        }
        let _lock = self.lock_shared()?;
        let mut done = Collected { slugs: home.disown(keep)?, ..Collected::default() };
        let (now, slugs) = home.bucket.slugs_and_time()?;
        let mut records = home.records(slugs.keys())?;
        let indexes = home.bucket.listed("indexes")?;
        let names: BTreeSet<String> = indexes.keys().cloned().collect();
        home.cache.keep_indexes(&names)?;
        home.cache.learn(&home.bucket, &names)?;
        let sparse = self.repack(home, &mut records, &mut done)?;
        let needed: HashSet<&String> = records.values().flat_map(|r| &r.indexes).collect();
        let is_old = |name: &&String| home.bucket.is_old(&indexes[*name], &now);
        let unneeded = indexes.keys().filter(|name| !needed.contains(name)).filter(is_old);
        let mut dead: BTreeSet<String> = unneeded.cloned().collect();
        dead.extend(sparse);
        home.drop_indexes(&mut dead, &slugs)?;
        home.drop_packs(&dead, &names, &now, &mut done)?;
        Ok(done)
    }

    /// Which things of each index are needed.
    pub(crate) fn needed_of_indexes(
        &self,
        home: &Home,
        records: &Records,
    ) -> Result<HashMap<String, HashSet<Thing>>> {
        let mut live: HashMap<String, HashSet<Thing>> = HashMap::new();
        for (id, record) in records {
            let things = self.things_of(home, id, record)?;
            let places = home.cache.find(&things, &record.indexes);
            for (thing, (pack, _)) in places.of {
                live.entry(places.packs[pack].index.clone()).or_default().insert(thing);
            }
        }
        Ok(live)
    }

    /// All that a slug in the bucket needs.
    fn things_of(&self, home: &Home, id: &SlugId, record: &Record) -> Result<HashSet<Thing>> {
        let understood = |source| StoreError::Manifest { id: id.clone(), source };
        let pages = Head::decode(&record.head).map_err(understood)?.pages;
        let lacking = pages.iter().filter(|page| !self.has_page(**page));
        let lacking: Vec<Thing> = lacking.map(|page| Thing::Page(*page)).collect();
        self.fetch_found(home, &lacking, &record.indexes)?;
        let manifest = self.manifest_of(id, &record.head)?;
        let objects = manifest.files().map(|(_, object, _)| Thing::Object(object));
        Ok(objects.chain(pages.iter().map(|page| Thing::Page(*page))).collect())
    }
}

impl Home {
    /// Removes the slugs that this machine was the last to need.
    fn disown(&self, keep: &mut dyn FnMut(&[SlugId]) -> Option<Vec<SlugId>>) -> Result<u64> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let own = self.cache.slugs()?;
        let Some(keep) = keep(&own) else { return Ok(0) };
        let mut removed = 0;
        for id in own.iter().filter(|id| !keep.contains(id)) {
            let client = &self.bucket.client;
            self.bucket.wait(client.delete(&self.cache.owner_name(id)?))?;
            if !self.is_owned(id)? && self.remove_record(id)? {
                removed += 1;
            }
            self.cache.forget_slug(id)?;
        }
        Ok(removed)
    }

    fn is_owned(&self, id: &SlugId) -> Result<bool> {
        Ok(!self.bucket.wait(self.bucket.client.list(&format!("owners/{id}")))?.is_empty())
    }

    /// Removes a record, unless another machine comes to need it at this very moment.
    fn remove_record(&self, id: &SlugId) -> Result<bool> {
        let name = record_name(id);
        let record = match self.record(id) {
            Ok(record) => record,
            Err(StoreError::UnknownSlug { .. }) => return Ok(false),
            Err(error) => return Err(error),
        };
        self.bucket.wait(self.bucket.client.delete(&name))?;
        let wanted = self.is_owned(id)?;
        if wanted {
            self.bucket.wait(self.bucket.client.put(&name, record.encode().into()))?;
        }
        Ok(!wanted)
    }

    /// The records of these slugs. One that cannot be read ends it: what it needs is not known.
    fn records<'a>(&self, names: impl Iterator<Item = &'a String>) -> Result<Records> {
        let mut records = Records::new();
        for id in names.filter_map(|name| name.parse().ok()) {
            let record = self.record(&id)?;
            records.insert(id, record);
        }
        Ok(records)
    }

    /// Removes these indexes, and puts back those that a record has come to need meanwhile.
    fn drop_indexes(&self, dead: &mut BTreeSet<String>, before: &Listed) -> Result<()> {
        let mut kept: HashMap<String, Bytes> = HashMap::new();
        for name in &*dead {
            if let Some(bytes) = self.cache.index_bytes(name) {
                kept.insert(name.clone(), bytes.into());
            }
            self.bucket.wait(self.bucket.client.delete(&format!("indexes/{name}")))?;
        }
        let (_, now) = self.bucket.slugs_and_time()?;
        let is_new = |name: &&String| match (before.get(*name), now.get(*name)) {
            (Some(before), Some(now)) => before.e_tag != now.e_tag,
            _ => true,
        };
        let new = self.records(now.keys().filter(is_new))?;
        for record in new.values() {
            let back: Vec<String> = record.indexes.intersection(dead).cloned().collect();
            for index in back {
                if let Some(bytes) = kept.get(&index) {
                    let name = format!("indexes/{index}");
                    self.bucket.wait(self.bucket.client.put(&name, bytes.clone()))?;
                }
                dead.remove(&index);
            }
        }
        Ok(())
    }

    /// Removes the packs of these indexes, and old ones of which no index tells.
    fn drop_packs(
        &self,
        dead: &BTreeSet<String>,
        indexes: &BTreeSet<String>,
        now: &ObjectMeta,
        done: &mut Collected,
    ) -> Result<()> {
        let mut told = HashSet::new();
        for name in indexes.difference(dead) {
            // One that cannot be read may tell of any pack.
            let index = self.cache.index(name);
            told.insert(index.ok_or_else(|| self.bucket.missing(&format!("indexes/{name}")))?.pack);
        }
        let of_dead: HashSet<String> =
            dead.iter().filter_map(|name| self.cache.index(name)).map(|index| index.pack).collect();
        let packs = self.bucket.listed("packs")?;
        // Indexes that came while this ran are not among those that were read.
        let came = self.bucket.index_names()?;
        if !came.is_subset(indexes) {
            let new: BTreeSet<String> = came.difference(indexes).cloned().collect();
            self.cache.learn(&self.bucket, &new)?;
            told.extend(new.iter().filter_map(|name| self.cache.index(name)).map(|i| i.pack));
        }
        let unneeded = packs.iter().filter(|(name, meta)| {
            let old = of_dead.contains(*name) || self.bucket.is_old(meta, now);
            old && !told.contains(*name)
        });
        let jobs = unneeded.map(|(name, meta)| {
            let (client, name, size) =
                (Arc::clone(&self.bucket.client), (*name).clone(), meta.size);
            Ok(async move {
                client.delete(&format!("packs/{name}")).await?;
                Ok::<u64, StoreError>(size)
            })
        });
        crew::each(self.bucket.runtime(), jobs, |size| {
            done.packs += 1;
            done.bytes += size;
            Ok(())
        })?;
        dead.iter().try_for_each(|name| self.cache.forget_index(name))
    }
}

impl Bucket {
    fn listed(&self, directory: &str) -> Result<Listed> {
        Ok(self.wait(self.client.list(directory))?.into_iter().collect())
    }

    /// What lies in `slugs/`, and something that was put there just now: only a list that has it
    /// is believed, since all that no slug of the list needs is removed; and it tells the bucket's
    /// own time.
    fn slugs_and_time(&self) -> Result<(ObjectMeta, Listed)> {
        let mark = format!("probe-{}", pack_name(blake3::hash(b"probe")));
        let name = format!("slugs/{mark}");
        self.wait(self.client.put(&name, Bytes::from_static(b"probe")))?;
        let listed = self.listed("slugs");
        self.wait(self.client.delete(&name))?;
        let mut listed = listed?;
        let probe = listed.remove(&mark);
        let missing = || self.client.error("list", "slugs", Trouble::Missing);
        Ok((probe.ok_or_else(missing)?, listed))
    }

    /// Whether something has been there for so long that its record would be there too.
    fn is_old(&self, meta: &ObjectMeta, now: &ObjectMeta) -> bool {
        let age = now.last_modified.signed_duration_since(meta.last_modified);
        age.to_std().is_ok_and(|age| age >= self.settings.grace)
    }
}
