//! The router over real sockets.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod answers;
mod bridge;
mod faults;
mod media;
mod scene;
mod tls;
