//! Files that the dyno asked does not have, and another release has.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};

use slugline_model::bridge::{Index, Kept};
use slugline_model::name::AppName;
use slugline_model::route::{Backend, Bridged, Elsewhere};
use slugline_model::slug::SlugId;
use slugline_model::static_site::content_type;

use crate::db;
use crate::platform::{Inner, Platform};

/// Releases that are looked through.
const RELEASES: u32 = 5;

/// The largest file that is answered for (bytes): it is held whole in memory.
const LARGEST: u64 = 16 << 20;

/// Slugs whose names are kept in memory.
const INDEXED: usize = 64;

/// The names of files with a hash, by slug.
#[derive(Debug, Default)]
pub(crate) struct Indexes(Mutex<HashMap<SlugId, Arc<Index>>>);

impl Platform {
    /// What the router asks for files that a dyno does not have.
    pub fn elsewhere(&self) -> Arc<dyn Elsewhere> {
        Arc::new(self.clone())
    }
}

impl Elsewhere for Platform {
    fn bridged(&self, app: &AppName, path: &str) -> Option<Bridged> {
        self.inner.bridged(app, path)
    }

    fn missed(&self, app: &AppName, dyno: &Backend, path: &str) {
        self.look_on_other_dynos(app, dyno, path);
    }
}

impl Inner {
    fn bridged(&self, app: &AppName, path: &str) -> Option<Bridged> {
        let trees = self.db.read(|db| {
            if db::prove::bridges(db, app.as_str())? {
                db::prove::last_trees(db, app.as_str(), RELEASES)
            } else {
                Ok(vec![])
            }
        });
        for (release, tree) in trees.unwrap_or_default() {
            let Some(index) = self.index(&tree) else { continue };
            let Some(kept) = index.find(path).filter(|kept| kept.size <= LARGEST) else { continue };
            if let Some(body) = self.content(kept) {
                let content_type = content_type(&kept.path, "utf-8");
                return Some(Bridged { release, content_type, body });
            }
        }
        None
    }

    fn content(&self, kept: &Kept) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        let file = self.store.open(kept.content).ok()?;
        file.take(LARGEST).read_to_end(&mut body).ok()?;
        Some(body)
    }

    /// Made when it is first needed.
    fn index(&self, tree: &SlugId) -> Option<Arc<Index>> {
        let lock = || self.indexes.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = lock().get(tree) {
            return Some(Arc::clone(index));
        }
        let listing = self.store.listing(tree);
        let listing = listing.inspect_err(|error| tracing::warn!(%error, "a slug is not bridged"));
        let index = Arc::new(Index::of(&listing.ok()?));
        let mut indexes = lock();
        if indexes.len() >= INDEXED {
            indexes.clear();
        }
        indexes.insert(tree.clone(), Arc::clone(&index));
        Some(index)
    }
}
