//! A dyno's own network: its addresses, what it may reach, and the rules that see to it.
//!
//! A dyno reaches the outside and what the operator allows, and only the router reaches it. There
//! is IPv4 only: of IPv6 a dyno has its loopback, so that nothing leaves by a way that no rule is
//! written for.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config_vars::ConfigVars;
use crate::route::host_name;

/// How a dyno's own network reaches the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outside {
    /// By a pair of interfaces and the kernel's rules. Needs root and `nft`.
    Veth,
    /// By `pasta`, which makes an ordinary user's connections of a dyno's.
    Pasta,
    /// Not at all: the router reaches the dyno, and it reaches nobody.
    #[default]
    None,
}

/// What the operator decides of dynos' networks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkOptions {
    /// Where dynos' addresses come from.
    pub subnet: Subnet,
    /// Ports of the machine's loopback that dynos reach at the same address of their own.
    pub reach: Vec<Reach>,
}

/// A port of the machine's loopback, and the one at which dynos find it on theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reach {
    /// In the dyno, on 127.0.0.1.
    pub port: u16,
    /// On the machine.
    pub to: SocketAddrV4,
}

impl From<SocketAddrV4> for Reach {
    /// The same port on both sides.
    fn from(to: SocketAddrV4) -> Self {
        Self { port: to.port(), to }
    }
}

/// Names of this machine that config vars speak of, below `s3.localhost`: what a URL names, and what
/// buckets' names stand before. Inside a dyno, whose resolver knows no such names, they are to mean
/// its own loopback (RFC 6761, 6.3).
pub fn loopback_names(vars: &ConfigVars) -> Vec<String> {
    let hosts: BTreeSet<&str> = vars.values().filter_map(|value| object_host(value)).collect();
    let buckets: BTreeSet<&str> = vars
        .iter()
        .filter(|(name, value)| name.contains("BUCKET") && is_bucket(value))
        .map(|(_, value)| value.as_str())
        .collect();
    let of = |bucket: &&str| format!("{bucket}.{OBJECT_HOST}");
    let below = buckets.iter().filter(|_| !hosts.is_empty()).map(of);
    let all: BTreeSet<String> = hosts.iter().map(|host| (*host).to_owned()).chain(below).collect();
    all.into_iter().collect()
}

/// Where the embedded object server is, on a machine without a domain of its own.
pub const OBJECT_HOST: &str = "s3.localhost";

fn object_host(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://").filter(|(scheme, _)| scheme.starts_with("http"))?;
    let authority = rest.split(['/', '?']).next()?;
    let host = host_name(authority.rsplit('@').next()?);
    let rest = host.strip_suffix(OBJECT_HOST)?;
    (rest.is_empty() || rest.strip_suffix('.').is_some_and(is_bucket)).then_some(host)
}

fn is_bucket(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
    (3..=63).contains(&text.len()) && text.bytes().all(allowed)
}

/// A network of IPv4: the first address, and how many bits all its addresses share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its first address.
    pub address: Ipv4Addr,
    /// 32 for one address.
    pub bits: u8,
}

/// A part of what is set aside for private use that is seldom seen elsewhere.
impl Default for Subnet {
    fn default() -> Self {
        Self { address: Ipv4Addr::new(10, 213, 0, 0), bits: 16 }
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl FromStr for Subnet {
    type Err = String;

    /// One from which dynos' addresses can come.
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('/').and_then(|(address, bits)| {
            Some(Self { address: address.parse().ok()?, bits: bits.parse().ok()? })
        });
        let subnet = parsed.ok_or("It is no network of IPv4.")?;
        if !(8..=30).contains(&subnet.bits) {
            return Err("It has too many addresses, or too few.".to_owned());
        }
        if u32::from(subnet.address) & (u32::MAX >> subnet.bits) != 0 {
            return Err("Its address is not the first one of the network.".to_owned());
        }
        let address = subnet.address;
        if !address.is_private() && address.octets()[0] != 100 {
            return Err("Its addresses belong to somebody on the internet.".to_owned());
        }
        Ok(subnet)
    }
}

impl Subnet {
    /// Whether an address is one of these.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        (u32::from(address) ^ u32::from(self.address)).leading_zeros() >= u32::from(self.bits)
    }

    /// How many dynos have addresses in it: each takes two.
    pub fn pairs(self) -> u32 {
        1 << (31 - u32::from(self.bits).min(31))
    }

    /// The addresses of the machine's side and of the dyno's side, which share 31 bits (RFC 3021).
    pub fn pair(self, index: u32) -> [Ipv4Addr; 2] {
        let first = u32::from(self.address) + 2 * (index % self.pairs());
        [Ipv4Addr::from(first), Ipv4Addr::from(first + 1)]
    }
}

/// What the names of the machine's sides of dynos' interfaces begin with, whichever server's.
pub const INTERFACE_PREFIX: &str = "sl";

