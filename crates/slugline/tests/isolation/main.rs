//! What hostile code finds in a dyno, as root's and as an ordinary user's: looked for from inside.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

mod doctor;
mod outside;
mod probe;
mod reach;
mod remains;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;
mod talker;
