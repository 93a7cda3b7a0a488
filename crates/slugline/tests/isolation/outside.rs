//! An outside of the test's own: a network beside the machine's, with somebody who talks.

use std::io::Read as _;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use slugline_model::network::{Subnet, machines_addresses};

use super::support::account::run;
use super::support::wait_for;

/// Says its first argument to whoever connects to any address on its second one.
const TALKING: &str = "
import socket, sys
listener = socket.create_server(('0.0.0.0', int(sys.argv[2])), backlog=64)
while True:
    link, _ = listener.accept()
    link.sendall(sys.argv[1].encode())
    link.close()
";

/// The port that it listens on.
pub(crate) const PORT: u16 = 7_000;

/// Removed at the end, however the test ends.
pub(crate) struct Outside {
    name: String,
    /// The machine's own address on the way there.
    pub(crate) machine: Ipv4Addr,
    /// Where it is reached.
    pub(crate) address: Ipv4Addr,
    /// An address of its that only this link is to reach.
    pub(crate) link_local: Ipv4Addr,
    talking: Option<Child>,
}

impl Outside {
    /// Needs root. Addresses are of the range that is for tests of networks (RFC 2544).
    pub(crate) fn new(token: &str) -> Self {
        let id = std::process::id();
        let [high, low] = u16::try_from(id % 0x4000).unwrap().to_be_bytes();
        let name = format!("out{id}");
        let mut outside = Self {
            name,
            machine: Ipv4Addr::new(198, 18, high * 4 + low / 64, low % 64 * 4 + 1),
            address: Ipv4Addr::new(198, 18, high * 4 + low / 64, low % 64 * 4 + 2),
            link_local: Ipv4Addr::new(169, 254, 213, low),
            talking: None,
        };
        outside.make();
        outside.talking = Some(outside.talk(token));
        for address in [outside.address, outside.link_local] {
            wait_for(&format!("{address} to talk"), Duration::from_secs(10), || {
                says(address).filter(|said| said == token)
            });
        }
        outside
    }

    fn make(&self) {
        let Self { name, machine, address, link_local, .. } = self;
        ip(&format!("netns add {name}"));
        ip(&format!("link add {name} type veth peer name eth0 netns {name}"));
        ip(&format!("addr add {machine}/30 dev {name}"));
        ip(&format!("link set {name} up"));
        ip(&format!("-n {name} link set lo up"));
        ip(&format!("-n {name} addr add {address}/30 dev eth0"));
        ip(&format!("-n {name} addr add {link_local}/32 dev eth0"));
        ip(&format!("-n {name} link set eth0 up"));
        // Answers to whoever's packets come through unchanged, so that nothing but rules stops them.
        ip(&format!("-n {name} route add default via {machine}"));
        ip(&format!("route add {link_local}/32 dev {name}"));
    }

    fn talk(&self, token: &str) -> Child {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "python3", "-c", TALKING, token]);
        command.arg(PORT.to_string()).stdin(Stdio::null());
        command.spawn().unwrap()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Some(talking) = &mut self.talking {
            let _ = talking.kill();
            let _ = talking.wait();
        }
        for end in [["link", "del", &self.name], ["netns", "del", &self.name]] {
            let _ = Command::new("ip").args(end).stderr(Stdio::null()).status();
        }
    }
}

fn ip(arguments: &str) {
    run(Command::new("ip").args(arguments.split(' ')));
}

/// What it says to the test itself, from the machine.
fn says(address: Ipv4Addr) -> Option<String> {
    let to = (address, PORT).into();
    let mut link = TcpStream::connect_timeout(&to, Duration::from_secs(2)).ok()?;
    let mut said = String::new();
    link.read_to_string(&mut said).ok()?;
    Some(said)
}

/// The machine's addresses but loopback, and but its sides of others' dynos, which come and go.
pub(crate) fn machines() -> Vec<Ipv4Addr> {
    let table = std::fs::read_to_string("/proc/net/fib_trie").unwrap();
    let all = machines_addresses(&table);
    let others = Subnet::default();
    let lasts = |address: &Ipv4Addr| !address.is_loopback() && !others.contains(*address);
    all.into_iter().filter(lasts).collect()
}
