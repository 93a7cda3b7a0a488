//! A slug as an image.

use std::collections::BTreeMap;

use slugline_model::exchange::StackChoice;
use slugline_model::sandbox::{DYNO_UID, STACK_PATH};
use slugline_model::slug::SlugId;

use super::cache::{Cache, LayerWriter};
use super::digest::Digest;
use super::document::{
    CONFIG, Config, Descriptor, History, MANIFEST, Manifest, RootFs, Run, architecture,
};
use super::error::ImageError;
use super::layer::{Content, Layer};
use super::source::Blobs;
use super::stack::Stack;
use super::start::{self, Start};
use crate::Store;
use crate::manifest::Manifest as SlugManifest;

/// The time of all that is ours, as images write it: that of the store's files.
const CREATED: &str = "2010-01-01T00:00:00Z";

/// Where a web process listens, unless it is told otherwise.
const PORT: &str = "5000";

/// The label with the process types, as JSON.
pub(crate) const PROCESS_TYPES: &str = "slugline.process-types";

/// What image is to be made.
#[derive(Debug)]
pub struct ImageRequest<'a> {
    /// Of which slug.
    pub slug: &'a SlugId,
    /// What lies beneath.
    pub stack: &'a StackChoice,
}

/// An image of a slug: its documents, and layers that are packed once somebody needs them.
#[derive(Debug)]
pub struct Image {
    pub(crate) manifest: Vec<u8>,
    pub(crate) config: Vec<u8>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) cache: Cache,
    /// Keeps the stack's blobs where they are.
    _stack: Option<Blobs>,
}

impl Image {
    /// What the image is called by its content.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }

    /// Its layers, the lowest first.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }
}

impl Store {
    /// Makes an image of a slug. The same slug on the same stack is the same image.
    pub fn oci_image(
        &self,
        request: &ImageRequest<'_>,
        say: &mut dyn FnMut(&str),
    ) -> Result<Image, ImageError> {
        let manifest = self.manifest(request.slug)?;
        let cache = Cache::open(self)?;
        let mut stack = Stack::open(self, request.stack)?;
        let mut layers = std::mem::take(&mut stack.layers);
        if let Some(tree) = stack.tree.take() {
            say(&format!("Stack: {tree}"));
            let facts =
                cache.facts(&tree.key(), &mut |tar: &mut LayerWriter<'_>| tree.pack(tar))?;
            layers.push(Layer { facts, what: "stack".to_owned(), content: Content::Tree(tree) });
        }
        let start = Start { has_users: stack.has_users, hides_app: stack.may_have_app };
        let facts = cache.facts(&start.key(), &mut |tar: &mut LayerWriter<'_>| start.pack(tar))?;
        layers.push(Layer { facts, what: "start".to_owned(), content: Content::Start(start) });
        layers.extend(self.slug_layers(&cache, request.slug, &manifest)?);
        let config = config(stack.config, &layers, &manifest, request.slug);
        let config = to_json(&config)?;
        let manifest = to_json(&image_manifest(&config, &layers))?;
        let kept: Vec<Digest> = layers.iter().map(|layer| layer.facts.digest).collect();
        cache.prune(&kept);
        Ok(Image { manifest, config, layers, cache, _stack: stack.blobs })
    }
}

fn image_manifest(config: &[u8], layers: &[Layer]) -> Manifest {
    Manifest {
        schema_version: 2,
        media_type: MANIFEST.to_owned(),
        config: document(CONFIG, config),
        layers: layers.iter().map(Layer::descriptor).collect(),
    }
}

/// How a document is named.
pub(crate) fn document(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor {
        media_type: media_type.to_owned(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        platform: None,
        annotations: BTreeMap::new(),
    }
}

/// The stack's configuration, with what a dyno has on top.
fn config(stack: Option<Config>, layers: &[Layer], slug: &SlugManifest, id: &SlugId) -> Config {
    let mut config = stack.unwrap_or_else(|| Config {
        architecture: architecture().to_owned(),
        os: "linux".to_owned(),
        ..Config::default()
    });
    config.created = Some(CREATED.to_owned());
    config.rootfs = RootFs {
        kind: "layers".to_owned(),
        diff_ids: layers.iter().map(|layer| layer.facts.diff_id).collect(),
    };
    let ours = layers.iter().filter(|layer| !matches!(layer.content, Content::Blob(..)));
    config.history.extend(ours.map(|layer| History {
        created: Some(CREATED.to_owned()),
        created_by: Some(format!("slugline: {}", layer.what)),
        empty_layer: false,
    }));
    config.config = run(config.config, slug, id);
    config
}

fn run(stack: Run, slug: &SlugManifest, id: &SlugId) -> Run {
    let mut labels = stack.labels.unwrap_or_default();
    let types = serde_json::to_string(&slug.process_types).unwrap_or_default();
    labels.insert(PROCESS_TYPES.to_owned(), types);
    labels.insert("slugline.slug".to_owned(), id.to_string());
    Run {
        user: format!("{DYNO_UID}:{DYNO_UID}"),
        exposed_ports: Some(BTreeMap::from([(format!("{PORT}/tcp"), serde_json::json!({}))])),
        env: Some(environment(stack.env.unwrap_or_default())),
        entrypoint: Some(vec![start::PATH.to_owned()]),
        cmd: None,
        working_dir: "/app".to_owned(),
        labels: Some(labels),
    }
}

/// The stack's variables, and over them what every dyno has.
fn environment(mut stack: Vec<String>) -> Vec<String> {
    let is = |pair: &String, name: &str| pair.split('=').next() == Some(name);
    if !stack.iter().any(|pair| is(pair, "PATH")) {
        stack.push(format!("PATH={STACK_PATH}"));
    }
    stack.retain(|pair| !is(pair, "HOME") && !is(pair, "PORT"));
    stack.extend(["HOME=/app".to_owned(), format!("PORT={PORT}")]);
    stack
}

pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>, ImageError> {
    let error = |error| ImageError::Write { source: std::io::Error::other(error) };
    serde_json::to_vec(value).map_err(error)
}
