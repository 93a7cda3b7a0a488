//! What can go wrong with stored objects, and how S3's clients are told.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::StatusCode;
use s3s::{S3Error, S3ErrorCode};

/// Short for a result of the storage.
pub type Result<T> = std::result::Result<T, StorageError>;

/// Why the storage could not do what it was asked for.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// The disk has no room, or no more than is kept back for removing things.
    #[error("store an object: the disk is full")]
    DiskFull,
    /// A file could not be read or written.
    #[error("{operation} {}", path.display())]
    File {
        /// What was to be done.
        operation: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// The index could not be read or written.
    #[error("{operation} the index of objects")]
    Index {
        /// What was to be done.
        operation: &'static str,
        /// Why not.
        source: Arc<rusqlite::Error>,
    },
    /// Content on the disk is not what was stored.
    #[error("read content {content}: it is not what was stored")]
    Damaged {
        /// Which content.
        content: String,
    },
    /// The storage is shutting down.
    #[error("write to the index of objects: the storage is shutting down")]
    Closed,
    /// What S3 says of a request that cannot be met.
    #[error("{}: {message}", code.as_str())]
    Refused {
        /// S3's name for it.
        code: S3ErrorCode,
        /// For a person.
        message: String,
    },
    /// Objects are no more than this in a bucket.
    #[error("store an object: the bucket's quota of {quota} bytes is used up")]
    Quota {
        /// The most that the bucket may hold (bytes).
        quota: u64,
    },
}

impl StorageError {
    /// S3's word for what is wrong with a request.
    pub(crate) fn refused(code: S3ErrorCode, message: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into() }
    }

    /// A file's trouble; a full disk is told apart.
    pub(crate) fn file(operation: &'static str, path: &Path, source: io::Error) -> Self {
        if matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        ) {
            return Self::DiskFull;
        }
        Self::File { operation, path: path.to_path_buf(), source: Arc::new(source) }
    }

    /// The index's trouble; a full disk is told apart.
    pub(crate) fn index(operation: &'static str, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::DiskFull,
            _ => Self::Index { operation, source: Arc::new(source) },
        }
    }
}

impl From<StorageError> for S3Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Refused { code, message } => S3Error::with_message(code, message),
            StorageError::DiskFull => with_status(
                "InsufficientStorage",
                StatusCode::INSUFFICIENT_STORAGE,
                "The disk is full. Nothing was stored; try again when there is room.".to_owned(),
            ),
            StorageError::Quota { quota } => with_status(
                "QuotaExceeded",
                StatusCode::FORBIDDEN,
                format!(
                    "The bucket may hold {quota} bytes, and this would be more. Nothing was stored."
                ),
            ),
            StorageError::Closed => S3Error::new(S3ErrorCode::ServiceUnavailable),
            other => {
                tracing::error!(error = %other, cause = ?std::error::Error::source(&other), "an object request failed");
                S3Error::with_message(
                    S3ErrorCode::InternalError,
                    "The server could not do this; its log says why.",
                )
            }
        }
    }
}

fn with_status(code: &'static str, status: StatusCode, message: String) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_such_wherever_it_is_met() {
        let full = io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        let error = StorageError::file("write", Path::new("/x"), full);
        assert!(matches!(error, StorageError::DiskFull));
        let told = S3Error::from(error);
        assert_eq!(told.status_code(), Some(StatusCode::INSUFFICIENT_STORAGE));
        assert_eq!(told.code().as_str(), "InsufficientStorage");
    }

    #[test]
    fn a_secret_of_the_machine_is_told_to_no_client() {
        let error = io::Error::from(io::ErrorKind::PermissionDenied);
        let told = S3Error::from(StorageError::file("read", Path::new("/srv/secret"), error));
        assert!(!told.message().unwrap_or_default().contains("/srv"));
        assert_eq!(told.status_code(), Some(StatusCode::INTERNAL_SERVER_ERROR));
    }
}
