//! Which dyno answers a request: the router's table, made by the platform, read by the router.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::acm::CHALLENGES;
use crate::code::Code;
use crate::domain::wildcard_of;
use crate::dyno::DynoId;
use crate::media::MediaRule;
use crate::name::{AppName, DynoName};

/// Hosts and the apps behind them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteTable {
    /// Lowercase host name without port, or `*.` and one, to its app.
    pub hosts: HashMap<String, AppRoute>,
    /// What authorities that issue certificates are to be answered, by token, at every host.
    pub challenges: HashMap<String, String>,
    /// Apps whose uploads are answered for out of their buckets.
    pub media: HashMap<AppName, MediaRule>,
}

/// One app as the router sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRoute {
    /// The app.
    pub app: AppName,
    /// Who answers its requests.
    pub serving: Serving,
}

/// Who answers an app's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Serving {
    /// These dynos; never empty.
    Dynos(Vec<Backend>),
    /// Its web dynos are starting: requests wait for one, up to the boot timeout, else H20.
    Booting,
    /// Nobody: the router answers with this code's error page.
    Nobody(Code),
}

/// A dyno that answers requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// Its name, for the log line.
    pub dyno: DynoName,
    /// This run of it.
    pub id: DynoId,
    /// Where it listens, on the loopback of its own network.
    pub port: u16,
}

/// Makes a socket in a dyno's own network: TCP over IPv4, connected to nothing, non-blocking. May
/// wait for the dyno's init, a few microseconds mostly.
pub type Dial = Arc<dyn Fn(DynoId) -> std::io::Result<OwnedFd> + Send + Sync>;

/// What the platform knows of files that a dyno was asked for and does not have.
pub trait Elsewhere: Send + Sync {
    /// The file of an earlier release that a path, whose name has a hash, asks for, where the app
    /// bridges its releases. Blocks on the disk.
    fn bridged(&self, app: &AppName, path: &str) -> Option<Bridged>;
    /// A dyno has answered a path with 404. Returns at once.
    fn missed(&self, app: &AppName, dyno: &Backend, path: &str);
}

/// Where nobody else has any file.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingElsewhere;

impl Elsewhere for NothingElsewhere {
    fn bridged(&self, _: &AppName, _: &str) -> Option<Bridged> {
        None
    }

    fn missed(&self, _: &AppName, _: &Backend, _: &str) {}
}

/// A file of an earlier release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridged {
    /// Which release's slug has it.
    pub release: u64,
    /// `Content-Type`.
    pub content_type: String,
    /// All of it.
    pub body: Vec<u8>,
}

/// How many requests each dyno answers now: counted by the router, so that the platform stops no
/// dyno in the middle of one. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Mutex<HashMap<DynoId, usize>>>);

/// A request that a dyno answers, until it is dropped.
#[derive(Debug)]
pub struct Answering {
    counts: InFlight,
    dyno: DynoId,
}

impl InFlight {
    /// A dyno is about to be sent a request.
    pub fn enter(&self, dyno: DynoId) -> Answering {
        *self.lock().entry(dyno).or_default() += 1;
        Answering { counts: self.clone(), dyno }
    }

    /// How many requests a dyno answers.
    pub fn count(&self, dyno: DynoId) -> usize {
        self.lock().get(&dyno).copied().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DynoId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        let left = counts.get(&self.dyno).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            counts.remove(&self.dyno);
        } else {
            counts.insert(self.dyno, left);
        }
    }
}

impl RouteTable {
    /// The answer to an authority's challenge, where a path is one.
    pub fn challenge(&self, path: &str) -> Option<&str> {
        self.challenges.get(path.strip_prefix(CHALLENGES)?).map(String::as_str)
    }

    /// The app behind a `Host` header, whose port and letter case do not matter. A name of its own
    /// goes before a wildcard.
    pub fn find(&self, host: &str) -> Option<&AppRoute> {
        let host = host_name(host).to_ascii_lowercase();
        self.hosts.get(&host).or_else(|| self.hosts.get(&wildcard_of(&host)?))
    }
}

/// A `Host` header without its port.
pub fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_until_they_end() {
        let (counts, dyno) = (InFlight::default(), DynoId::nil());
        let (first, second) = (counts.enter(dyno), counts.clone().enter(dyno));
        assert_eq!(counts.count(dyno), 2);
        drop(first);
        assert_eq!(counts.count(dyno), 1);
        drop(second);
        assert_eq!((counts.count(dyno), counts.lock().len()), (0, 0));
    }

    #[test]
    fn a_host_is_found_whatever_its_port_and_case() {
        let app: AppName = "library".parse().unwrap();
        let route = AppRoute { app, serving: Serving::Nobody(Code::H14) };
        let table = RouteTable {
            hosts: [("library.localhost".into(), route)].into(),
            ..RouteTable::default()
        };
        assert!(table.find("Library.localhost:5080").is_some());
        assert!(table.find("library.localhost").is_some());
        assert!(table.find("localhost").is_none());
    }

    #[test]
    fn a_wildcard_takes_what_has_no_name_of_its_own() {
        let to =
            |app: &str| AppRoute { app: app.parse().unwrap(), serving: Serving::Nobody(Code::H14) };
        let hosts = [("*.example.com".into(), to("all")), ("a.example.com".into(), to("one"))];
        let table = RouteTable { hosts: hosts.into(), ..RouteTable::default() };
        let app = |host| table.find(host).map(|route| route.app.as_str());
        assert_eq!(app("a.example.com:443"), Some("one"));
        assert_eq!(app("B.example.com"), Some("all"));
        assert_eq!(app("a.b.example.com"), None);
        assert_eq!(app("example.com"), None);
    }
}