/// A server's share of what is the machine's: its table of rules, and its dynos' interfaces, which
/// its rules tell by their names from those of other servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share(String);

impl Share {
    /// That of the dynos below a directory, the same at every start.
    pub fn of(directory: &Path) -> Self {
        // FNV-1a.
        let bytes = directory.as_os_str().as_encoded_bytes();
        let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
        });
        // The name of an interface has room for seven digits, and the number of a dyno.
        Self(format!("{:07x}", hash & 0x0fff_ffff))
    }

    /// The name of its table of rules.
    pub fn table(&self) -> String {
        format!("slugline_{}", self.0)
    }

    /// The name of the machine's side of an interface: at most 15 bytes.
    pub fn interface(&self, index: u32) -> String {
        format!("{}{index:x}", self.prefix())
    }

    fn prefix(&self) -> String {
        format!("{INTERFACE_PREFIX}{}", self.0)
    }
}

/// The second name of an interface, by which the kernel sees to it that no two servers of one
/// machine give the same addresses away.
pub fn second_name(index: u32) -> String {
    format!("slugline-{index:x}")
}

/// Addresses of this link alone, among them those at which clouds hand out credentials.
pub const LINK_LOCAL: Subnet = Subnet { address: Ipv4Addr::new(169, 254, 0, 0), bits: 16 };

/// What no dyno may reach, told to the dyno's own network beside the machine's rules, since rules
/// can be flushed: addresses of this link, the machine's own, and those of other dynos.
pub fn closed(machines: &[Ipv4Addr], subnet: Option<Subnet>) -> Vec<Subnet> {
    let single = |address: &Ipv4Addr| Subnet { address: *address, bits: 32 };
    let others = machines.iter().filter(|address| {
        let is_known = subnet.is_some_and(|subnet| subnet.contains(**address));
        !address.is_loopback() && !LINK_LOCAL.contains(**address) && !is_known
    });
    std::iter::once(LINK_LOCAL).chain(subnet).chain(others.map(single)).collect()
}

/// The machine's own addresses, as `/proc/net/fib_trie` lists them: a line with an address, then
/// one that says that it is the host's.
pub fn machines_addresses(fib_trie: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in fib_trie.lines() {
        if let Some(address) = line.trim().strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line.contains("/32 host LOCAL") {
            found.extend(last.take());
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// The rules for dynos, in the language of `nft`, as one transaction that replaces what was there.
///
/// By the dynos' interfaces, not by their addresses: whatever a dyno sends comes from there.
pub fn rules(share: &Share, options: &NetworkOptions) -> String {
    let (subnet, table) = (options.subnet, share.table());
    let dynos = format!("\"{}*\"", share.prefix());
    let mut rules = no_rules(share);
    let chain = |name: &str, kind: &str, lines: &[String]| {
        format!("  chain {name} {{\n    type {kind};\n    {}\n  }}\n", lines.join("\n    "))
    };
    let mut chains = vec![
        chain(
            "through",
            "filter hook forward priority filter - 5; policy accept",
            &[
                format!("oifname {dynos} ct state established,related accept"),
                format!("oifname {dynos} drop"),
                format!("iifname {dynos} meta nfproto ipv6 drop"),
                format!("iifname {dynos} ip daddr {{ {LINK_LOCAL}, {subnet} }} drop"),
            ],
        ),
        chain(
            "in",
            "filter hook input priority filter - 5; policy accept",
            &inward(&dynos, options),
        ),
        chain(
            "out",
            "filter hook output priority filter - 5; policy accept",
            &[
                format!("oifname {dynos} ct state established,related accept"),
                format!("oifname {dynos} drop"),
            ],
        ),
        chain(
            "leave",
            "nat hook postrouting priority srcnat; policy accept",
            &[format!("ip saddr {subnet} oifname != {dynos} masquerade")],
        ),
    ];
    if !options.reach.is_empty() {
        let kind = "nat hook prerouting priority dstnat; policy accept";
        chains.push(chain("reach", kind, &reach(&dynos, options)));
    }
    let _ = write!(rules, "table inet {table} {{\n{}}}\n", chains.concat());
    rules
}

/// What the operator allows has got another destination before.
fn inward(dynos: &str, options: &NetworkOptions) -> Vec<String> {
    let allowed = |reach: &Reach| {
        let (address, port) = (reach.to.ip(), reach.to.port());
        format!("iifname {dynos} ct status dnat ip daddr {address} tcp dport {port} accept")
    };
    let answers = format!("iifname {dynos} ct state established,related accept");
    let allowed = options.reach.iter().map(allowed);
    std::iter::once(answers).chain(allowed).chain([format!("iifname {dynos} drop")]).collect()
}

/// A dyno asks its side's partner, the first address of its pair, and no other address of the machine.
fn reach(dynos: &str, options: &NetworkOptions) -> Vec<String> {
    let subnet = options.subnet;
    let to = |Reach { port, to }: &Reach| {
        format!(
            "iifname {dynos} ip daddr {subnet} fib daddr type local tcp dport {port} dnat ip to {to}"
        )
    };
    options.reach.iter().map(to).collect()
}

/// The same for the dyno's side: what it asks of its own loopback goes to its partner.
pub fn rules_inside(options: &NetworkOptions, pair: [Ipv4Addr; 2]) -> String {
    let [machine, dyno] = pair;
    let ask = |Reach { port, to }: &Reach| {
        let address = to.ip();
        format!("ip daddr {address} tcp dport {port} dnat to {machine}:{port}")
    };
    let asks = options.reach.iter().map(ask).collect::<Vec<_>>().join("\n    ");
    format!(
        "table ip reach {{\n  chain ask {{\n    type nat hook output priority -100;\n    {asks}\n  }}\n  \
         chain leave {{\n    type nat hook postrouting priority srcnat;\n    \
         ip saddr 127.0.0.0/8 oifname \"eth0\" snat to {dyno}\n  }}\n}}\n"
    )
}

/// Takes the rules back, whether or not there are any.
pub fn no_rules(share: &Share) -> String {
    let table = share.table();
    format!("table inet {table} {{}}\ndelete table inet {table}\n")
}

/// A resolver's configuration for dynos: the first of some that names a server that a dyno can
/// reach, without those that it cannot. None where there is no such server.
pub fn resolv_conf<'a>(candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    candidates.into_iter().find_map(|text| {
        let kept: Vec<&str> = text.lines().filter(|line| !is_out_of_reach(line)).collect();
        let names = kept.iter().any(|line| nameserver(line).is_some());
        names.then(|| kept.join("\n") + "\n")
    })
}

