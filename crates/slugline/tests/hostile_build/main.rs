//! Builds that mean harm, on a server that has an app to serve: each ends with its reason, and
//! nobody else notices.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

mod bombs;
mod manners;
mod probe;
mod stage;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;
