//! Packs of which little is needed any more: that little goes into new ones.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use slugline_model::slug::SlugId;

use crate::Store;
use crate::bucket::Home;
use crate::bucket::collect::{Collected, Records};
use crate::bucket::fetch::stretches;
use crate::bucket::index::Thing;
use crate::bucket::packing::Filling;
use crate::bucket::record::Record;
use crate::bucket::upload::{put_pack, record_name};
use crate::error::{Result, reading};

/// A pack is put together anew when less than this much of it is needed (per cent).
const SPARSE: u64 = 30;

impl Store {
    /// Puts what is needed of mostly dead packs into new ones, and changes the records to say so.
    /// Gives the indexes that no record names any more.
    pub(crate) fn repack(
        &self,
        home: &Home,
        records: &mut Records,
        done: &mut Collected,
    ) -> Result<BTreeSet<String>> {
        let live = self.needed_of_indexes(home, records)?;
        let is_sparse = |name: &&String| {
            let Some(index) = home.cache.index(name) else { return false };
            let needed = index.entries.iter().filter(|entry| live[*name].contains(&entry.thing));
            let needed: u64 = needed.map(|entry| entry.length).sum();
            needed * 100 < index.size * SPARSE
        };
        let sparse: BTreeSet<String> = live.keys().filter(is_sparse).cloned().collect();
        let wanted: HashSet<Thing> =
            sparse.iter().flat_map(|name| live[name].iter().copied()).collect();
        let new = self.gather(home, &wanted, &sparse)?;
        done.new_packs = new.len() as u64;
        for (id, record) in records.iter_mut() {
            if !record.indexes.is_disjoint(&sparse) {
                // What it counts on, it finds in the new ones or in those that stay.
                record.indexes.retain(|name| !sparse.contains(name));
                record.indexes.extend(new.iter().cloned());
                replace_record(home, id, record)?;
            }
        }
        Ok(sparse)
    }

    /// Copies things into new packs, each checked before. Gives the new indexes.
    fn gather(
        &self,
        home: &Home,
        wanted: &HashSet<Thing>,
        from: &BTreeSet<String>,
    ) -> Result<Vec<String>> {
        let places = home.cache.find(wanted, from);
        let (stretches, _) = stretches(&places);
        let (mut filling, mut new) = (Filling::default(), Vec::new());
        for stretch in stretches {
            let name = format!("packs/{}", stretch.pack);
            let bytes = home.bucket.client.get_range(&name, stretch.range.clone());
            let bytes = home.bucket.wait(bytes)?;
            for entry in &stretch.entries {
                let content = stretch.content(entry, &bytes);
                let content = content.filter(|content| entry.is_whole(content));
                let content = content.ok_or_else(|| home.damage(&name))?;
                if !filling.takes(content) {
                    new.extend(self.put_filled(home, std::mem::take(&mut filling))?);
                }
                filling.put(entry.thing, entry.squeezed, entry.size, content);
            }
        }
        new.extend(self.put_filled(home, filling)?);
        Ok(new)
    }

    fn put_filled(&self, home: &Home, filling: Filling) -> Result<Option<String>> {
        let Some(pack) = filling.finish().map_err(reading(self.layout.root()))? else {
            return Ok(None);
        };
        let (index, _) = home.bucket.wait(put_pack(Arc::clone(&home.bucket.client), pack))?;
        home.cache.note_index(&index.name, &index.bytes)?;
        Ok(Some(index.name))
    }
}

fn replace_record(home: &Home, id: &SlugId, record: &Record) -> Result<()> {
    let name = record_name(id);
    Ok(home.bucket.wait(home.bucket.client.put(&name, record.encode().into()))?)
}
