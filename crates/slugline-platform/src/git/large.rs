//! What git-lfs keeps beside a repository: each file under its SHA-256, within the repository's own
//! directory, so that it goes, is counted and is backed up with it.

use std::io;
use std::path::{Path, PathBuf};

use axum::body::Body;
use futures_util::StreamExt as _;
use sha2::{Digest as _, Sha256};
use slugline_model::large_file::{Oid, Pointer};
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use crate::platform::Inner;

/// Within a repository: what is kept, and what is not whole yet.
const OBJECTS: &str = "lfs/objects";
const INCOMING: &str = "lfs/incoming";

/// Why a file is not taken.
#[derive(Debug)]
pub(crate) enum NotTaken {
    /// It is longer or shorter than was announced, or something else.
    Other,
    /// Its client broke off.
    BrokenOff,
    /// The disk.
    Disk(io::Error),
}

impl From<io::Error> for NotTaken {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl Inner {
    /// Where a file of an app's repository lies, if it is there.
    pub(crate) fn large_file(&self, app: Uuid, oid: &Oid) -> PathBuf {
        self.repository(app).join(OBJECTS).join(oid.path())
    }

    /// Whether a file is there; it is only ever there whole.
    pub(crate) fn has_large_file(&self, app: Uuid, file: &Pointer) -> bool {
        let there = self.large_file(app, &file.oid).metadata();
        there.is_ok_and(|there| there.is_file() && there.len() == file.size)
    }

    /// Takes a file; it is there, and safe on the disk, once this has succeeded. Gives the bytes
    /// that it adds.
    pub(crate) async fn take_large_file(
        &self,
        app: Uuid,
        file: &Pointer,
        body: Body,
    ) -> Result<u64, NotTaken> {
        let place = self.large_file(app, &file.oid);
        let incoming = self.ensure_repository(app).await?.join(INCOMING);
        tokio::fs::create_dir_all(&incoming).await?;
        let part = Part(incoming.join(Uuid::new_v4().to_string()));
        receive(&part.0, file, body).await?;
        if self.has_large_file(app, file) {
            return Ok(0);
        }
        let directory = place.parent().unwrap_or(&place).to_path_buf();
        tokio::fs::create_dir_all(&directory).await?;
        tokio::fs::rename(&part.0, &place).await?;
        let directories = directory.ancestors().take(4).map(Path::to_path_buf).collect::<Vec<_>>();
        for directory in directories {
            tokio::fs::File::open(directory).await?.sync_all().await?;
        }
        Ok(file.size)
    }
}

/// A file that is not whole yet; it goes with whoever writes it.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // It has its place already, or never will.
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn receive(part: &Path, file: &Pointer, body: Body) -> Result<(), NotTaken> {
    let mut out = tokio::fs::File::create(part).await?;
    let (mut hash, mut left) = (Sha256::new(), file.size);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| NotTaken::BrokenOff)?;
        left = left.checked_sub(chunk.len() as u64).ok_or(NotTaken::Other)?;
        hash.update(&chunk);
        out.write_all(&chunk).await?;
    }
    let found = format!("{:x}", hash.finalize());
    if left != 0 || found != file.oid.as_str() {
        return Err(NotTaken::Other);
    }
    out.flush().await?;
    out.sync_all().await?;
    Ok(())
}

/// Removes what a killed server was about to take.
pub(super) fn remove_left_parts(repository: &Path) {
    let incoming = repository.join(INCOMING);
    match std::fs::remove_dir_all(&incoming) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %incoming.display(), "half a file could not be removed");
        }
        _ => {}
    }
}
