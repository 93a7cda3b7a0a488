//! Builds that somebody no longer wants.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use uuid::Uuid;

/// The builds that can be canceled: those that wait or run.
#[derive(Debug, Default)]
pub(crate) struct Cancels(Mutex<HashMap<Uuid, watch::Sender<bool>>>);

/// Whether one build, or one release, is still wanted.
#[derive(Debug, Clone)]
pub(crate) struct Cancel(Option<watch::Receiver<bool>>);

impl Cancels {
    /// From now on this build can be canceled.
    pub(crate) fn open(&self, build: Uuid) -> Cancel {
        let (send, receive) = watch::channel(false);
        self.open_ones().insert(build, send);
        Cancel(Some(receive))
    }

    /// Cancels a build; false if it is over, or canceled already.
    pub(crate) fn cancel(&self, build: Uuid) -> bool {
        let open = self.open_ones();
        let found = open.get(&build);
        found.is_some_and(|send| !send.send_replace(true))
    }

    /// The build is over.
    pub(crate) fn close(&self, build: Uuid) {
        self.open_ones().remove(&build);
    }

    fn open_ones(&self) -> MutexGuard<'_, HashMap<Uuid, watch::Sender<bool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cancel {
    /// Of what nobody can cancel.
    pub(crate) fn never() -> Self {
        Self(None)
    }

    pub(crate) fn is_canceled(&self) -> bool {
        self.0.as_ref().is_some_and(|canceled| *canceled.borrow())
    }

    /// Waits until it is canceled, which may never come.
    pub(crate) async fn wait(&self) {
        if let Some(canceled) = &self.0
            && canceled.clone().wait_for(|canceled| *canceled).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}
