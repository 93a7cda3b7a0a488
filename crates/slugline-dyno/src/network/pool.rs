//! A few ready networks, made in the background.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use slugline_model::network::{NetworkOptions, Share};

use super::maker::Maker;
use crate::op_error::{OpError, Operation};

/// How many are kept.
const READY: usize = 1;

/// How long to wait for one. They take milliseconds, on a busy machine more.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ready networks, and the thread that makes them for as long as one of these lives.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Open>);

/// Closes the shared state when nobody is left who could take.
struct Open(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    ready: VecDeque<OwnedFd>,
    /// Those who wait for one.
    waiting: usize,
    /// Whether some are to be kept though nobody waits.
    keep: bool,
    failed: Option<OpError>,
    closed: bool,
}

impl Pool {
    pub(crate) fn start(
        nft: &Path,
        share: &Share,
        options: &NetworkOptions,
    ) -> Result<Self, OpError> {
        let shared = Arc::new(Shared::default());
        let (nft, share, options) = (nft.to_path_buf(), share.clone(), options.clone());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("dyno-networks".to_owned());
        let work = move || theirs.work(&nft, &share, &options);
        thread.spawn(work).op(|| "start a thread".to_owned())?;
        Ok(Self(Arc::new(Open(shared))))
    }

    /// A ready network. From now on some are kept.
    pub(crate) fn take(&self) -> Result<OwnedFd, OpError> {
        let shared = &self.0.0;
        let mut state = shared.lock();
        state.keep = true;
        state.waiting += 1;
        state.failed = None;
        shared.changed.notify_all();
        let nothing = |state: &mut State| state.ready.is_empty() && state.failed.is_none();
        let waited = shared.changed.wait_timeout_while(state, PATIENCE, nothing);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        let taken = state.ready.pop_front();
        shared.changed.notify_all();
        match (taken, state.failed.take()) {
            (Some(taken), _) => Ok(taken),
            (None, Some(error)) => Err(error),
            (None, None) => Err(Errno::TIMEDOUT).op(|| "make a network".to_owned()),
        }
    }

    /// Lets those that are kept go.
    pub(crate) fn empty(&self) {
        let mut state = self.0.0.lock();
        state.keep = false;
        state.ready.clear();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, nft: &Path, share: &Share, options: &NetworkOptions) {
        let mut maker = None;
        while self.is_wanted() {
            let made = match maker.take() {
                Some(maker) => Ok(maker),
                None => Maker::new(nft, share, options),
            };
            let made = made.and_then(|mut ours| ours.make().map(|network| (ours, network)));
            match made {
                Ok((ours, network)) => {
                    maker = Some(ours);
                    self.put(network);
                }
                Err(error) => self.fail(error),
            }
        }
    }

    /// Waits until a network is wanted; false at the end.
    fn is_wanted(&self) -> bool {
        let idle = |state: &mut State| {
            let wanted = state.waiting + if state.keep { READY } else { 0 };
            !state.closed && (state.failed.is_some() || state.ready.len() >= wanted)
        };
        let waited = self.changed.wait_while(self.lock(), idle);
        !waited.unwrap_or_else(PoisonError::into_inner).closed
    }

    fn put(&self, network: OwnedFd) {
        let mut state = self.lock();
        // It may have been emptied meanwhile.
        if state.keep {
            state.ready.push_back(network);
        }
        self.changed.notify_all();
    }

    /// Nothing more is made until somebody asks again.
    fn fail(&self, error: OpError) {
        self.lock().failed = Some(error);
        self.changed.notify_all();
    }
}
