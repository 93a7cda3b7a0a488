//! Ports for servers under test.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports of tests lie here: below those that the kernel takes for outgoing connections, so that a
/// port that was free is so still when a server binds it a moment later.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// What keeps a test's ports from all other tests for as long as its process lives: a server that
/// was killed gets its own again, whoever else looks for one meanwhile.
static TAKEN: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());

/// A port that nobody listens on, and no other test is given. Each process begins at another one.
pub(crate) fn free_port() -> u16 {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    let stretch = u16::try_from(std::process::id() % 250).expect("it is small") * 40;
    loop {
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (stretch + call) % COUNT;
        if take(port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Takes a port by a name that is the kernel's, leaves no file, and goes with this process.
fn take(port: u16) -> bool {
    let name = SocketAddr::from_abstract_name(format!("slugline-test-port-{port}"));
    let Ok(taken) = UnixListener::bind_addr(&name.expect("it is short")) else { return false };
    TAKEN.lock().expect("nobody fails with it").push(taken);
    true
}
