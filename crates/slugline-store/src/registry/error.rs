//! What can go wrong with a registry.

use std::path::PathBuf;
use std::time::Duration;

use super::reference::ReferenceError;
use crate::StoreError;
use crate::oci::ImageError;
use crate::oci::digest::Digest;

/// Why an image could not be sent or fetched.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// It is not said where.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The image could not be made, or is not taken.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The store cannot take what was fetched.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// This machine cannot talk to any registry.
    #[error("prepare to talk to {host}")]
    Prepare {
        /// The registry.
        host: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The registry cannot be reached, or the connection broke too often.
    #[error("{what}")]
    Connection {
        /// What was asked for.
        what: String,
        /// What the connection says.
        source: reqwest::Error,
    },
    /// The registry says nothing.
    #[error("{what}: nothing came for {} seconds", patience.as_secs())]
    Silent {
        /// What was asked for.
        what: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The registry refuses.
    #[error("{what}: it answers {status}{}", behind_colon(told))]
    Status {
        /// What was asked for.
        what: String,
        /// The answer's status.
        status: u16,
        /// What it says of it; may be empty.
        told: String,
    },
    /// The registry knows nothing of an upload that it began, or has something else of it than was
    /// sent, as one may after a connection broke.
    #[error("{what}: it has lost what was sent{}", behind_colon(told))]
    Forgotten {
        /// What was sent.
        what: String,
        /// What it says of it; may be empty.
        told: String,
    },
    /// The registry wants a login that nobody gave, or refuses the one that was given.
    #[error("{what}: it wants {wants}")]
    Denied {
        /// What was asked for.
        what: String,
        /// A login, or another one.
        wants: &'static str,
    },
    /// An answer that the protocol does not know.
    #[error("{what}: {why}")]
    Answer {
        /// What was asked for.
        what: String,
        /// What is wrong with the answer.
        why: &'static str,
    },
    /// It gives or has taken other content than it says.
    #[error("{what}: it is {found}, not {expected}")]
    Digest {
        /// What was asked for.
        what: String,
        /// As named.
        expected: Digest,
        /// As it is.
        found: String,
    },
    /// An image that is too large to be taken.
    #[error("fetch an image of {bytes} bytes: the limit is {limit}")]
    TooLarge {
        /// Packed (bytes).
        bytes: u64,
        /// So many are allowed.
        limit: u64,
    },
    /// A blob could not be read or kept here.
    #[error("use {}", path.display())]
    File {
        /// The blob's file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

impl RegistryError {
    /// Whether the same may succeed another time.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Connection { .. } | Self::Silent { .. } | Self::Forgotten { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            _ => false,
        }
    }
}

fn behind_colon(told: &str) -> String {
    if told.is_empty() { String::new() } else { format!(": {told}") }
}
