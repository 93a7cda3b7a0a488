//! What can go wrong with images.

use std::io;
use std::path::PathBuf;

use super::digest::{Digest, DigestError};
use super::document::DocumentError;
use crate::StoreError;
use crate::archive::place::Unplaceable;
use crate::archive::read::ArchiveError;

/// Why an image could not be made, or is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The store cannot give or take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An archive cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A file of a stack or of an image cannot be read.
    #[error("read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A layer could not be packed.
    #[error("pack {what}")]
    Pack {
        /// What was being packed.
        what: String,
        /// Why not.
        source: io::Error,
    },
    /// The image could not be passed on.
    #[error("write the image")]
    Write {
        /// What whoever takes it says.
        source: io::Error,
    },
    /// A document is none of its kind.
    #[error("read the image's {what}")]
    Document {
        /// Which.
        what: String,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// A name is no digest.
    #[error("read the image's {what}")]
    Digest {
        /// Where.
        what: String,
        /// What is wrong with it.
        source: DigestError,
    },
    /// Neither an image nor a root file system.
    #[error("use {} as a stack: it is neither an image nor a root file system", path.display())]
    NoStack {
        /// The path.
        path: PathBuf,
    },
    /// It lists no image for this kind of machine.
    #[error("find an image for linux on {architecture} in {what}")]
    NoImage {
        /// The machine.
        architecture: &'static str,
        /// Where it was looked for.
        what: String,
    },
    /// A blob that the image names is not there.
    #[error("find the image's {digest}")]
    Missing {
        /// The blob, by digest or by name.
        digest: String,
    },
    /// A blob is not what its name says.
    #[error("check the image's {expected}: it is {found}")]
    Damaged {
        /// As named.
        expected: Digest,
        /// As it is.
        found: Digest,
    },
    /// A blob is not as long as told.
    #[error("check the image's {digest}: it has {found} bytes, not {expected}")]
    Size {
        /// The blob.
        digest: Digest,
        /// As told.
        expected: u64,
        /// As it is.
        found: u64,
    },
    /// Indexes that name indexes that name indexes.
    #[error("read the image's index: indexes lie in it too deep")]
    TooDeep,
    /// An entry lies where no entry may.
    #[error("import the image's {name}: {why}")]
    Place {
        /// The entry.
        name: String,
        /// What is wrong with its path.
        why: Unplaceable,
    },
    /// An entry is of a kind that no slug can hold.
    #[error("import the image's {name}: {why}")]
    Entry {
        /// The entry.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is no app in it.
    #[error("import the image: there is nothing in its /app")]
    NoApp,
}
