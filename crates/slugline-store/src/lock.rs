//! Locks between threads and processes: held until dropped, and let go by the kernel when the
//! process dies.

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

    // Each taking opens the file anew, so that threads of one process exclude each other too.
    fn take(path: &Path, lock: fn(&std::fs::File) -> std::io::Result<()>) -> Result<Self> {
        let error = |source| StoreError::Lock { path: path.to_owned(), source };
        let mut options = fs_err::OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(path).map_err(error)?;
        let (file, _) = file.into_parts();
        lock(&file).map_err(error)?;
        Ok(Self { _file: file })
    }
}
