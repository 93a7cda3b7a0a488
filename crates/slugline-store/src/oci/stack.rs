//! What lies beneath a slug in an image.

use std::path::Path;

use slugline_model::exchange::StackChoice;

use super::cache::Facts;
use super::document::Config;
use super::error::ImageError;
use super::host::HostTree;
use super::layer::{Compression, Content, Layer};
use super::source::{BlobFile, Blobs, digests};
use crate::Store;
use crate::archive::read::{Bounds, Packing};

/// How much a stack may hold: the operator chose it, so that this only keeps nonsense out.
const STACK: Bounds = Bounds { entries: 5_000_000, bytes: 100 << 30 };

/// A stack, ready to have a slug's layers put on it.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    pub(crate) layers: Vec<Layer>,
    /// A tree that is to be packed as a layer.
    pub(crate) tree: Option<HostTree>,
    /// An image's own configuration.
    pub(crate) config: Option<Config>,
    /// Whether it brings `/etc/passwd`. An image is taken to.
    pub(crate) has_users: bool,
    /// Whether it may bring an `/app` of its own, which the slug's replaces.
    pub(crate) may_have_app: bool,
    /// Keeps an archive's files for as long as the layers are in use.
    pub(crate) blobs: Option<Blobs>,
}

impl Stack {
    pub(crate) fn open(store: &Store, choice: &StackChoice) -> Result<Self, ImageError> {
        match choice {
            StackChoice::None => Ok(Self::default()),
            StackChoice::Host => {
                Ok(Self { tree: Some(HostTree::host()?), has_users: true, ..Self::default() })
            }
            StackChoice::Path(path) if path.is_dir() => Self::of_directory(path),
            StackChoice::Path(path) => Self::of_file(store, path),
        }
    }

    fn of_directory(path: &Path) -> Result<Self, ImageError> {
        if path.join("index.json").is_file() {
            return Self::of_image(Blobs::Layout(path.to_path_buf()));
        }
        if !path.join("bin").exists() && !path.join("usr").exists() {
            return Err(ImageError::NoStack { path: path.to_path_buf() });
        }
        let has_users = path.join("etc/passwd").exists();
        Ok(Self { tree: Some(HostTree::root(path)?), has_users, ..Self::default() })
    }

    /// An image's archive, or a root file system's, which is a layer as it is.
    fn of_file(store: &Store, path: &Path) -> Result<Self, ImageError> {
        let error = |source| ImageError::Read { path: path.to_path_buf(), source };
        let size = path.metadata().map_err(error)?.len();
        if let Some(blobs) = Blobs::of_archive(store, path, STACK.bytes)? {
            return Self::of_image(blobs);
        }
        let blob = BlobFile { path: path.to_path_buf(), offset: 0, size };
        let (mut found, mut has_users) = (false, false);
        let (digest, diff_id, _) = digests(&blob, STACK, &mut |item| {
            let first = item.path.strip_prefix(b"./").unwrap_or(&item.path);
            found |= first.starts_with(b"bin") || first.starts_with(b"usr");
            has_users |= first == b"etc/passwd";
            Ok(())
        })?;
        if !found {
            return Err(ImageError::NoStack { path: path.to_path_buf() });
        }
        let facts = Facts { digest, size, diff_id };
        let layer = layer(facts, blob)?;
        Ok(Self { layers: vec![layer], has_users, may_have_app: true, ..Self::default() })
    }

    fn of_image(blobs: Blobs) -> Result<Self, ImageError> {
        let image = blobs.image()?;
        let mut layers = Vec::new();
        for source in image.layers {
            let (digest, diff_id, _) = digests(&source.file, STACK, &mut |_| Ok(()))?;
            for (expected, found) in [(source.digest, digest), (Some(source.diff_id), diff_id)] {
                if let Some(expected) = expected.filter(|expected| *expected != found) {
                    return Err(ImageError::Damaged { expected, found });
                }
            }
            let facts = Facts { digest, size: source.file.size, diff_id };
            layers.push(layer(facts, source.file)?);
        }
        let config = Some(image.config);
        let blobs = Some(blobs);
        Ok(Self { layers, tree: None, config, has_users: true, may_have_app: true, blobs })
    }
}

fn layer(facts: Facts, blob: BlobFile) -> Result<Layer, ImageError> {
    use std::io::Read as _;
    let error = |source| ImageError::Read { path: blob.path.clone(), source };
    let mut start = Vec::new();
    blob.open(0).and_then(|content| content.take(4).read_to_end(&mut start)).map_err(error)?;
    let compression = match Packing::of(&start) {
        Packing::None => Compression::None,
        Packing::Gzip => Compression::Gzip,
        Packing::Zstd => Compression::Zstd,
    };
    Ok(Layer { facts, what: "stack".to_owned(), content: Content::Blob(blob, compression) })
}
