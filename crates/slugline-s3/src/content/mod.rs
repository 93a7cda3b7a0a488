//! What objects consist of: runs of bytes that are never changed, each in a file of its own or, when
//! small, in the index.
//!
//! A file is written in `incoming/`, synced, and then named by the index, which makes it exist;
//! only after that does it move to its place. So a start finds all that was never finished in
//! `incoming/` alone.

pub(crate) mod checksums;
mod pins;
pub(crate) mod read;
pub(crate) mod write;

use std::path::{Path, PathBuf};

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

pub(crate) use pins::{Pin, Pins};

use crate::error::{Result, StorageError};

/// How much is hashed, and verified, at once.
pub(crate) const PIECE: usize = 256 * 1024;
/// Held while files are removed, and, shared, by backups.
const LOCK: &str = "lock";
/// Up to this size content lies in the index.
pub(crate) const INLINE: usize = 64 * 1024;

/// Which content: drawn at random, and never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ContentId([u8; 16]);

impl ContentId {
    pub(crate) fn draw() -> Result<Self> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| {
            let error = std::io::Error::other(error.to_string());
            StorageError::file("draw a name for", Path::new("content"), error)
        })?;
        Ok(Self(id))
    }

    /// Of a file's name.
    fn parse(name: &str) -> Option<Self> {
        if name.len() != 32 || !name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return None;
        }
        u128::from_str_radix(name, 16).ok().map(|id| Self(id.to_be_bytes()))
    }
}

impl std::fmt::Display for ContentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl ToSql for ContentId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.as_slice()))
    }
}

impl FromSql for ContentId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let bytes = value.as_blob()?;
        bytes.try_into().map(Self).map_err(|_| FromSqlError::InvalidType)
    }
}

/// Where files of content are.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    root: PathBuf,
}

impl Places {
    /// Makes the directories.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let places = Self { root: root.to_path_buf() };
        for first in 0..=u8::MAX {
            let directory = places.root.join(format!("content/{first:02x}"));
            std::fs::create_dir_all(&directory)
                .map_err(|error| StorageError::file("make", &directory, error))?;
        }
        let incoming = places.incoming();
        std::fs::create_dir_all(&incoming)
            .map_err(|error| StorageError::file("make", &incoming, error))?;
        Ok(places)
    }

    /// Waits until nobody makes a backup, and holds up whoever begins one.
    fn lock(&self) -> Result<std::fs::File> {
        let path = self.root.join(LOCK);
        let locked = std::fs::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .and_then(|file| {
                rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
                Ok(file)
            });
        locked.map_err(|error| StorageError::file("lock", &path, error))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    pub(crate) fn arriving(&self, id: ContentId) -> PathBuf {
        self.incoming().join(id.to_string())
    }

    pub(crate) fn settled(&self, id: ContentId) -> PathBuf {
        let name = id.to_string();
        self.root.join("content").join(&name[..2]).join(name)
    }

    /// Moves a file that the index knows to its place. It is found in either.
    pub(crate) fn settle(&self, id: ContentId) {
        let (from, to) = (self.arriving(id), self.settled(id));
        if let Err(error) = std::fs::rename(&from, &to) {
            tracing::warn!(%error, content = %id, "content stays among what arrives");
        }
    }

    /// Removes a file that the index does not know.
    pub(crate) fn remove(&self, id: ContentId) {
        for path in [self.settled(id), self.arriving(id)] {
            let removed = std::fs::remove_file(&path);
            if let Err(error) = removed
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(%error, content = %id, "content that nothing needs stays");
            }
        }
    }

    /// How many files there are, whether they arrive or are in their place.
    pub(crate) fn count(&self) -> Result<u64> {
        let mut count = self.arrived()?.len() as u64;
        for first in 0..=u8::MAX {
            let directory = self.root.join(format!("content/{first:02x}"));
            let listed = std::fs::read_dir(&directory);
            let listed = listed.map_err(|error| StorageError::file("list", &directory, error))?;
            count += listed.count() as u64;
        }
        Ok(count)
    }

    /// All content that arrived at some time and did not get to its place.
    pub(crate) fn arrived(&self) -> Result<Vec<ContentId>> {
        let incoming = self.incoming();
        let wrong = |error| StorageError::file("list", &incoming, error);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&incoming).map_err(wrong)? {
            let name = entry.map_err(wrong)?.file_name();
            found.extend(name.to_str().and_then(ContentId::parse));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_content_it_is() {
        let id = ContentId::draw().unwrap();
        assert_eq!(ContentId::parse(&id.to_string()), Some(id));
        for bad in ["", "x", "../../etc/passwd", "+0000000000000000000000000000000"] {
            assert_eq!(ContentId::parse(bad), None, "{bad}");
        }
    }
}
