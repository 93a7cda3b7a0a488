//! Where things lie below a store's root.

use std::path::{Path, PathBuf};

use slugline_model::slug::SlugId;

use crate::object::ObjectKey;
use crate::page::PageId;

/// How the name of an image ends, after the slug's identity.
pub(crate) const IMAGE: &str = ".erofs";

/// The root, and the paths below it.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Every directory that exists from the first opening on.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        let mut all = vec![self.root.clone(), self.slugs(), self.checkouts(), self.staging()];
        all.extend([self.objects(), self.pages(), self.series()]);
        all.extend((0..=255u8).map(|first| self.objects().join(format!("{first:02x}"))));
        all
    }

    /// Everything that may lie right below the root.
    pub(crate) fn known(&self) -> Vec<PathBuf> {
        let packed = self.packed();
        let mut all = vec![packed.with_extension("new"), packed, self.lock(), self.checkout_lock()];
        all.extend([self.layers(), self.buckets()]);
        all.extend(self.directories());
        all
    }

    pub(crate) fn objects(&self) -> PathBuf {
        self.root.join("objects")
    }

    pub(crate) fn object(&self, key: ObjectKey) -> PathBuf {
        let name = key.to_string();
        let mut path = self.objects();
        path.push(&name[..2]);
        path.push(name);
        path
    }

    /// Whether an object of this size is there.
    pub(crate) fn holds(&self, object: ObjectKey, size: u64) -> bool {
        let metadata = fs_err::symlink_metadata(self.object(object));
        metadata.is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
    }

    pub(crate) fn pages(&self) -> PathBuf {
        self.root.join("pages")
    }

    /// A page of manifests, squeezed.
    pub(crate) fn page(&self, id: PageId) -> PathBuf {
        self.pages().join(id.to_string())
    }

    /// The heads of manifests.
    pub(crate) fn slugs(&self) -> PathBuf {
        self.root.join("slugs")
    }

    pub(crate) fn slug(&self, id: &SlugId) -> PathBuf {
        self.slugs().join(id.as_str())
    }

    pub(crate) fn checkouts(&self) -> PathBuf {
        self.root.join("checkouts")
    }

    pub(crate) fn checkout(&self, id: &SlugId) -> PathBuf {
        self.checkouts().join(id.as_str())
    }

    /// The image by which a slug's tree is mounted.
    pub(crate) fn image(&self, id: &SlugId) -> PathBuf {
        self.checkouts().join(format!("{id}{IMAGE}"))
    }

    pub(crate) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// One file a series: what its last tree held.
    pub(crate) fn series(&self) -> PathBuf {
        self.root.join("series")
    }

    /// Layers of images that were packed before; made once somebody asks for an image.
    pub(crate) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    /// What is known of a bucket.
    pub(crate) fn bucket(&self, mark: &str) -> PathBuf {
        self.buckets().join(mark)
    }

    fn buckets(&self) -> PathBuf {
        self.root.join("bucket")
    }

    /// Held shared by everything that adds or reads, exclusively by what removes.
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Held while a checkout is made, so that callers who want the same one wait for it.
    pub(crate) fn checkout_lock(&self) -> PathBuf {
        self.root.join("checkout-lock")
    }

    pub(crate) fn packed(&self) -> PathBuf {
        self.root.join("packed")
    }
}
