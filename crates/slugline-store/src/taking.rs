//! Archives of slugs whose format their first bytes tell.

use std::io::{self, Read};

use slugline_model::exchange::{Checksum, ImportRequest, Imported};

use crate::archive::bounded::Bounded;
use crate::archive::digest::Hashed;
use crate::archive::place;
use crate::archive::read;
use crate::oci::{Blobs, ImageError};
use crate::tgz::TgzError;
use crate::{Store, StoreError};

/// How much of an archive is looked at to tell its format (bytes).
const LOOKED_AT: u64 = 1 << 16;

/// Why an archive is not taken. Nothing of it is in the store.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// As Heroku's.
    #[error(transparent)]
    Tgz(#[from] TgzError),
    /// As an image.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl ImportError {
    /// What the store itself met, if it was that.
    pub fn of_store(&self) -> Option<&StoreError> {
        match self {
            Self::Tgz(TgzError::Store(error)) | Self::Image(ImageError::Store(error)) => {
                Some(error)
            }
            _ => None,
        }
    }
}

impl Store {
    /// Makes a slug of an archive: a `slug.tgz`, an OCI archive, or one of `docker save`. When it
    /// fails, no part of the slug is visible.
    pub fn import(
        &self,
        input: &mut dyn Read,
        request: &ImportRequest,
    ) -> Result<Imported, ImportError> {
        let mut start = Vec::new();
        let looked = (&mut *input).take(LOOKED_AT).read_to_end(&mut start);
        looked.map_err(|error| TgzError::from(read::reading(1, error)))?;
        let is_image = is_image(&start);
        let mut input = io::Cursor::new(start).chain(input);
        if !is_image {
            return Ok(self.import_tgz(&mut input, request)?);
        }
        let largest = request.limits.build_disk;
        let mut input = Hashed::new(Bounded::new(input, largest));
        let blobs = Blobs::spooled(self, &mut input, largest)?;
        io::copy(&mut input, &mut io::sink())
            .map_err(|error| TgzError::from(read::reading(1, error)))?;
        let (_, sha256, _) = input.finish();
        let found = Checksum::Sha256(sha256);
        if let Some(expected) = request.checksum.filter(|expected| *expected != found) {
            return Err(TgzError::Checksum { expected, found }.into());
        }
        let missing = || ImageError::Missing { digest: "index.json".to_owned() };
        let imported = self.import_image(&blobs.ok_or_else(missing)?, request)?;
        Ok(Imported { checksum: Some(found), ..imported })
    }
}

/// Whether an archive that begins so is one of an image: by the name of its first entry.
fn is_image(start: &[u8]) -> bool {
    let mut header = [0; 512];
    let whole = read::unpacked(start).and_then(|mut tar| tar.read_exact(&mut header));
    let path = tar::Header::from_byte_slice(&header).path_bytes().into_owned();
    let Some(name) = whole.ok().and_then(|()| place::normal(&path).ok()) else { return false };
    let first = name.split(|byte| *byte == b'/').next().unwrap_or_default();
    let known = [&b"oci-layout"[..], b"index.json", b"manifest.json", b"repositories", b"blobs"];
    // Docker's own begin with a layer or a configuration, called by its hash.
    let is_hash = first.len() >= 64 && first[..64].iter().all(u8::is_ascii_hexdigit);
    known.contains(&first) || is_hash
}
