//! What can go wrong, each with the path or the slug that it went wrong with.

use std::io;
use std::path::{Path, PathBuf};

use slugline_model::slug::SlugId;

use crate::manifest::ManifestError;
use crate::object::ObjectKey;
use crate::page::PageId;

/// Short for a result of the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why the store could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Something in the store or in a build's tree could not be read.
    #[error("read {}", path.display())]
    Read {
        /// What was read.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Something in the store could not be written.
    #[error("write {}", path.display())]
    Write {
        /// What was written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The disk, or the quota on it, is full. What was half made is removed already.
    #[error("write {}: the disk is full", path.display())]
    DiskFull {
        /// What was written.
        path: PathBuf,
        /// As the kernel says it.
        source: io::Error,
    },
    /// A lock of the store could not be taken.
    #[error("lock {}", path.display())]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of the tree was written to while it was being packed.
    #[error("pack {}: it changed meanwhile", path.display())]
    Changed {
        /// The file, within the tree.
        path: PathBuf,
    },
    /// The slug is larger than the limits allow. Nothing of it was stored.
    #[error("store a slug of {packed_bytes} packed bytes: the limit is {limit}")]
    TooLarge {
        /// Its packed size (bytes).
        packed_bytes: u64,
        /// The largest allowed (bytes).
        limit: u64,
    },
    /// The store holds no such slug.
    #[error("find slug {id}")]
    UnknownSlug {
        /// The slug.
        id: SlugId,
    },
    /// A slug's manifest is not what its identity says.
    #[error("check the manifest of slug {id}: its content does not match its identity")]
    DamagedManifest {
        /// The slug.
        id: SlugId,
    },
    /// A page of a slug's manifest is gone, or is not what its hash says.
    #[error("check page {page} of the manifest of slug {id}: it is missing or damaged")]
    DamagedPage {
        /// The page.
        page: PageId,
        /// A slug that needs it.
        id: SlugId,
    },
    /// A manifest is whole but cannot be understood: another version wrote it.
    #[error("understand the manifest of slug {id}")]
    Manifest {
        /// The slug.
        id: SlugId,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// The bucket that is the store's home was in the way.
    #[error(transparent)]
    Bucket(#[from] crate::bucket::BucketError),
    /// What came in under a hash is not what the hash says.
    #[error("take in {name}: its content does not match")]
    WrongContent {
        /// The object, page or slug.
        name: String,
    },
    /// A path that no slug can hold, or that lies below something that is no directory.
    #[error("put {} into a slug: {problem}", path.display())]
    BadPath {
        /// As it came.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// More files, directories and links than a slug may have.
    #[error("put together a slug of more than {limit} entries")]
    TooMany {
        /// The most allowed.
        limit: usize,
    },
    /// More bytes, unpacked, than a slug may have.
    #[error("put together a slug of more than {limit} bytes, unpacked")]
    TooMuch {
        /// The most allowed (bytes).
        limit: u64,
    },
    /// An object's content does not match its key.
    #[error("check object {object}, {} of slug {id}: its content does not match", path.display())]
    DamagedObject {
        /// The object.
        object: ObjectKey,
        /// A file of the slug that needs it.
        path: PathBuf,
        /// The slug.
        id: SlugId,
    },
    /// A slug's file could not be passed on. The slug is sound.
    #[error("export {}", path.display())]
    Export {
        /// The file, within the slug.
        path: PathBuf,
        /// What whoever takes it says.
        source: io::Error,
    },
    /// An object is gone.
    #[error("find object {object}, {} of slug {id}", path.display())]
    MissingObject {
        /// The object.
        object: ObjectKey,
        /// A file of the slug that needs it.
        path: PathBuf,
        /// The slug.
        id: SlugId,
    },
}

/// Makes a [`StoreError::Read`] of any I/O error, for `map_err`.
pub(crate) fn reading<E: Into<io::Error>>(path: impl AsRef<Path>) -> impl FnOnce(E) -> StoreError {
    move |error| StoreError::Read { path: path.as_ref().to_owned(), source: error.into() }
}

/// Makes a [`StoreError::Write`], or a [`StoreError::DiskFull`], of any I/O error.
pub(crate) fn writing<E: Into<io::Error>>(path: impl AsRef<Path>) -> impl FnOnce(E) -> StoreError {
    move |error| {
        let (path, source) = (path.as_ref().to_owned(), error.into());
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StoreError::DiskFull { path, source }
            }
            _ => StoreError::Write { path, source },
        }
    }
}
