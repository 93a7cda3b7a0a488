//! Locks between threads and processes: held until dropped, and let go by the kernel when the
//! process dies.

use std::fs::TryLockError;
use std::path::Path;

use crate::error::{Result, StoreError};

#[derive(Debug)]
pub(crate) struct Lock {
    _file: std::fs::File,
}

impl Lock {
    /// Beside others who share it.
    pub(crate) fn shared(path: &Path) -> Result<Self> {
        Self::take(path, std::fs::File::lock_shared)
    }

    /// Alone.
    pub(crate) fn exclusive(path: &Path) -> Result<Self> {
        Self::take(path, std::fs::File::lock)
    }

    /// Alone, if that is possible at once.
    pub(crate) fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed(path)(source)),
        }
    }

    fn take(path: &Path, lock: fn(&std::fs::File) -> std::io::Result<()>) -> Result<Self> {
        let file = open(path)?;
        lock(&file).map_err(failed(path))?;
        Ok(Self { _file: file })
    }
}

/// Each taking opens the file anew, so that threads of one process exclude each other too.
fn open(path: &Path) -> Result<std::fs::File> {
    let mut options = fs_err::OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(path).map_err(failed(path))?;
    Ok(file.into_parts().0)
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    move |source| StoreError::Lock { path: path.to_owned(), source }
}
