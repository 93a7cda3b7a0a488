//! Writes images: as an archive, which old `docker load` takes as well as whoever knows OCI.

use std::io::{self, Write};

use slugline_model::exchange::{Checksum, Exported};

use super::document::{DockerImage, INDEX, Index, MANIFEST, Platform};
use super::error::ImageError;
use super::image::{Image, document, to_json};
use crate::Store;
use crate::archive::digest::Hashed;
use crate::archive::write::{Owner, TarWriter};

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

impl Store {
    /// Writes an image as an OCI archive. `name` is `repository:tag`, for whoever loads it.
    pub fn write_image(
        &self,
        image: &Image,
        name: Option<&str>,
        out: &mut dyn Write,
    ) -> Result<Exported, ImageError> {
        let mut tar = TarWriter::new(Hashed::new(out));
        // Without them skopeo makes them itself, and fails to give them to root where it is not.
        for directory in [&b"blobs"[..], b"blobs/sha256"] {
            tar.directory(directory, 0o755, Owner::ROOT)
                .map_err(|source| ImageError::Write { source })?;
        }
        for (path, bytes) in documents(image, name)? {
            file(&mut tar, &path, bytes.len() as u64, &mut bytes.as_slice())?;
        }
        let mut written = std::collections::BTreeSet::new();
        for layer in &image.layers {
            if written.insert(layer.facts.digest) {
                let blob = self.layer_blob(&image.cache, layer)?;
                let error = |source| ImageError::Read { path: blob.path.clone(), source };
                let mut content = blob.open(0).map_err(error)?;
                file(&mut tar, &blob_name(&layer.facts.digest.hex()), blob.size, &mut content)?;
            }
        }
        let out = tar.finish().map_err(|source| ImageError::Write { source })?;
        let (_, sha256, bytes) = out.finish();
        Ok(Exported { bytes, checksum: Checksum::Sha256(sha256) })
    }
}

fn documents(image: &Image, name: Option<&str>) -> Result<Vec<(String, Vec<u8>)>, ImageError> {
    let manifest = document(MANIFEST, &image.manifest);
    let config = document(super::document::CONFIG, &image.config);
    let mut named = manifest.clone();
    let parsed = super::document::parse_config(&image.config);
    named.platform =
        parsed.ok().map(|config| Platform { architecture: config.architecture, os: config.os });
    if let Some(name) = name {
        // podman takes this for the image's name, skopeo for its tag.
        named.annotations.insert("org.opencontainers.image.ref.name".to_owned(), name.to_owned());
    }
    let media_type = INDEX.to_owned();
    let index = Index { schema_version: 2, media_type, manifests: vec![named] };
    let layers = image.layers.iter().map(|layer| blob_name(&layer.facts.digest.hex()));
    let docker = DockerImage {
        config: blob_name(&config.digest.hex()),
        repo_tags: name.map(|name| vec![name.to_owned()]),
        layers: layers.collect(),
    };
    Ok(vec![
        ("oci-layout".to_owned(), LAYOUT.to_vec()),
        ("index.json".to_owned(), to_json(&index)?),
        ("manifest.json".to_owned(), to_json(&[docker])?),
        (blob_name(&manifest.digest.hex()), image.manifest.clone()),
        (blob_name(&config.digest.hex()), image.config.clone()),
    ])
}

fn blob_name(hex: &str) -> String {
    format!("blobs/sha256/{hex}")
}

fn file(
    tar: &mut TarWriter<impl Write>,
    name: &str,
    size: u64,
    content: &mut dyn io::Read,
) -> Result<(), ImageError> {
    tar.file(name.as_bytes(), (0o644, size), Owner::ROOT, content)
        .map_err(|source| ImageError::Write { source })
}
