//! Dynos that mean harm, beside one that serves: each ends with its code or goes on within its
//! limits, and nobody else notices.

mod disk;
mod manners;
mod memory;
mod numbers;
mod output;
mod processes;
mod slowed;
mod stage;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;
