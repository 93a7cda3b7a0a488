//! Which dyno answers a request: the router's table, made by the platform, read by the router.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::code::Code;
use crate::dyno::DynoId;
use crate::name::{AppName, DynoName};

/// Hosts and the apps behind them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RouteTable {
    /// Lowercase host name without port, to its app.
    pub hosts: HashMap<String, AppRoute>,
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

impl RouteTable {
    /// The app behind a `Host` header, whose port and letter case do not matter.
    pub fn find(&self, host: &str) -> Option<&AppRoute> {
        self.hosts.get(&host_name(host).to_ascii_lowercase())
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
    fn a_host_is_found_whatever_its_port_and_case() {
        let app: AppName = "library".parse().unwrap();
        let route = AppRoute { app, serving: Serving::Nobody(Code::H14) };
        let table = RouteTable { hosts: [("library.localhost".into(), route)].into() };
        assert!(table.find("Library.localhost:5080").is_some());
        assert!(table.find("library.localhost").is_some());
        assert!(table.find("localhost").is_none());
    }
}
