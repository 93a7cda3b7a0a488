//! Removal: of one slug at once, and of everything that no slug needs.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use slugline_model::slug::SlugId;

use crate::Store;
use crate::error::{Result, reading, writing};
use crate::layout::IMAGE;
use crate::object::ObjectKey;
use crate::page::PageId;

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Slugs.
    pub slugs: u64,
    /// Checkouts.
    pub checkouts: u64,
    /// Objects that no slug holds any more.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What slugs need.
#[derive(Debug, Default)]
struct Live {
    pages: HashSet<PageId>,
    objects: HashSet<ObjectKey>,
}

impl Live {
    fn has_page(&self, name: &OsStr) -> bool {
        name.to_str().and_then(PageId::parse).is_some_and(|page| self.pages.contains(&page))
    }
}

impl Store {
    /// Removes a slug and its checkout. Its objects stay until the next sweep. No dyno may run on
    /// it. A slug that is not there is none to remove.
    pub fn remove(&self, id: &SlugId) -> Result<()> {
        let _lock = self.lock_exclusive()?;
        remove_if_there(&self.layout.slug(id), |path| fs_err::remove_file(path))?;
        remove_if_there(&self.layout.image(id), |path| fs_err::remove_file(path))?;
        remove_if_there(&self.layout.checkout(id), |path| fs_err::remove_dir_all(path))
    }

    /// Removes every slug and checkout but these, the objects that only they had, and what killed
    /// ingests left. Waits for ingests that run, and they for it. If one of the slugs to keep
    /// cannot be read, nothing is removed.
    pub fn sweep(&self, keep: &[SlugId]) -> Result<Swept> {
        let _lock = self.lock_exclusive()?;
        let live = self.live(keep)?;
        let kept = |name: &OsStr| {
            let name = name.to_str().unwrap_or_default();
            let id = name.strip_suffix(IMAGE).unwrap_or(name);
            keep.iter().any(|kept| kept.as_str() == id)
        };
        let mut swept = Swept {
            // Heads before pages and objects, so that no slug is seen whose objects are gone.
            slugs: remove_but(&self.layout.slugs(), kept, |path| fs_err::remove_file(path))?,
            checkouts: remove_but(&self.layout.checkouts(), kept, remove_any)?,
            ..Swept::default()
        };
        // What a killed ingest left says that not all objects are safe on the disk.
        self.sync_all()?;
        remove_but(&self.layout.staging(), |_| false, |path| fs_err::remove_dir_all(path))?;
        remove_but(&self.layout.series(), |_| false, |path| fs_err::remove_file(path))?;
        remove_but(
            &self.layout.pages(),
            |name| live.has_page(name),
            |path| fs_err::remove_file(path),
        )?;
        self.sweep_objects(&live.objects, &mut swept)?;
        self.forget_sizes(&live.objects)?;
        Ok(swept)
    }

    fn live(&self, keep: &[SlugId]) -> Result<Live> {
        let mut live = Live::default();
        for id in keep {
            live.pages.extend(self.pages_of(id)?);
            live.objects.extend(self.read_manifest(id)?.files().map(|(_, object, _)| object));
        }
        Ok(live)
    }

    fn sweep_objects(&self, live: &HashSet<ObjectKey>, swept: &mut Swept) -> Result<()> {
        let is_live = |name: &OsStr| {
            name.to_str().and_then(ObjectKey::parse).is_some_and(|object| live.contains(&object))
        };
        for (_, directory) in list(&self.layout.objects())? {
            let mut bytes = 0;
            swept.objects += remove_but(&directory, is_live, |path| {
                bytes += fs_err::symlink_metadata(path)?.len();
                fs_err::remove_file(path)
            })?;
            swept.bytes += bytes;
        }
        Ok(())
    }

    fn forget_sizes(&self, live: &HashSet<ObjectKey>) -> Result<()> {
        let live: HashSet<[u8; 32]> = live.iter().map(|object| object.hash).collect();
        self.change_sizes(|sizes, path| {
            Arc::make_mut(sizes).retain(path, |hash| live.contains(hash))
        })?;
        Ok(())
    }
}

fn remove_but(
    directory: &Path,
    kept: impl Fn(&OsStr) -> bool,
    mut remove: impl FnMut(&Path) -> std::io::Result<()>,
) -> Result<u64> {
    let mut removed = 0;
    for (name, path) in list(directory)? {
        if !kept(&name) {
            remove(&path).map_err(writing(&path))?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn remove_any(path: &Path) -> std::io::Result<()> {
    let is_directory = fs_err::symlink_metadata(path)?.is_dir();
    if is_directory { fs_err::remove_dir_all(path) } else { fs_err::remove_file(path) }
}

fn list(directory: &Path) -> Result<Vec<(std::ffi::OsString, PathBuf)>> {
    let entries = fs_err::read_dir(directory).map_err(reading(directory))?;
    let named = entries.map(|entry| entry.map(|entry| (entry.file_name(), entry.path())));
    named.collect::<std::io::Result<_>>().map_err(reading(directory))
}

fn remove_if_there(path: &Path, remove: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    match remove(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(writing(path)(error)),
        _ => Ok(()),
    }
}
