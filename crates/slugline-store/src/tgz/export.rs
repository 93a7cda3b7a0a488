//! Slug to `slug.tgz`: sorted, with fixed times and owners, so that a slug has one archive.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use slugline_model::exchange::{Checksum, Exported};
use slugline_model::slug::SlugId;

use crate::Store;
use crate::archive::digest::Hashed;
use crate::archive::write::{Owner, TarWriter};
use crate::error::{Result, StoreError};
use crate::exact::Exact;
use crate::manifest::Entry;
use crate::object::ObjectKey;
use crate::tree::as_path;

/// What `gzip` and `tar -z` pack with.
const LEVEL: u32 = 6;

impl Store {
    /// Writes a slug as Heroku packs it. Each file is checked against its hash on the way; after an
    /// error what was written is no archive.
    pub fn export_tgz(&self, id: &SlugId, out: &mut dyn Write) -> Result<Exported> {
        let manifest = self.manifest(id)?;
        let _lock = self.lock_shared()?;
        let packed = GzEncoder::new(Hashed::new(out), Compression::new(LEVEL));
        let mut tar = TarWriter::new(packed);
        tar.directory(b"./app", 0o755, Owner::ROOT).map_err(sending(b"."))?;
        for (path, entry) in &manifest.entries {
            self.export_entry(id, &mut tar, path, entry)?;
        }
        let packed = tar.finish().map_err(sending(b"."))?;
        let (_, sha256, bytes) = packed.finish().map_err(sending(b"."))?.finish();
        Ok(Exported { bytes, checksum: Checksum::Sha256(sha256) })
    }

    fn export_entry(
        &self,
        id: &SlugId,
        tar: &mut TarWriter<impl Write>,
        path: &[u8],
        entry: &Entry,
    ) -> Result<()> {
        let name = [b"./app/", path].concat();
        match entry {
            Entry::Directory => tar.directory(&name, 0o755, Owner::ROOT),
            Entry::Symlink { target } => tar.symlink(&name, target, Owner::ROOT),
            Entry::File { object, size } => {
                return self.export_file(id, *object, path, |content| {
                    tar.file(&name, (mode(*object), *size), Owner::ROOT, content)
                });
            }
        }
        .map_err(sending(path))
    }

    /// Gives an object's content to somebody who writes it elsewhere, and tells whose fault it is
    /// when that fails.
    pub(crate) fn export_file(
        &self,
        id: &SlugId,
        object: ObjectKey,
        path: &[u8],
        write: impl FnOnce(&mut dyn io::Read) -> io::Result<()>,
    ) -> Result<()> {
        let mut content = Exact::new(self.open_object(object)?, object);
        let written = write(&mut content);
        if content.is_damaged() {
            return Err(StoreError::DamagedObject { object, path: as_path(path), id: id.clone() });
        }
        written.map_err(sending(path))
    }
}

/// A file's permission bits, of which a slug keeps one.
pub(crate) fn mode(object: ObjectKey) -> u32 {
    if object.executable { 0o755 } else { 0o644 }
}

/// The slug is sound; whoever it is sent to does not take it.
pub(crate) fn sending(path: &[u8]) -> impl FnOnce(io::Error) -> StoreError {
    let path = as_path(path);
    move |source| StoreError::Export { path, source }
}
