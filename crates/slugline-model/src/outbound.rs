//! Where the server connects to on behalf of users, who choose the host: log drains, webhooks,
//! sources by URL.
//!
//! A user must not reach, through the server, what only the server may reach: its loopback, the
//! link where clouds hand out credentials. The check is of the address that is connected to, not
//! of the name, which may say something else a moment later.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// What the operator allows beyond what everybody may reach.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outbound {
    /// Networks that may be reached although they are the server's own.
    pub allow: Vec<Net>,
}

/// A network: the first address, and how many bits its addresses share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    address: IpAddr,
    bits: u8,
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl FromStr for Net {
    type Err = String;

    /// `10.0.0.0/8`, `::1`, `127.0.0.1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| format!("`{address}` is no address."))?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), str::parse).map_err(|_| "no number of bits")?;
        if bits > most {
            return Err(format!("An address has {most} bits."));
        }
        Ok(Self { address, bits })
    }
}

impl Net {
    /// Whether an address is of this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let shared = |a: u128, b: u128, width: u8| {
            let differ = width.saturating_sub(self.bits);
            a.checked_shr(differ.into()).unwrap_or(0) == b.checked_shr(differ.into()).unwrap_or(0)
        };
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => shared(u32::from(a).into(), u32::from(b).into(), 32),
            (IpAddr::V6(a), IpAddr::V6(b)) => shared(a.into(), b.into(), 128),
            _ => false,
        }
    }
}

impl Outbound {
    /// Whether the server may connect to an address because a user says so.
    pub fn may_reach(&self, address: IpAddr) -> bool {
        self.allows(address) || !is_own(plain(address))
    }

    /// Whether the operator has said so of an address.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = plain(address);
        self.allow.iter().any(|net| net.contains(address))
    }
}

/// An address of IPv4 that is written as one of IPv6, as what it is.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let translated = v6.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    let compatible = v6.segments()[..6] == [0; 6] && v6.segments()[6] != 0;
    let last = || Ipv4Addr::from(v6.octets().last_chunk::<4>().copied().unwrap_or_default());
    match v6.to_ipv4_mapped() {
        Some(v4) => v4.into(),
        None if translated || compatible => last().into(),
        None => address,
    }
}

/// Loopback, link-local, and what is no single address of another machine.
fn is_own(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.octets()[0] == 0
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unicast_link_local()
                || v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(rules: &Outbound, address: &str) -> bool {
        rules.may_reach(address.parse().unwrap())
    }

    #[test]
    fn what_only_the_server_may_reach_is_not_reached_for_users() {
        let rules = Outbound::default();
        let own = [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "::127.0.0.1",
            "fd00:ec2::254",
        ];
        for own in own {
            assert!(!reached(&rules, own), "{own}");
        }
        for other in ["192.0.2.7", "10.1.2.3", "192.168.1.1", "2001:db8::1", "fd12::1"] {
            assert!(reached(&rules, other), "{other}");
        }
    }

    #[test]
    fn the_operator_may_allow_more() {
        let nets = ["127.0.0.0/30", "::1"].map(|net| net.parse().unwrap());
        let rules = Outbound { allow: nets.into() };
        for allowed in ["127.0.0.1", "127.0.0.3", "::1", "::ffff:127.0.0.1"] {
            assert!(reached(&rules, allowed), "{allowed}");
        }
        assert!(!reached(&rules, "127.0.0.4") && !reached(&rules, "fe80::1"));
        assert_eq!(rules.allow[0].to_string().parse(), Ok(rules.allow[0]));
        assert!("0.0.0.0/0".parse::<Net>().unwrap().contains("1.2.3.4".parse().unwrap()));
        for junk in ["", "x", "1.2.3.4/33", "::/129", "1.2.3.4/", "1.2.3.4/-1", "localhost"] {
            assert!(junk.parse::<Net>().is_err(), "{junk}");
        }
    }
}
