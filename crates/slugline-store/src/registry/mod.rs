//! Image registries, by the distribution specification's HTTP API.
//!
//! The client is ours because those there are cannot go on with an upload that broke off, and slugs
//! are large where links are bad: a blob goes in pieces, and after a failure the registry is asked
//! how much of it has arrived. (Registries that forget an upload whose piece broke off, as Docker's
//! own does, get the blob from its start.)

pub mod auth;
mod client;
mod download;
mod error;
mod pull;
mod push;
pub mod reference;
mod upload;

use std::time::Duration;

pub use error::RegistryError;

/// How patient a transfer is, and how it is cut.
#[derive(Debug, Clone)]
pub struct Manners {
    /// How long the other side may be silent.
    pub patience: Duration,
    /// How often something is tried that gets nowhere.
    pub attempts: u32,
    /// Before the second attempt; twice as long before each one after.
    pub pause: Duration,
    /// How much of a blob goes in one request (bytes).
    pub piece: usize,
    /// How many blobs go at once.
    pub parallel: usize,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            patience: Duration::from_mins(1),
            attempts: 6,
            pause: Duration::from_millis(500),
            piece: 8 << 20,
            parallel: 3,
        }
    }
}
