//! Log drains: the senders that run, kept equal to the table.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use slugline_model::drain::DrainUrl;
use slugline_model::name::AppName;
use slugline_model::outbound::Outbound;
use tokio::task::AbortHandle;
use uuid::Uuid;

use crate::db;
use crate::platform::Platform;

/// How often it is written down how far drains are. After a kill, as much may be sent again.
const NOTE: Duration = Duration::from_secs(5);

/// Where an app's log is to be sent.
#[derive(Debug, Clone)]
pub struct DrainOrder {
    /// The app.
    pub app: AppName,
    /// Where to.
    pub url: DrainUrl,
    /// What the drain is known by.
    pub token: String,
    /// The number of the last line that has arrived; none where it begins with lines to come.
    pub after: Option<u64>,
    /// What may be connected to.
    pub outbound: Outbound,
    /// Told the number of the last line that has arrived.
    pub arrived: Arc<AtomicU64>,
}

/// Sends an app's log for as long as it is polled.
pub type DrainSender = Arc<dyn Fn(DrainOrder) -> BoxFuture<'static, ()> + Send + Sync>;

/// The drains that run, by id.
#[derive(Debug, Default)]
pub(crate) struct Drains(Mutex<HashMap<Uuid, Running>>);

#[derive(Debug)]
struct Running {
    app: AppName,
    task: AbortHandle,
    arrived: Arc<AtomicU64>,
    noted: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drains {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Platform {
    /// Starts drains that are new, and ends those that are gone. Those of an app that has another
    /// name go on where they were.
    pub(crate) fn keep_drains(&self) {
        let wanted = match self.inner.db.read(db::log_drain::all) {
            Ok(wanted) => wanted,
            Err(error) => return tracing::error!(?error, "the log drains could not be read"),
        };
        let mut running = self.inner.drains.lock();
        running.retain(|id, one| wanted.iter().any(|(app, w)| w.id == *id && *app == one.app));
        for (app, drain) in wanted {
            running.entry(drain.id).or_insert_with(|| {
                let arrived = Arc::new(AtomicU64::new(drain.arrived));
                let order = DrainOrder {
                    app: app.clone(),
                    url: drain.url,
                    token: drain.token,
                    after: (drain.arrived > 0).then_some(drain.arrived),
                    outbound: self.inner.config.outbound.clone(),
                    arrived: Arc::clone(&arrived),
                };
                let task = tokio::spawn((self.inner.drain_sender)(order)).abort_handle();
                Running { app, task, arrived, noted: drain.arrived }
            });
        }
    }

    /// Writes down how far drains are, now and then, for ever.
    pub(crate) async fn note_drains_for_ever(self) {
        loop {
            tokio::time::sleep(NOTE).await;
            self.note_drains();
        }
    }

    /// Writes down how far drains are.
    pub(crate) fn note_drains(&self) {
        let mut running = self.inner.drains.lock();
        let mut news: Vec<(Uuid, u64)> = Vec::new();
        for (id, one) in running.iter_mut() {
            let arrived = one.arrived.load(Ordering::Relaxed);
            if arrived != std::mem::replace(&mut one.noted, arrived) {
                news.push((*id, arrived));
            }
        }
        drop(running);
        if news.is_empty() {
            return;
        }
        let noted = self.inner.db.transaction(|db| {
            news.iter().try_for_each(|(id, arrived)| db::log_drain::set_arrived(db, *id, *arrived))
        });
        if let Err(error) = noted {
            tracing::warn!(?error, "how far log drains are could not be written down");
        }
    }
}
