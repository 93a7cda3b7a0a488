//! `slugline up` as a person uses it: a directory, two ports, what it prints, and its HTTP side.

pub(crate) mod account;
pub(crate) mod api;
pub(crate) mod chance;
pub(crate) mod cli;
pub(crate) mod deploy;
pub(crate) mod http;
pub(crate) mod ports;
pub(crate) mod scene;
pub(crate) mod server;
pub(crate) mod serving;
pub(crate) mod trace;

use std::time::{Duration, Instant};

/// Asks again and again until there is an answer; the reason for waiting is told when there is none.
pub(crate) fn wait_for<T>(
    what: &str,
    patience: Duration,
    mut answer: impl FnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(start.elapsed() < patience, "waited {patience:?} for {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
