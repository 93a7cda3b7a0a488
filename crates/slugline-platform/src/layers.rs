//! The keeper of layers: what stopped dynos wrote is kept for a while, and then goes.
//!
//! The state says that a layer is discarded before the layer goes, so a server that is killed
//! between the two leaves one that the next server discards. While somebody reads a layer it stays.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slugline_model::dyno::DynoId;
use slugline_model::kept::{KeptLayer, Why, due};
use slugline_model::logline::{LogLine, Source};
use slugline_model::port::EngineError;
use slugline_model::size;
use tokio::sync::Notify;

use crate::clock;
use crate::db::receipt::KeptRow;
use crate::db::{self, DbError};
use crate::platform::{Inner, Platform};

/// How often the disk and the layers' ages are looked at when nothing happens.
const LOOK: Duration = Duration::from_secs(30);

/// Who reads which layer, and which one goes.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    due: Notify,
    uses: Arc<Mutex<Uses>>,
}

#[derive(Debug, Default)]
struct Uses {
    readers: HashMap<DynoId, usize>,
    /// The one that is being discarded.
    going: Option<DynoId>,
}

/// A layer that stays for as long as this does.
#[derive(Debug)]
pub(crate) struct Held {
    id: DynoId,
    uses: Arc<Mutex<Uses>>,
}

impl Layers {
    /// Something changed: a layer may have to go.
    pub(crate) fn look(&self) {
        self.due.notify_one();
    }

    /// Holds a layer; none where it is just going.
    pub(crate) fn hold(&self, id: DynoId) -> Option<Held> {
        let mut uses = lock(&self.uses);
        if uses.going == Some(id) {
            return None;
        }
        *uses.readers.entry(id).or_default() += 1;
        Some(Held { id, uses: Arc::clone(&self.uses) })
    }

    /// Whether nobody reads a layer, and from now on nobody will until it has gone.
    fn claim(&self, id: DynoId) -> bool {
        let mut uses = lock(&self.uses);
        let free = !uses.readers.contains_key(&id);
        if free {
            uses.going = Some(id);
        }
        free
    }

    fn gone(&self) {
        lock(&self.uses).going = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut uses = lock(&self.uses);
        if let Some(readers) = uses.readers.get_mut(&self.id) {
            *readers -= 1;
            if *readers == 0 {
                uses.readers.remove(&self.id);
            }
        }
    }
}

fn lock(uses: &Mutex<Uses>) -> MutexGuard<'_, Uses> {
    uses.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why layers could not be looked after.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// What is there, and what is known of it.
struct Found {
    /// Layers that the state says are kept.
    kept: Vec<KeptRow>,
    /// Those of them that are not there.
    missing: HashSet<DynoId>,
    /// Layers that are there, and that nobody knows or wants.
    unwanted: Vec<DynoId>,
}

impl Platform {
    /// Looks after the layers: at the start, after each receipt, and every now and then.
    pub(crate) async fn keep_layers_for_ever(self) {
        loop {
            if let Err(error) = self.blocking(Inner::keep_layers).await {
                tracing::error!(?error, "kept layers could not be looked after");
            }
            let _ = tokio::time::timeout(LOOK, self.inner.layers.due.notified()).await;
        }
    }
}

impl Inner {
    fn keep_layers(&self) -> Result<(), KeepError> {
        let found = self.find_layers()?;
        let (missing, there): (Vec<KeptRow>, Vec<KeptRow>) =
            found.kept.into_iter().partition(|row| found.missing.contains(&row.id));
        for row in &missing {
            self.give_up(row, Why::Missing)?;
        }
        for id in found.unwanted {
            self.discard(id, None);
        }
        let layer =
            |row: &KeptRow| KeptLayer { id: row.id, bytes: row.layer_bytes, since: row.since };
        let layers: Vec<KeptLayer> = there.iter().map(layer).collect();
        let free = free_bytes(&self.config.data_dir);
        for (id, why) in due(&layers, &self.config.keeping, free, clock::now()) {
            let row = there.iter().find(|row| row.id == id);
            self.discard(id, row.map(|row| (row, why)));
        }
        Ok(())
    }

    /// Dynos that are not forgotten yet are passed over: their layers may be on their way, and
    /// their receipts, too. Who was alive is asked before and after, since a dyno that ends in
    /// between has its receipt first and is forgotten then.
    fn find_layers(&self) -> Result<Found, KeepError> {
        let mut alive = self.alive();
        let kept = self.db.read(db::receipt::kept)?;
        let there: HashSet<DynoId> = self.engine.kept_layers()?.into_iter().collect();
        alive.extend(self.alive());
        let wanted: HashSet<DynoId> =
            self.db.read(db::receipt::kept)?.into_iter().map(|row| row.id).collect();
        let missing = kept.iter().map(|row| row.id);
        let missing = missing.filter(|id| !there.contains(id) && !alive.contains(id)).collect();
        let unwanted = there.into_iter();
        let unwanted = unwanted.filter(|id| !wanted.contains(id) && !alive.contains(id)).collect();
        Ok(Found { kept, missing, unwanted })
    }

    fn alive(&self) -> HashSet<DynoId> {
        self.known_dynos().alive.keys().copied().collect()
    }

    /// Removes a layer that nobody reads, once that was written down where it is known. One that
    /// cannot go now is tried again, and holds no other one up.
    fn discard(&self, id: DynoId, known: Option<(&KeptRow, Why)>) {
        if !self.layers.claim(id) {
            return;
        }
        let written = known.map_or(Ok(()), |(row, why)| self.give_up(row, why));
        let discarded = written.and_then(|()| Ok(self.engine.discard_layer(id)?));
        self.layers.gone();
        if let Err(error) = discarded {
            tracing::error!(?error, %id, "a layer could not be discarded");
        }
    }

    /// Writes down that a layer is no longer kept, and says so.
    fn give_up(&self, row: &KeptRow, why: Why) -> Result<(), KeepError> {
        let now = clock::now();
        self.db.transaction(|db| db::receipt::discard(db, row.id, why, now))?;
        if row.quiet {
            return Ok(());
        }
        let text = format!(
            "{} can no longer be restored, as {}: {}, {}",
            row.run,
            why.reason(&self.config.keeping),
            size::files(row.files),
            size::human(row.bytes)
        );
        let process = row.run.dyno.to_string();
        self.log.write(&row.app, LogLine { time: now, source: Source::Heroku, process, text });
        Ok(())
    }
}

/// What is free on a directory's disk for this user (bytes); all there can be where that is not
/// known.
fn free_bytes(directory: &Path) -> u64 {
    rustix::fs::statvfs(directory)
        .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_is_read_stays_and_one_that_goes_is_not_read() {
        let (layers, id) = (Layers::default(), DynoId::new_v4());
        let first = layers.hold(id).unwrap();
        let second = layers.hold(id).unwrap();
        drop(first);
        assert!(!layers.claim(id));
        drop(second);
        assert!(layers.claim(id));
        assert!(layers.hold(id).is_none());
        assert!(layers.hold(DynoId::new_v4()).is_some());
        layers.gone();
        assert!(layers.hold(id).is_some());
    }
}
