//! An image of a registry, as a slug.

use futures_util::{StreamExt as _, TryStreamExt as _};
use slugline_model::exchange::{ImportRequest, Imported, RegistryTarget};
use slugline_model::size;

use super::client::Repository;
use super::download::top;
use super::push::transfer;
use super::{Manners, RegistryError};
use crate::Store;
use crate::error::writing;
use crate::oci::digest::Digest;
use crate::oci::document::{Descriptor, INDEX, Index, MANIFEST, Manifest, Top, architecture};
use crate::oci::{Blobs, ImageError};
use crate::staging::Staging;

/// How deep indexes may lie in each other.
const DEEPEST: usize = 3;

impl Store {
    /// Makes a slug of what an image in a registry has in `/app`. When it fails, no part of the
    /// slug is visible, and nothing of the image is kept.
    pub fn pull(
        &self,
        target: &RegistryTarget,
        request: &ImportRequest,
        manners: &Manners,
        say: &mut dyn FnMut(&str),
    ) -> Result<Imported, RegistryError> {
        let reference = target.reference.parse()?;
        let repository = Repository::open(target, reference, manners.clone())?;
        let staging = Staging::new(&self.layout)?;
        let blobs = staging.path().join("blobs/sha256");
        fs_err::create_dir_all(&blobs).map_err(writing(&blobs))?;
        transfer(&repository, say, async |say| fetch(&repository, &blobs, request, say).await)?;
        let layout = Blobs::Layout(staging.path().to_path_buf());
        Ok(self.import_image(&layout, request)?)
    }
}

/// Fetches an image as an OCI layout, whose index lies beside `blobs`.
async fn fetch(
    repository: &Repository,
    blobs: &std::path::Path,
    request: &ImportRequest,
    say: &mut dyn FnMut(&str),
) -> Result<(), RegistryError> {
    let (bytes, digest, manifest) = manifest(repository).await?;
    say(&format!("Image {digest}"));
    let keep = |name: &std::path::Path, bytes: &[u8]| {
        let error = |source| RegistryError::File { path: name.to_path_buf(), source };
        fs_err::write(name, bytes).map_err(error)
    };
    keep(&blobs.join(digest.hex()), &bytes)?;
    let mut wanted: Vec<&Descriptor> = vec![&manifest.config];
    for layer in &manifest.layers {
        if !wanted.iter().any(|known| known.digest == layer.digest) {
            wanted.push(layer);
        }
    }
    let bytes = wanted.iter().fold(0u64, |sum, blob| sum.saturating_add(blob.size));
    let limit = request.limits.build_disk;
    if bytes > limit {
        return Err(RegistryError::TooLarge { bytes, limit });
    }
    say(&format!("Fetching {} layers, {}", manifest.layers.len(), size::human(bytes)));
    let downloads = wanted.iter().map(|blob| async move {
        repository.download(blob, &blobs.join(blob.digest.hex())).await.map(|()| *blob)
    });
    let mut done = futures_util::stream::iter(downloads).buffered(repository.manners.parallel);
    while let Some(blob) = done.try_next().await? {
        say(&format!("{}  {}", blob.digest, size::human(blob.size)));
    }
    let index = Index {
        schema_version: 2,
        media_type: INDEX.to_owned(),
        manifests: vec![crate::oci::document_of(MANIFEST, &bytes_of(blobs, digest)?)],
    };
    let index = serde_json::to_vec(&index).unwrap_or_default();
    let root = blobs.ancestors().nth(2).unwrap_or(blobs);
    keep(&root.join("index.json"), &index)
}

fn bytes_of(blobs: &std::path::Path, digest: Digest) -> Result<Vec<u8>, RegistryError> {
    let path = blobs.join(digest.hex());
    fs_err::read(&path).map_err(|source| RegistryError::File { path, source })
}

/// The manifest for this kind of machine, by way of indexes that may lie in each other.
async fn manifest(repository: &Repository) -> Result<(Vec<u8>, Digest, Manifest), RegistryError> {
    let reference = &repository.reference;
    let (mut bytes, mut digest) =
        repository.manifest(&reference.wanted(), reference.digest).await?;
    for _ in 0..DEEPEST {
        let index = match top(&bytes)? {
            Top::Manifest(manifest) => return Ok((bytes, digest, manifest)),
            Top::Index(index) => index,
        };
        let chosen = crate::oci::fitting(&index).ok_or_else(|| ImageError::NoImage {
            architecture: architecture(),
            what: reference.to_string(),
        })?;
        bytes = repository.document(chosen).await?;
        digest = chosen.digest;
    }
    match top(&bytes)? {
        Top::Manifest(manifest) => Ok((bytes, digest, manifest)),
        Top::Index(_) => Err(ImageError::TooDeep.into()),
    }
}
