//! Request to dyno: host → app → a random dyno, both ways without buffering.
//!
//! The life of a request is the order of the modules: a `client` connects and asks; its
//! `exchange` begins, which will be one line of the app's log whatever happens; a dyno is
//! reached (`reach`), over a connection from the `pool` or a new one; the request goes there (`forward`) with
//! the headers that the rules in `headers` ask for, its body as an `upload`; what comes back is
//! a `relay`, or, after an upgrade, a `tunnel`; for a file that the dyno has not, a `bridge` to an
//! earlier release. Uploads may be `media` out of the app's bucket, which no dyno is asked for. What stands `aside` answers for itself. Where there is nothing to relay, a `page` says why.

mod aside;
mod bridge;
mod client;
mod exchange;
mod forward;
mod headers;
mod media;
mod page;
mod pool;
mod reach;
mod relay;
mod tunnel;
mod upload;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::select_all;
use rustls::ServerConfig;
use slugline_model::dyno::DynoId;
use slugline_model::limits::Limits;
use slugline_model::logline::LogSink;
use slugline_model::route::{Dial, Elsewhere, InFlight, RouteTable};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use crate::aside::{Answerer, Aside, AsideBody};
pub use crate::media::{Found, MediaSource, Wanted};
use crate::pool::Pool;

/// How long accepting rests after it failed, for want of file descriptors mostly.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// The HTTP router.
pub struct Router {
    routes: watch::Receiver<Arc<RouteTable>>,
    log: Arc<dyn LogSink>,
    dial: Dial,
    in_flight: InFlight,
    elsewhere: Arc<dyn Elsewhere>,
    tls: Option<Arc<ServerConfig>>,
    aside: Option<Aside>,
    media: Option<MediaSource>,
    limits: Limits,
    /// Connections to dynos that wait for another request.
    pool: Arc<Pool>,
    /// Dynos that could not be connected to, and when: others are tried first for a while.
    shunned: Mutex<HashMap<DynoId, Instant>>,
    /// Whether the router is shutting down.
    closing: watch::Receiver<bool>,
}

/// Where clients come in.
pub struct Entrance {
    /// At least one. Each speaks HTTP and, where there is a configuration, TLS.
    pub listeners: Vec<TcpListener>,
    /// How TLS is spoken.
    pub tls: Option<Arc<ServerConfig>>,
    /// Who answers under a name that is no app's.
    pub aside: Option<Aside>,
    /// Who has apps' uploads.
    pub media: Option<MediaSource>,
}

impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listeners, aside, .. } = self;
        let mut named = f.debug_struct("Entrance");
        named.field("listeners", listeners).field("aside", aside).finish_non_exhaustive()
    }
}

impl Entrance {
    /// One port, without TLS.
    pub fn plain(listener: TcpListener) -> Self {
        Self { listeners: vec![listener], tls: None, aside: None, media: None }
    }
}

/// The next client at any of the listeners.
async fn accept(listeners: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    let each = listeners.iter().map(|listener| Box::pin(listener.accept()));
    // All are of the machine, so the order in which they are asked does not matter.
    select_all(each).await.0
}

impl Router {
    /// Serves until `shutdown` is done, then ends idle connections and tunnels, and waits for
    /// requests that are under way for as long as a dyno may take to stop.
    ///
    /// Each request of a known host becomes one line of its app's log, and is counted for as long
    /// as a dyno answers it.
    pub async fn serve(
        Entrance { listeners, tls, aside, media }: Entrance,
        mut routes: watch::Receiver<Arc<RouteTable>>,
        log: Arc<dyn LogSink>,
        (dial, in_flight, elsewhere): (Dial, InFlight, Arc<dyn Elsewhere>),
        limits: Limits,
        shutdown: impl Future<Output = ()>,
    ) {
        let (close, closing) = watch::channel(false);
        let patience = limits.stop;
        let pool = Arc::new(Pool::default());
        let shunned = Mutex::default();
        let routes_now = routes.clone();
        let shared = Self {
            routes: routes_now,
            log,
            dial,
            in_flight,
            elsewhere,
            tls,
            aside,
            media,
            limits,
            pool,
            shunned,
            closing,
        };
        let shared = Arc::new(shared);
        let mut clients = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = accept(&listeners) => match accepted {
                    Ok((stream, peer)) => {
                        clients.spawn(Arc::clone(&shared).converse(stream, peer));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_REST).await;
                    }
                },
                Some(_) = clients.join_next() => {}
                Ok(()) = routes.changed() => shared.pool.keep(&routes.borrow_and_update()),
            }
        }
        drop(listeners);
        close.send_replace(true);
        let all = async { while clients.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, all).await.is_err() {
            tracing::warn!("requests still under way at shutdown were cut off");
        }
    }
}