fn is_out_of_reach(line: &str) -> bool {
    let reachable = |address: &str| {
        address.parse().is_ok_and(|address: Ipv4Addr| {
            !address.is_loopback() && !address.is_unspecified() && !address.is_link_local()
        })
    };
    nameserver(line).is_some_and(|address| !reachable(address))
}

fn nameserver(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    (words.next() == Some("nameserver")).then(|| words.next()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_gives_each_dyno_two_addresses() {
        let subnet = Subnet::default();
        assert_eq!(subnet.to_string(), "10.213.0.0/16");
        assert_eq!(subnet.pairs(), 32_768);
        let shown = |index| subnet.pair(index).map(|address| address.to_string());
        assert_eq!(shown(0), ["10.213.0.0", "10.213.0.1"]);
        assert_eq!(shown(32_767), ["10.213.255.254", "10.213.255.255"]);
        assert!(subnet.contains(Ipv4Addr::new(10, 213, 255, 255)));
        assert!(!subnet.contains(Ipv4Addr::new(10, 214, 0, 0)));
    }

    #[test]
    fn a_subnet_is_a_private_network_of_some_size() {
        for good in ["10.0.0.0/8", "192.168.5.0/24", "100.64.0.0/10", "172.16.0.0/30"] {
            assert_eq!(good.parse::<Subnet>().unwrap().to_string(), good);
        }
        for bad in ["", "10.0.0.0", "10.0.0.1/8", "8.8.0.0/16", "10.0.0.0/31", "::/0", "10.0.0/8"] {
            assert!(bad.parse::<Subnet>().is_err(), "{bad}");
        }
    }

    #[test]
    fn rules_let_a_dyno_out_and_nobody_in() {
        let options = NetworkOptions { reach: vec![reach("127.0.0.1:5432")], ..default() };
        assert_eq!(rules(&Share("0badcaf".into()), &options), RULES);
        assert_eq!(rules_inside(&options, options.subnet.pair(3)), RULES_INSIDE);
        assert!(!rules(&Share("0".into()), &default()).contains("prerouting"));
    }

    fn reach(to: &str) -> Reach {
        to.parse::<SocketAddrV4>().unwrap().into()
    }

    #[test]
    fn names_of_buckets_mean_the_loopback_of_whoever_has_them() {
        let names = |vars: &[(&str, &str)]| {
            let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            loopback_names(&vars.collect())
        };
        let endpoint = ("MEDIA_ENDPOINT_URL", "http://s3.localhost:5080");
        let bucket = ("MEDIA_BUCKET", "uploads-1");
        assert_eq!(names(&[endpoint, bucket]), ["s3.localhost", "uploads-1.s3.localhost"]);
        assert!(names(&[bucket]).is_empty(), "it is somebody else's");
        let cube = ("CLOUDCUBE_URL", "http://uploads-1.s3.localhost:5080/cube");
        assert_eq!(names(&[cube]), ["uploads-1.s3.localhost"]);
        for other in ["http://library.localhost:5080", "s3.localhost", "http://as3.localhost/"] {
            assert!(names(&[("URL", other)]).is_empty(), "{other}");
        }
        assert_eq!(names(&[endpoint, ("BUCKET", "a b\n127.0.0.1 x")]), ["s3.localhost"]);
    }

    #[test]
    fn a_port_may_be_another_one_on_the_machine() {
        let reach = vec![Reach { port: 5080, ..reach("127.0.0.1:5057") }];
        let options = NetworkOptions { reach, ..default() };
        let outside = rules(&Share("0badcaf".into()), &options);
        assert!(outside.contains("tcp dport 5080 dnat ip to 127.0.0.1:5057"), "{outside}");
        assert!(outside.contains("ip daddr 127.0.0.1 tcp dport 5057 accept"), "{outside}");
        let inside = rules_inside(&options, options.subnet.pair(0));
        assert!(inside.contains("ip daddr 127.0.0.1 tcp dport 5080 dnat to 10.213.0.0:5080"));
    }

    const RULES: &str = "\
table inet slugline_0badcaf {}
delete table inet slugline_0badcaf
table inet slugline_0badcaf {
  chain through {
    type filter hook forward priority filter - 5; policy accept;
    oifname \"sl0badcaf*\" ct state established,related accept
    oifname \"sl0badcaf*\" drop
    iifname \"sl0badcaf*\" meta nfproto ipv6 drop
    iifname \"sl0badcaf*\" ip daddr { 169.254.0.0/16, 10.213.0.0/16 } drop
  }
  chain in {
    type filter hook input priority filter - 5; policy accept;
    iifname \"sl0badcaf*\" ct state established,related accept
    iifname \"sl0badcaf*\" ct status dnat ip daddr 127.0.0.1 tcp dport 5432 accept
    iifname \"sl0badcaf*\" drop
  }
  chain out {
    type filter hook output priority filter - 5; policy accept;
    oifname \"sl0badcaf*\" ct state established,related accept
    oifname \"sl0badcaf*\" drop
  }
  chain leave {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr 10.213.0.0/16 oifname != \"sl0badcaf*\" masquerade
  }
  chain reach {
    type nat hook prerouting priority dstnat; policy accept;
    iifname \"sl0badcaf*\" ip daddr 10.213.0.0/16 fib daddr type local tcp dport 5432 dnat ip to 127.0.0.1:5432
  }
}
";

    const RULES_INSIDE: &str = "\
table ip reach {
  chain ask {
    type nat hook output priority -100;
    ip daddr 127.0.0.1 tcp dport 5432 dnat to 10.213.0.6:5432
  }
  chain leave {
    type nat hook postrouting priority srcnat;
    ip saddr 127.0.0.0/8 oifname \"eth0\" snat to 10.213.0.7
  }
}
";

    fn default() -> NetworkOptions {
        NetworkOptions::default()
    }

    #[test]
    fn a_directory_has_its_own_share() {
        let share = |path: &str| Share::of(Path::new(path));
        assert_eq!(share("/var/lib/slugline/dynos"), share("/var/lib/slugline/dynos"));
        assert_ne!(share("/a"), share("/b"));
        let most = Subnet { address: Ipv4Addr::new(10, 0, 0, 0), bits: 8 }.pairs() - 1;
        let longest = share("/a").interface(most);
        assert!(longest.len() <= 15, "{longest}");
    }

    #[test]
    fn what_is_closed_is_the_machine_its_link_and_other_dynos() {
        let table = "Local:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 127.0.0.1\n        /32 host LOCAL\n     \
                     |-- 127.255.255.255\n        /32 link BROADCAST\n     |-- 192.0.2.2\n        \
                     /32 host LOCAL\n     |-- 10.213.0.4\n        /32 host LOCAL\n     |-- 192.0.2.2\n        \
                     /32 host LOCAL\n";
        let found = machines_addresses(table);
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.213.0.4", "127.0.0.1", "192.0.2.2"]);
        let closed = closed(&found, Some(Subnet::default()));
        let shown: Vec<String> = closed.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["169.254.0.0/16", "10.213.0.0/16", "192.0.2.2/32"]);
    }

    #[test]
    fn a_resolver_on_loopback_is_passed_over() {
        let stub = "# by systemd\nnameserver 127.0.0.53\noptions edns0\nsearch example\n";
        let real = "nameserver ::1\nnameserver 9.9.9.9\nnameserver fe80::1\nsearch example\n";
        let reached = resolv_conf([stub, real]);
        assert_eq!(reached.as_deref(), Some("nameserver 9.9.9.9\nsearch example\n"));
        assert_eq!(resolv_conf([stub, ""]), None);
        assert_eq!(resolv_conf(["nameserver 10.0.0.1"]).as_deref(), Some("nameserver 10.0.0.1\n"));
    }
}
