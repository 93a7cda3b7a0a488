//! Ports for servers under test.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports of tests lie here: below those that the kernel takes for outgoing connections, so that a
/// port that was free is so still when a server binds it a moment later.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// A port that nobody listens on. Each process has a stretch of its own, each call a port.
pub(crate) fn free_port() -> u16 {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    let stretch = u16::try_from(std::process::id() % 250).expect("it is small") * 40;
    loop {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (stretch + call) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
