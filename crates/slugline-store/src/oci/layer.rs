//! A layer of an image: what goes into it, and its blob.

use std::io;
use std::path::{Path, PathBuf};

use slugline_model::layer::{LayerClass, layer_of};
use slugline_model::procfile::ProcessTypes;
use slugline_model::sandbox::DYNO_UID;
use slugline_model::slug::SlugId;

use super::cache::{Cache, Facts, LayerWriter};
use super::document::{Descriptor, LAYER, LAYER_GZIP, LAYER_ZSTD};
use super::error::ImageError;
use super::host::HostTree;
use super::source::BlobFile;
use super::start;
use crate::Store;
use crate::archive::write::Owner;
use crate::error::StoreError;
use crate::manifest::{Entry, Manifest};
use crate::object::FIXED_TIME;
use crate::tgz::export::{mode, sending};

/// Who owns a slug's files in an image: whom a dyno runs as.
pub(crate) const DYNO: Owner =
    Owner { uid: DYNO_UID as u64, gid: DYNO_UID as u64, name: "dyno", time: FIXED_TIME as u64 };

/// A layer of an image.
#[derive(Debug)]
pub struct Layer {
    pub(crate) facts: Facts,
    /// What it holds, for people.
    pub(crate) what: String,
    pub(crate) content: Content,
}

/// What goes into a layer.
#[derive(Debug)]
pub(crate) enum Content {
    /// Files of a slug.
    Slug { id: SlugId, class: LayerClass },
    /// What starts the process types, and `/app` itself.
    Start(start::Start),
    /// What dynos run on here, or another tree of this machine.
    Tree(HostTree),
    /// A blob that exists already.
    Blob(BlobFile, Compression),
}

/// Whether a blob is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Layer {
    /// How an image's manifest names it.
    pub(crate) fn descriptor(&self) -> Descriptor {
        let media_type = match &self.content {
            Content::Blob(_, Compression::None) => LAYER,
            Content::Blob(_, Compression::Zstd) => LAYER_ZSTD,
            _ => LAYER_GZIP,
        };
        Descriptor {
            media_type: media_type.to_owned(),
            digest: self.facts.digest,
            size: self.facts.size,
            platform: None,
            annotations: std::collections::BTreeMap::new(),
        }
    }

    /// What it holds, for people.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The size of its blob (bytes).
    pub fn size(&self) -> u64 {
        self.facts.size
    }
}

impl Store {
    /// The layers that a slug's own files make, the lowest first.
    pub(crate) fn slug_layers(
        &self,
        cache: &Cache,
        id: &SlugId,
        manifest: &Manifest,
    ) -> Result<Vec<Layer>, ImageError> {
        let mut layers = Vec::new();
        for class in LayerClass::ALL {
            let Some(key) = key(manifest, class) else { continue };
            let mut pack = |tar: &mut LayerWriter<'_>| self.pack_class(id, manifest, class, tar);
            let facts = cache.facts(&key, &mut pack)?;
            let content = Content::Slug { id: id.clone(), class };
            layers.push(Layer { facts, what: class.as_str().to_owned(), content });
        }
        Ok(layers)
    }

    /// A layer's blob, packed again if it is no longer kept.
    pub(crate) fn layer_blob(&self, cache: &Cache, layer: &Layer) -> Result<BlobFile, ImageError> {
        let path = match &layer.content {
            Content::Blob(file, _) => return Ok(file.clone()),
            Content::Slug { id, class } => {
                let manifest = self.manifest(id)?;
                cache.blob(&layer.facts, &mut |tar| self.pack_class(id, &manifest, *class, tar))?
            }
            Content::Start(start) => cache.blob(&layer.facts, &mut |tar| start.pack(tar))?,
            Content::Tree(tree) => cache.blob(&layer.facts, &mut |out| tree.pack(out))?,
        };
        Ok(BlobFile { path, offset: 0, size: layer.facts.size })
    }

