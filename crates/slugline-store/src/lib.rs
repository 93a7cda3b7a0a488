//! Tree to slug and back: content-addressed files, verified when read.
//!
//! A store is a directory. `objects/` holds each distinct file once, under the hash of its content;
//! `pages/` holds the parts of manifests, which name the objects of a tree, and `slugs/` one head a
//! slug, which names its pages; `checkouts/` holds what dynos run on: trees made of hard links to
//! the objects. So a release that changes five files stores five files and few pages, and no dyno
//! waits for a copy. `staging/` holds what is not whole yet.
//!
//! Everything here blocks; callers with an async runtime use its threads for blocking work.

pub mod archive;
mod assemble;
pub mod bucket;
mod checkout;
mod commit;
mod erofs;
mod error;
mod exact;
mod fsck;
#[doc(hidden)]
pub mod fuzzing;
mod image;
mod ingest;
mod layout;
mod live;
mod lock;
pub mod manifest;
mod object;
pub mod oci;
mod pack;
mod packed;
pub mod page;
mod parallel;
mod part;
mod pyc;
pub mod registry;
mod series;
mod staging;
mod sweep;
mod taking;
pub mod tgz;
mod tree;
mod weight;

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use slugline_model::limits::Limits;
use slugline_model::slug::{SlugId, SlugSummary};

pub use crate::assemble::Assembly;
pub use crate::error::{Result, StoreError};
pub use crate::fsck::{Backup, Copies, FsckProgress, FsckRequest, KeptTrees};
pub use crate::ingest::{IngestRequest, Progress};
pub use crate::object::{FIXED_TIME, ObjectKey};
pub use crate::sweep::{Hold, Swept};
pub use crate::taking::ImportError;

use crate::bucket::Home;
use crate::error::{reading, writing};
use crate::layout::Layout;
use crate::lock::Lock;
use crate::manifest::{Head, Manifest};
use crate::packed::PackedSizes;
use crate::page::{Page, PageId};

/// A slug store. Threads and processes may use the same one at once.
#[derive(Debug)]
pub struct Store {
    layout: Layout,
    /// Loaded at first use. Held only to take or to replace what is in it.
    sizes: Mutex<Option<Arc<PackedSizes>>>,
    /// Objects that were stored, or checked against their hashes, since the store was opened.
    verified: Mutex<Arc<HashSet<ObjectKey>>>,
    /// Where slugs come from that are not here, and go to.
    home: Option<Home>,
}

impl Store {
    /// Opens the store below a directory, which is made if need be, for its owner only.
    pub fn open(root: impl Into<std::path::PathBuf>) -> Result<Self> {
        let layout = Layout::new(root.into());
        if let Some(parent) = layout.root().parent() {
            fs_err::create_dir_all(parent).map_err(writing(parent))?;
        }
        for directory in layout.directories() {
            make_private_directory(&directory).map_err(writing(&directory))?;
        }
        Ok(Self { layout, sizes: Mutex::default(), verified: Mutex::default(), home: None })
    }

    /// A slug's tree and process types, as checked against its identity.
    pub fn manifest(&self, id: &SlugId) -> Result<Manifest> {
        self.bring(id)?;
        let _lock = self.lock_shared()?;
        self.read_manifest(id)
    }

    /// What [`Store::ingest`] said of a slug, except that none of its files are new.
    pub fn summary(&self, id: &SlugId) -> Result<SlugSummary> {
        self.bring(id)?;
        let _lock = self.lock_shared()?;
        let manifest = self.read_manifest(id)?;
        let packed_bytes = self.weigh_stored(&manifest, &Limits::default())?;
        let (mut files, mut bytes) = (0, 0);
        for (_, _, size) in manifest.files() {
            files += 1;
            bytes += size;
        }
        let process_types = manifest.process_types;
        Ok(SlugSummary { id: id.clone(), process_types, files, bytes, packed_bytes, new_files: 0 })
    }

    /// Every slug in the store, in order of identity.
    pub fn slugs(&self) -> Result<Vec<SlugId>> {
        let directory = self.layout.slugs();
        let mut slugs = Vec::new();
        for entry in fs_err::read_dir(&directory).map_err(reading(&directory))? {
            let name = entry.map_err(reading(&directory))?.file_name();
            slugs.extend(name.to_str().and_then(|name| name.parse().ok()));
        }
        slugs.sort();
        Ok(slugs)
    }

    fn lock_shared(&self) -> Result<Lock> {
        Lock::shared(&self.layout.lock())
    }

    fn lock_exclusive(&self) -> Result<Lock> {
        Lock::exclusive(&self.layout.lock())
    }

    fn read_manifest(&self, id: &SlugId) -> Result<Manifest> {
        self.manifest_of(id, &self.read_head(id)?)
    }

    fn manifest_of(&self, id: &SlugId, head: &[u8]) -> Result<Manifest> {
        let understood = |source| StoreError::Manifest { id: id.clone(), source };
        let pages = Head::decode(head).map_err(understood)?.pages;
        let texts: Vec<Vec<u8>> =
            pages.iter().map(|page| self.read_page(id, *page)).collect::<Result<_>>()?;
        Manifest::decode(head, &texts).map_err(understood)
    }

    /// A head's text, as checked against the slug's identity.
    fn read_head(&self, id: &SlugId) -> Result<Vec<u8>> {
        let path = self.layout.slug(id);
        match fs_err::read(&path) {
            Ok(head) if manifest::identity(&head) == *id => Ok(head),
            Ok(_) => Err(StoreError::DamagedManifest { id: id.clone() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::UnknownSlug { id: id.clone() })
            }
            Err(error) => Err(reading(&path)(error)),
        }
    }

    /// A page's text, as checked against its hash.
    fn read_page(&self, id: &SlugId, page: PageId) -> Result<Vec<u8>> {
        let path = self.layout.page(page);
        let damaged = || StoreError::DamagedPage { page, id: id.clone() };
        match fs_err::read(&path) {
            Ok(bytes) => Ok(Page::from_squeezed(page, &bytes).ok_or_else(damaged)?.text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(damaged()),
            Err(error) => Err(reading(&path)(error)),
        }
    }

    fn packed_sizes(&self) -> Result<Arc<PackedSizes>> {
        self.change_sizes(|_, _| Ok(()))
    }

    /// Changes what is known of packed sizes; says what is known then.
    fn change_sizes(
        &self,
        change: impl FnOnce(&mut Arc<PackedSizes>, &Path) -> Result<()>,
    ) -> Result<Arc<PackedSizes>> {
        let path = self.layout.packed();
        let mut known = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sizes = match known.take() {
            Some(sizes) => sizes,
            None => Arc::new(PackedSizes::load(&path)?),
        };
        // An error leaves nothing known, and the file is read again.
        change(&mut sizes, &path)?;
        Ok(known.insert(sizes).clone())
    }
}

fn make_private_directory(path: &Path) -> io::Result<()> {
    match rustix::fs::mkdir(path, rustix::fs::Mode::RWXU) {
        Err(rustix::io::Errno::EXIST) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
