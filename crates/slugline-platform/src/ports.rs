//! Ports for web dynos, while they share the host's network.

use std::collections::HashSet;
use std::net::{Ipv4Addr, TcpListener};

use uuid::Uuid;

/// Where ports are taken from: below the range that the kernel takes the ports of outgoing
/// connections from, so that none of these gets in the way between the choice of a port and the
/// moment when the app binds it.
const FIRST: u16 = 10_240;
const COUNT: u16 = 32_768 - FIRST;

/// A port that nobody listens on, and that no dyno was given.
pub(crate) fn free_port(given: &HashSet<u16>) -> Option<u16> {
    let start = u16::try_from(Uuid::new_v4().as_u128() % u128::from(COUNT)).ok()?;
    (0..COUNT)
        .map(|step| FIRST + (start + step) % COUNT)
        .find(|port| !given.contains(port) && is_free(*port))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_and_not_if_it_is_taken() {
        let mut given = HashSet::new();
        for _ in 0..100 {
            let port = free_port(&given).unwrap();
            assert!((FIRST..32_768).contains(&port) && given.insert(port));
        }
        let taken = TcpListener::bind("0.0.0.0:0").unwrap();
        assert!(!is_free(taken.local_addr().unwrap().port()));
    }
}
