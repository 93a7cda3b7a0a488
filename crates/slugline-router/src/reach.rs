//! Finding a dyno that takes the request: wait for one to boot, choose at random, try another.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpStream as StdStream};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use slugline_model::code::Code;
use slugline_model::dyno::DynoId;
use slugline_model::route::{Backend, RouteTable, Serving};
use tokio::net::{TcpSocket, TcpStream};

use crate::Router;
use crate::client::MAX_HEADERS;
use crate::exchange::Exchange;
use crate::pool::Sender;

/// Dynos that are tried for one request. Heroku: 10.
const ATTEMPTS: usize = 10;
/// How long a dyno that could not be connected to is tried last. Heroku: at most 5 s.
const SHUNNED: Duration = Duration::from_secs(5);

/// A connection to a dyno.
pub(crate) struct Reached {
    pub(crate) dyno: Backend,
    pub(crate) sender: Sender,
    /// Whether it carried a request before.
    pub(crate) used: bool,
}

impl Router {
    /// A connection to one of the host's dynos. `fresh` asks for one that carried no request yet.
    pub(crate) async fn reach(
        &self,
        exchange: &mut Exchange,
        fresh: bool,
    ) -> Result<Reached, Code> {
        let mut tried = Vec::new();
        let mut failure = Code::H14;
        while tried.len() < ATTEMPTS {
            let routes = self.serving(&exchange.host).await?;
            let Some(backend) = self.choose(&routes, &exchange.host, &tried) else { break };
            exchange.dyno = Some(backend.dyno.clone());
            exchange.answering = Some(self.in_flight.enter(backend.id));
            let start = Instant::now();
            let reached = self.connect(backend, fresh).await;
            exchange.connect = Some(start.elapsed());
            match reached {
                Ok(reached) => return Ok(reached),
                Err(code) => {
                    failure = code;
                    self.shun(backend.id);
                    tried.push(backend.id);
                }
            }
        }
        Err(failure)
    }

    /// The routes once dynos serve the host; if none do, or none in time, the code that says so.
    async fn serving(&self, host: &str) -> Result<Arc<RouteTable>, Code> {
        let decide = |routes: &RouteTable| match routes.find(host).map(|route| &route.serving) {
            Some(Serving::Dynos(_)) => Some(Ok(())),
            Some(Serving::Booting) => None,
            Some(Serving::Nobody(code)) => Some(Err(*code)),
            None => Some(Err(Code::H14)),
        };
        let now = Arc::clone(&self.routes.borrow());
        if let Some(decided) = decide(&now) {
            return decided.map(|()| now);
        }
        let mut routes = self.routes.clone();
        let changed = routes.wait_for(|routes| decide(routes).is_some());
        match tokio::time::timeout(self.limits.boot, changed).await {
            Ok(Ok(routes)) => {
                decide(&routes).unwrap_or(Err(Code::H20)).map(|()| Arc::clone(&routes))
            }
            // The platform is gone, or no dyno came up.
            Ok(Err(_)) | Err(_) => Err(Code::H20),
        }
    }

    /// A random dyno that was not tried yet, one that is not shunned if there is one.
    fn choose<'a>(
        &self,
        routes: &'a RouteTable,
        host: &str,
        tried: &[DynoId],
    ) -> Option<&'a Backend> {
        let Serving::Dynos(dynos) = &routes.find(host)?.serving else { return None };
        let mut shunned = self.shunned.lock().unwrap_or_else(PoisonError::into_inner);
        shunned.retain(|_, since| since.elapsed() < SHUNNED);
        let good = |dyno: &&Backend| !tried.contains(&dyno.id) && !shunned.contains_key(&dyno.id);
        random(dynos, good).or_else(|| random(dynos, |dyno| !tried.contains(&dyno.id)))
    }

    fn shun(&self, dyno: DynoId) {
        let mut shunned = self.shunned.lock().unwrap_or_else(PoisonError::into_inner);
        shunned.insert(dyno, Instant::now());
    }

    /// An idle connection or a new one.
    pub(crate) async fn connect(&self, dyno: &Backend, fresh: bool) -> Result<Reached, Code> {
        if let Some(sender) = self.pool.take(dyno.id).filter(|_| !fresh) {
            return Ok(Reached { dyno: dyno.clone(), sender, used: true });
        }
        let stream = match tokio::time::timeout(self.limits.connect, self.dial(dyno)).await {
            Ok(stream) => stream.map_err(|_| Code::H21)?,
            Err(_) => return Err(Code::H19),
        };
        let _ = stream.set_nodelay(true);
        let handshake = hyper::client::conn::http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .handshake(TokioIo::new(stream));
        let (sender, connection) = handshake.await.map_err(|_| Code::H21)?;
        // It ends when the dyno closes it, or when the sender is dropped.
        tokio::spawn(connection.with_upgrades());
        Ok(Reached { dyno: dyno.clone(), sender, used: false })
    }

    /// A connection from inside the dyno's own network.
    async fn dial(&self, dyno: &Backend) -> std::io::Result<TcpStream> {
        let (dial, id) = (Arc::clone(&self.dial), dyno.id);
        // It asks the dyno's init, which a dyno that takes all of its processor time keeps waiting.
        let socket = tokio::task::spawn_blocking(move || dial(id)).await??;
        let socket = TcpSocket::from_std_stream(StdStream::from(socket));
        socket.connect((Ipv4Addr::LOCALHOST, dyno.port).into()).await
    }
}

/// One of those that are `good`, each as likely as the others.
fn random(dynos: &[Backend], good: impl Fn(&&Backend) -> bool) -> Option<&Backend> {
    let count = dynos.iter().filter(&good).count();
    // A new hasher's keys are as random as balancing needs.
    let draw = RandomState::new().hash_one(0) % u64::try_from(count).ok().filter(|n| *n > 0)?;
    dynos.iter().filter(&good).nth(usize::try_from(draw).ok()?)
}