    fn pack_class(
        &self,
        id: &SlugId,
        manifest: &Manifest,
        class: LayerClass,
        tar: &mut LayerWriter<'_>,
    ) -> Result<(), ImageError> {
        tar.directory(b"app", 0o755, DYNO).map_err(sending(b"."))?;
        for (path, entry) in members(manifest, class) {
            let name = [b"app/", path].concat();
            match entry {
                Entry::Directory => tar.directory(&name, 0o755, DYNO).map_err(sending(path)),
                Entry::Symlink { target } => {
                    tar.symlink(&name, target, DYNO).map_err(sending(path))
                }
                Entry::File { object, size } => self.export_file(id, *object, path, |content| {
                    tar.file(&name, (mode(*object), *size), DYNO, content)
                }),
            }?;
        }
        if class == LayerClass::App {
            start::pack_processes(&manifest.process_types, tar)?;
        }
        Ok(())
    }
}

/// The entries of a layer: those of its class, and the directories above them.
fn members(manifest: &Manifest, class: LayerClass) -> impl Iterator<Item = (&[u8], &Entry)> {
    let mut wanted = std::collections::BTreeSet::new();
    for (path, _) in manifest.entries.iter().filter(|(path, _)| layer_of(path) == class) {
        wanted.insert(path.as_slice());
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        wanted.extend(ends.map(|(end, _)| &path[..end]));
    }
    let entry = |path| manifest.entries.get_key_value(path);
    wanted.into_iter().filter_map(entry).map(|(path, entry)| (path.as_slice(), entry))
}

/// What a layer is cached by: all that goes into it, and how it is packed. None for one that would
/// be empty; the app's own never is, since it tells the process types.
fn key(manifest: &Manifest, class: LayerClass) -> Option<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"slugline layer 1\0");
    let mut empty = true;
    for (path, entry) in members(manifest, class) {
        empty = false;
        hasher.update(&(path.len() as u64).to_le_bytes());
        hasher.update(path);
        match entry {
            Entry::Directory => hasher.update(b"d"),
            Entry::Symlink { target } => {
                hasher.update(b"l").update(&(target.len() as u64).to_le_bytes()).update(target)
            }
            Entry::File { object, .. } => {
                hasher.update(if object.executable { b"x" } else { b"f" }).update(&object.hash)
            }
        };
    }
    if class == LayerClass::App {
        hash_processes(&mut hasher, &manifest.process_types);
        empty = false;
    }
    (!empty).then(|| hasher.finalize().to_hex().to_string())
}

fn hash_processes(hasher: &mut blake3::Hasher, types: &ProcessTypes) {
    hasher.update(b"processes\0");
    for (name, command) in types {
        hasher.update(name.to_string().as_bytes()).update(b"\0");
        hasher.update(command.as_bytes()).update(b"\0");
    }
}

/// A file that has no name yet, and leaves nothing if it gets none.
#[derive(Debug)]
pub(crate) struct Unnamed {
    pub(crate) file: fs_err::File,
    path: PathBuf,
    published: bool,
}

/// Makes a file below a directory that is to be named later.
pub(crate) fn unnamed(directory: &Path) -> io::Result<Unnamed> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("incoming-{}-{number}", std::process::id()));
        match fs_err::File::options().read(true).write(true).create_new(true).open(&path) {
            Ok(file) => return Ok(Unnamed { file, path, published: false }),
            // Left by an earlier process that had the same id.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// A small blob in a file that goes when this does.
pub(crate) fn unnamed_with(cache: &Cache, content: &[u8]) -> Result<Unnamed, ImageError> {
    use std::io::Write as _;
    let mut unnamed = unnamed(cache.root())?;
    unnamed.file.write_all(content)?;
    Ok(unnamed)
}

impl Unnamed {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, once its content is safe on the disk.
    pub(crate) fn publish(mut self, path: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs_err::rename(&self.path, path)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if !self.published {
            let _ = fs_err::remove_file(&self.path);
        }
    }
}

impl From<io::Error> for ImageError {
    fn from(source: io::Error) -> Self {
        Self::Store(StoreError::Export { path: ".".into(), source })
    }
}
