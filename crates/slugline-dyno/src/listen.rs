//! Whether a dyno listens on its port, read from the kernel's tables: no connection is made, so
//! the app sees nothing of it.

use std::path::Path;

use rustix::process::Pid;

/// Whether a process's network has a listener on this port.
pub(crate) fn listens(pid: Pid, port: u16) -> bool {
    let tables = Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("net");
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|name| std::fs::read_to_string(tables.join(name)).ok())
        .any(|table| table_listens(&table, port))
}

/// Whether a table in the format of `/proc/net/tcp` has a listener on this port that the router
/// can reach: on every address, or on 127.0.0.1. One on `::1` alone gets no traffic.
fn table_listens(table: &str, port: u16) -> bool {
    const LISTEN: &str = "0A";
    // In the machine's byte order, as the kernel prints it.
    const LOOPBACK: &str = if cfg!(target_endian = "little") { "0100007F" } else { "7F000001" };
    let suffix = format!(":{port:04X}");
    // The last word of an address tells these apart, mapped ones too.
    let is_reachable = |address: &str| address.ends_with("00000000") || address.ends_with(LOOPBACK);
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let address = fields.next().and_then(|local| local.strip_suffix(&suffix));
        address.is_some_and(is_reachable) && fields.nth(1) == Some(LISTEN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_listener_on_the_very_port_counts() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n\
            1: 0100007F:C350 0100007F:1F90 01 00000000:00000000\n";
        assert!(table_listens(table, 8080));
        assert!(!table_listens(table, 50_000), "a connection is not a listener");
        assert!(!table_listens(table, 80));
    }

    #[test]
    fn a_listener_that_the_router_cannot_reach_does_not_count() {
        let listens = |address: &str| {
            let line = format!("head\n 0: {address}:1F90 {:032}:0000 0A 00000000:00000000\n", 0);
            table_listens(&line, 8080)
        };
        for reachable in [
            "00000000",
            "0100007F",
            "00000000000000000000000000000000",
            "0000000000000000FFFF00000100007F",
        ] {
            assert!(listens(reachable), "{reachable}");
        }
        for other in ["00000000000000000000000001000000", "0A01A8C0"] {
            assert!(!listens(other), "{other}");
        }
    }
}
