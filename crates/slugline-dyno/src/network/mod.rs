//! A dyno's own network: where it comes from, and how its first process takes it.
//!
//! As root the server keeps a few ready ones ([`Networks`]), since a pair of interfaces takes the
//! kernel some milliseconds; the supervisor gets one as its stdin, and the dyno's first process is
//! cloned inside. It belongs to the machine's user namespace, so nobody in the dyno can change it.
//! Otherwise the clone makes a new one, to which `pasta` joins the outside where it is installed.

mod maker;
mod netlink;
mod networks;
mod nft;
mod pasta;
mod pool;

use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, fstatfs, open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::{Deserialize, Serialize};
use slugline_model::dyno::Network;
use slugline_model::network::{NetworkOptions, Outside, Subnet, machines_addresses};

use crate::op_error::{OpError, Operation};
use crate::sys;
use netlink::Netlink;

pub(crate) use networks::{Given, Networks};
pub use networks::{NetworkFacts, network_facts};
pub(crate) use pasta::Pasta;

/// The name of the file in which the server tells a supervisor how its dyno reaches the outside.
const ORDER: &str = "network";

/// How a dyno reaches the outside, as the server tells its supervisor.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) outside: Outside,
    /// The program, for [`Outside::Pasta`].
    pub(crate) pasta: Option<PathBuf>,
    pub(crate) options: NetworkOptions,
}

impl Order {
    pub(crate) fn write(&self, dyno_directory: &Path) -> Result<(), OpError> {
        let path = dyno_directory.join(ORDER);
        let json = serde_json::to_vec(self).map_err(std::io::Error::from);
        let written = json.and_then(|json| fs_err::write(&path, json));
        written.op(|| format!("write {}", path.display()))
    }

    /// Without an order a dyno reaches nobody.
    pub(crate) fn read(dyno_directory: &Path) -> Self {
        let json = std::fs::read(dyno_directory.join(ORDER)).unwrap_or_default();
        serde_json::from_slice(&json).unwrap_or_default()
    }

    /// What no dyno may reach, as far as the dyno's own network is told.
    pub(crate) fn closed(&self) -> Vec<Subnet> {
        match self.outside {
            // The server has seen to it.
            Outside::Veth | Outside::None => Vec::new(),
            Outside::Pasta => slugline_model::network::closed(&own_addresses(), None),
        }
    }
}

/// The machine's addresses, in the caller's network.
fn own_addresses() -> Vec<Ipv4Addr> {
    let table = std::fs::read_to_string("/proc/thread-self/net/fib_trie").unwrap_or_default();
    machines_addresses(&table)
}

/// Where a dyno's network comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// It is the machine's.
    Host,
    /// It was made before.
    Ready(OwnedFd),
    /// It is made with the dyno's other namespaces.
    New,
}

impl Source {
    /// For a supervisor: its stdin is the network, if the server had one ready.
    pub(crate) fn of_supervisor(network: Network) -> Result<Self, OpError> {
        if network == Network::Host {
            return Ok(Source::Host);
        }
        let stdin = rustix::stdio::stdin();
        if !is_namespace(stdin) {
            return Ok(Source::New);
        }
        let namespace = rustix::io::fcntl_dupfd_cloexec(stdin, 3).op(|| "keep stdin".to_owned())?;
        let null = open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .op(|| "open /dev/null".to_owned())?;
        rustix::stdio::dup2_stdin(&null).op(|| "replace stdin".to_owned())?;
        Ok(Source::Ready(namespace))
    }

    /// Whether the clone is to make a network.
    pub(crate) fn is_new(&self) -> bool {
        matches!(self, Source::New)
    }

    /// Moves the calling thread there, if there is a place yet. Gives the way back.
    pub(crate) fn enter(&self) -> Result<Option<OwnedFd>, OpError> {
        let Source::Ready(namespace) = self else { return Ok(None) };
        let home = current()?;
        enter(namespace)?;
        Ok(Some(home))
    }
}

/// Whether a descriptor is one of a namespace.
fn is_namespace(fd: impl std::os::fd::AsFd) -> bool {
    const NSFS_MAGIC: u32 = 0x6E73_6673;
    fstatfs(fd).is_ok_and(|found| u32::try_from(found.f_type) == Ok(NSFS_MAGIC))
}

/// The calling thread's network.
fn current() -> Result<OwnedFd, OpError> {
    let path = "/proc/thread-self/ns/net";
    let opened = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    opened.op(|| format!("open {path}"))
}

/// Moves the calling thread into a network. Needs the right over it and over the own user namespace.
pub(crate) fn enter(namespace: &OwnedFd) -> Result<(), OpError> {
    let entered = move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network));
    entered.op(|| "enter a network".to_owned())
}

/// Sets up a network that was made with the dyno, for its first process, before it gives up the
/// right to it: loopback, and what is closed. A ready one was set up by the server.
pub(crate) fn set_up(outside: Outside, closed: &[Subnet]) -> Result<(), OpError> {
    if outside == Outside::Veth {
        return Ok(());
    }
    let mut netlink = Netlink::open()?;
    netlink.loopback_up()?;
    for subnet in closed {
        netlink.prohibit(*subnet)?;
    }
    Ok(())
}

/// Gives the calling thread a new network with nothing in it.
fn leave() -> Result<(), OpError> {
    sys::leave_network().op(|| "make a network".to_owned())
}
