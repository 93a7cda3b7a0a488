//! Connections to dynos that wait for another request.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use hyper::client::conn::http1::SendRequest;
use slugline_model::dyno::DynoId;
use slugline_model::route::{RouteTable, Serving};

use crate::upload::Upload;

/// How long a connection is worth keeping. Servers close idle connections after 2 s (gunicorn) or
/// 5 s (Node, uvicorn) and more; a request sent at that very moment would be lost, so ours are
/// given up before. A new connection costs less than 0.1 ms.
const KEPT: Duration = Duration::from_secs(1);
/// Connections kept per dyno.
const MOST: usize = 256;

/// What a request is sent through.
pub(crate) type Sender = SendRequest<Upload>;

#[derive(Default)]
pub(crate) struct Pool {
    /// By dyno, the longest idle first.
    idle: Mutex<HashMap<DynoId, Vec<(Sender, Instant)>>>,
}

impl Pool {
    /// A connection that is ready for a request, if there is one.
    pub(crate) fn take(&self, dyno: DynoId) -> Option<Sender> {
        let mut idle = self.lock();
        let waiting = idle.get_mut(&dyno)?;
        while let Some((mut sender, since)) = waiting.pop() {
            let ready = matches!(sender.ready().now_or_never(), Some(Ok(())));
            if ready && since.elapsed() < KEPT {
                return Some(sender);
            }
        }
        None
    }

    /// Keeps a connection whose response was read to its end.
    pub(crate) fn put(&self, dyno: DynoId, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.lock();
        let waiting = idle.entry(dyno).or_default();
        let old = waiting.iter().take_while(|(_, since)| since.elapsed() >= KEPT).count();
        waiting.drain(..old);
        if waiting.len() < MOST {
            waiting.push((sender, Instant::now()));
        }
    }

    /// Forgets the dynos that serve no more.
    pub(crate) fn keep(&self, routes: &RouteTable) {
        let backends = routes.hosts.values().flat_map(|route| match &route.serving {
            Serving::Dynos(dynos) => dynos.as_slice(),
            Serving::Booting | Serving::Nobody(_) => &[],
        });
        let serving: HashSet<DynoId> = backends.map(|dyno| dyno.id).collect();
        self.lock().retain(|dyno, _| serving.contains(dyno));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DynoId, Vec<(Sender, Instant)>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
