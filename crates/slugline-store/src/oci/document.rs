//! The documents of an image: index, manifest, configuration, and Docker's own list. Whoever reads
//! one takes it for hostile: it is small, and what it lists is little.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// The largest document that is read (bytes), as registries have it.
pub const LARGEST: u64 = 4 << 20;

/// The most layers of an image: what file systems can stack is less.
const LAYERS: usize = 500;

/// The most images of an index.
const IMAGES: usize = 1_000;

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// What Docker called them before there was a standard.
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Why a document is not taken.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is no JSON, or not of its kind.
    #[error("it cannot be understood")]
    Json(#[from] serde_json::Error),
    /// Larger than any honest one.
    #[error("it is larger than {LARGEST} bytes")]
    TooLarge,
    /// It lists more than any honest one.
    #[error("it lists more than {0}")]
    TooMany(usize),
    /// The number of layers is told twice, and not the same.
    #[error("its configuration speaks of {configured} layers, its manifest of {listed}")]
    Layers {
        /// In the configuration.
        configured: usize,
        /// In the manifest.
        listed: usize,
    },
}

/// Where a blob is, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Its kind.
    #[serde(default)]
    pub media_type: String,
    /// What it must hash to.
    pub digest: Digest,
    /// Its size (bytes).
    pub size: u64,
    /// What machine an image is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A kind of machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// `amd64`, `arm64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
}

/// A list of images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// 2.
    pub schema_version: u32,
    /// Its kind.
    #[serde(default)]
    pub media_type: String,
    /// The images.
    pub manifests: Vec<Descriptor>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2.
    pub schema_version: u32,
    /// Its kind.
    #[serde(default)]
    pub media_type: String,
    /// Its configuration.
    pub config: Descriptor,
    /// Its layers, the lowest first.
    pub layers: Vec<Descriptor>,
}

/// How an image is to be run, and what its layers are once they are unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// What machine it is for.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// How it is started.
    #[serde(default)]
    pub config: Run,
    /// Its layers.
    pub rootfs: RootFs,
    /// What each layer came from.
    #[serde(default)]
    pub history: Vec<History>,
}

/// How an image is started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Run {
    /// `1000:1000`.
    #[serde(default)]
    pub user: String,
    /// `5000/tcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
    /// `NAME=value`.
    #[serde(default)]
    pub env: Option<Vec<String>>,
    /// What is run.
    #[serde(default)]
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments, where none are given.
    #[serde(default)]
    pub cmd: Option<Vec<String>>,
    /// Where.
    #[serde(default)]
    pub working_dir: String,
    /// Notes.
    #[serde(default)]
    pub labels: Option<BTreeMap<String, String>>,
}

/// What the layers are once they are unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The lowest first.
    pub diff_ids: Vec<Digest>,
}

/// What a layer came from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Whether it changed no file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// An image in an archive of Docker's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerImage {
    /// The configuration's name in the archive.
    pub config: String,
    /// `name:tag`.
    #[serde(default)]
    pub repo_tags: Option<Vec<String>>,
    /// The layers' names in the archive, the lowest first.
    pub layers: Vec<String>,
}

/// An index, or an image at once: registries give either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Top {
    /// Several images.
    Index(Index),
    /// One.
    Manifest(Manifest),
}

/// Reads an index.
pub fn parse_index(bytes: &[u8]) -> Result<Index, DocumentError> {
    let index: Index = parse(bytes)?;
    bounded(index.manifests.len(), IMAGES).map(|()| index)
}

/// Reads a manifest.
pub fn parse_manifest(bytes: &[u8]) -> Result<Manifest, DocumentError> {
    let manifest: Manifest = parse(bytes)?;
    bounded(manifest.layers.len(), LAYERS).map(|()| manifest)
}

/// Reads an index or a manifest, whichever it is.
pub fn parse_top(bytes: &[u8]) -> Result<Top, DocumentError> {
    #[derive(Deserialize)]
    struct Shape {
        #[serde(default)]
        manifests: Option<serde::de::IgnoredAny>,
    }
    let shape: Shape = parse(bytes)?;
    match shape.manifests {
        Some(_) => parse_index(bytes).map(Top::Index),
        None => parse_manifest(bytes).map(Top::Manifest),
    }
}

/// Reads a configuration.
pub fn parse_config(bytes: &[u8]) -> Result<Config, DocumentError> {
    let config: Config = parse(bytes)?;
    bounded(config.rootfs.diff_ids.len(), LAYERS).map(|()| config)
}

/// Reads the list of a Docker archive.
pub fn parse_docker_images(bytes: &[u8]) -> Result<Vec<DockerImage>, DocumentError> {
    let images: Vec<DockerImage> = parse(bytes)?;
    bounded(images.len(), IMAGES)?;
    images.iter().try_for_each(|image| bounded(image.layers.len(), LAYERS))?;
    Ok(images)
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DocumentError> {
    if bytes.len() as u64 > LARGEST {
        return Err(DocumentError::TooLarge);
    }
    Ok(serde_json::from_slice(bytes)?)
}

fn bounded(count: usize, most: usize) -> Result<(), DocumentError> {
    if count > most { Err(DocumentError::TooMany(most)) } else { Ok(()) }
}

/// The machine that this is, as images call it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}
