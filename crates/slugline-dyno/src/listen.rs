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

/// Whether a table in the format of `/proc/net/tcp` has a listener on this port.
fn table_listens(table: &str, port: u16) -> bool {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&suffix)) && fields.nth(1) == Some(LISTEN)
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
}
