//! Real clients against the server: each puts, gets, comes in parts, lists, presigns, and is refused
//! where it must be. Each is installed from its registry into the target directory.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

#[path = "../scene/mod.rs"]
mod scene;

mod browser;
mod javascript;
mod python;
