//! Makes ready networks, as root: a namespace, a pair of interfaces, addresses and routes.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use slugline_model::network::{NetworkOptions, Share, closed, rules_inside, second_name};

use super::netlink::{INTERFACE, Netlink};
use super::{current, enter, leave, nft, own_addresses};
use crate::op_error::{OpError, Operation};

/// Makes networks one after the other, on a thread of its own: it goes into each.
pub(crate) struct Maker {
    home: OwnedFd,
    netlink: Netlink,
    nft: PathBuf,
    options: NetworkOptions,
    share: Share,
    /// The number that is tried next.
    next: u32,
}

impl Maker {
    pub(crate) fn new(
        nft: &Path,
        share: &Share,
        options: &NetworkOptions,
    ) -> Result<Self, OpError> {
        Ok(Self {
            home: current()?,
            netlink: Netlink::open()?,
            nft: nft.to_path_buf(),
            options: options.clone(),
            share: share.clone(),
            // Servers of one machine begin at different places.
            next: std::process::id() % options.subnet.pairs(),
        })
    }

    /// One network, ready to be entered. It lasts as long as somebody is in it or holds this.
    pub(crate) fn make(&mut self) -> Result<OwnedFd, OpError> {
        let made = self.make_away();
        // Without a way back nothing more can be made, or said of the machine.
        enter(&self.home)?;
        made
    }

    fn make_away(&mut self) -> Result<OwnedFd, OpError> {
        let machines = own_addresses();
        leave()?;
        let namespace = current()?;
        // IPv6 is for loopback only, which is there already.
        set("net/ipv6/conf/default/disable_ipv6", "1")?;
        let mut inside = Netlink::open()?;
        inside.loopback_up()?;
        enter(&self.home)?;
        let index = self.add_pair(&namespace)?;
        let name = self.share.interface(index);
        set(&format!("net/ipv6/conf/{name}/disable_ipv6"), "1")?;
        set(&format!("net/ipv4/conf/{name}/rp_filter"), "1")?;
        let pair @ [machine, dyno] = self.options.subnet.pair(index);
        self.netlink.add_address(&name, machine)?;
        inside.add_address(INTERFACE, dyno)?;
        inside.add_default_route(machine)?;
        for subnet in closed(&machines, Some(self.options.subnet)) {
            inside.prohibit(subnet)?;
        }
        if !self.options.reach.is_empty() {
            // The machine's loopback is asked by this interface, which only rules let through.
            set(&format!("net/ipv4/conf/{name}/route_localnet"), "1")?;
            enter(&namespace)?;
            set("net/ipv4/conf/all/route_localnet", "1")?;
            nft::apply(&self.nft, &rules_inside(&self.options, pair))?;
        }
        Ok(namespace)
    }

    /// Makes the pair under the first number that nobody on this machine has.
    fn add_pair(&mut self, namespace: &OwnedFd) -> Result<u32, OpError> {
        let (pairs, mtu) = (self.options.subnet.pairs(), mtu_outward());
        for _ in 0..pairs {
            let index = self.next;
            self.next = (self.next + 1) % pairs;
            let name = self.share.interface(index);
            let made = self.netlink.add_pair(&name, mtu, namespace.as_fd());
            let made = made.and_then(|()| self.netlink.add_name(&name, &second_name(index)));
            match made {
                Ok(()) => return Ok(index),
                // It is another dyno's, of this server or of another one.
                Err(error) if error.raw_os_error() == Some(Errno::EXIST.raw_os_error()) => {}
                Err(error) => return Err(error).op(|| format!("make the interface {name}")),
            }
        }
        let all_taken = || format!("find two addresses for a dyno in {}", self.options.subnet);
        Err(Errno::ADDRNOTAVAIL).op(all_taken)
    }
}

/// Writes a switch of the kernel, in the calling thread's network. A kernel without it has nothing
/// to switch.
fn set(name: &str, value: &str) -> Result<(), OpError> {
    let path = Path::new("/proc/sys").join(name);
    match fs_err::write(&path, value) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        written => written.op(|| format!("write {}", path.display())),
    }
}

/// The machine forwards what dynos send, and the answers. True if it did not before.
pub(crate) fn switch_forwarding_on() -> Result<bool, OpError> {
    // The answers come in by whatever interface leads there, so that of dynos is not enough.
    let path = "/proc/sys/net/ipv4/ip_forward";
    if forwards() {
        return Ok(false);
    }
    fs_err::write(path, "1").op(|| format!("write {path}")).map(|()| true)
}

/// Whether the machine forwards.
pub(crate) fn forwards() -> bool {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").is_ok_and(|text| text.trim() == "1")
}

/// The longest packet that the way outward takes (bytes), so that none has to be cut.
fn mtu_outward() -> u32 {
    const ETHERNET: u32 = 1_500;
    let routes = std::fs::read_to_string("/proc/thread-self/net/route").unwrap_or_default();
    let is_default = |line: &&str| line.split_whitespace().nth(1) == Some("00000000");
    let mtu = routes.lines().find(is_default).and_then(|line| {
        let interface = line.split_whitespace().next()?;
        std::fs::read_to_string(format!("/sys/class/net/{interface}/mtu")).ok()?.trim().parse().ok()
    });
    mtu.unwrap_or(ETHERNET)
}
