//! The proof, made of real dynos: what is in the slug is told from what is made when it is first
//! asked for, a release that lacks something can be held back, and old pages find their files.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

mod bridge;
mod followed;
mod gate;
mod shop;
mod split;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;
mod verdicts;
