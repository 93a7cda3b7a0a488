//! Removal: of one slug at once, and of everything that no slug needs, beside builds that go on.
//!
//! Whoever stores or reads holds the store's lock together with others, and a sweep needs it alone,
//! so a sweep holds it often and briefly:
//!
//! 1. Without it: what the slugs to keep need.
//! 2. With it: the heads of the other slugs go, and what killed processes left is put aside.
//! 3. Without it: which objects nobody needs.
//! 4. With it, some at a time: those go, but for what slugs need that became visible meanwhile.
//!
//! An ingest holds the lock from before it looks for its first object until its slug is visible. So
//! at each step 4 either it has not begun, and finds what is there, or its slug is seen.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use slugline_model::slug::SlugId;

use crate::Store;
use crate::commit::sync_path;
use crate::error::{Result, reading, writing};
use crate::layout::IMAGE;
use crate::live::Live;
use crate::lock::Lock;
use crate::object::ObjectKey;
use crate::page::PageId;
use crate::series;
use crate::staging::Staging;

/// How long files are removed before others get their turn. On a busy disk one file may take
/// milliseconds, so it is no number of files.
const HOLD: Duration = Duration::from_millis(10);

/// How long others have to take the lock then.
const PAUSE: Duration = Duration::from_millis(2);

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Slugs.
    pub slugs: u64,
    /// Checkouts and images.
    pub checkouts: u64,
    /// Pages of manifests that no slug holds any more.
    pub pages: u64,
    /// Objects that no slug holds any more.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Keeps a sweep away: what is there stays there, for as long as this is held.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "held, and let go")] Lock);

impl Store {
    /// Keeps sweeps of this and of other processes waiting, for whoever stores a slug in several
    /// steps.
    pub fn hold(&self) -> Result<Hold> {
        Ok(Hold(self.lock_shared()?))
    }

    /// Removes a slug and its checkout. Its objects stay until the next sweep. No dyno may run on
    /// it. A slug that is not there is none to remove.
    pub fn remove(&self, id: &SlugId) -> Result<()> {
        // Made once the lock is held, and removed once it is not.
        let aside;
        let _lock = self.lock_exclusive()?;
        aside = Staging::new(&self.layout)?;
        remove_if_there(&self.layout.slug(id), |path| fs_err::remove_file(path))?;
        remove_if_there(&self.layout.image(id), |path| fs_err::remove_file(path))?;
        let to = aside.path().join(id.as_str());
        remove_if_there(&self.layout.checkout(id), |path| fs_err::rename(path, &to))
    }

    /// Takes back what a failed ingest brought, but for what slugs need that became visible
    /// meanwhile: they may have found it here. While others store something, or where a slug cannot
    /// be read, this is left to the next sweep. The caller has let go of its lock.
    pub(crate) fn take_back(&self, staging: &Staging) {
        let placed = staging.placed();
        if placed.is_empty() {
            return;
        }
        let lock = Lock::try_exclusive(&self.layout.lock()).ok().flatten();
        let mut live = Live::default();
        let marked = self.slugs().and_then(|slugs| self.mark_all(&mut live, &slugs));
        if lock.is_none() || marked.is_err() {
            // They stay, and nothing will tell any more that they are not safe on the disk.
            let _ = self.sync_all();
            return;
        }
        for object in placed.iter().filter(|object| !live.objects.contains_key(object)) {
            let _ = fs_err::remove_file(self.layout.object(*object));
        }
    }

    /// Removes every slug and checkout but these, the objects that only they had, and what killed
    /// ingests left. If one of the slugs to keep cannot be read, nothing is removed.
    pub fn sweep(&self, keep: &[SlugId]) -> Result<Swept> {
        Ok(self.sweep_but(&mut |_| Some(keep.to_vec()))?.unwrap_or_default())
    }

    /// The same, with the slugs to keep asked for, of those that are visible, at a moment when
    /// nobody stores one. Asked first to prepare, so usually twice. None says that nothing may be
    /// removed now, and is given back.
    pub fn sweep_but(
        &self,
        keep: &mut dyn FnMut(&[SlugId]) -> Option<Vec<SlugId>>,
    ) -> Result<Option<Swept>> {
        let mut live = Live::default();
        let Some(early) = keep(&self.slugs()?) else { return Ok(None) };
        self.mark_all(&mut live, &early)?;
        let Some(mut swept) = self.drop_slugs(&mut live, keep)? else { return Ok(None) };
        let pages = names_but(&self.layout.pages(), |name| has_page(&live, name))?;
        let mut objects = Vec::new();
        for (_, directory) in list(&self.layout.objects())? {
            objects.extend(names_but(&directory, |name| has_object(&live, name))?);
        }
        (swept.pages, _) = self.remove_all(&mut live, &pages, has_page)?;
        (swept.objects, swept.bytes) = self.remove_all(&mut live, &objects, has_object)?;
        if swept.objects > 0 {
            self.forget(&mut live)?;
        }
        Ok(Some(swept))
    }

    /// What a sweep that keeps these would remove.
    pub fn sweep_preview(&self, keep: &[SlugId]) -> Result<Swept> {
        let _lock = self.lock_shared()?;
        let mut live = Live::default();
        self.mark_all(&mut live, keep)?;
        let kept = |name: &OsStr| is_slug_of(&live, name);
        let count = |directory: &Path| names_but(directory, kept).map(|names| names.len() as u64);
        let mut swept = Swept {
            slugs: count(&self.layout.slugs())?,
            checkouts: count(&self.layout.checkouts())?,
            pages: names_but(&self.layout.pages(), |name| has_page(&live, name))?.len() as u64,
            ..Swept::default()
        };
        for (_, directory) in list(&self.layout.objects())? {
            for path in names_but(&directory, |name| has_object(&live, name))? {
                swept.objects += 1;
                swept.bytes += fs_err::symlink_metadata(&path).map_or(0, |found| found.len());
            }
        }
        Ok(swept)
    }

    fn mark_all(&self, live: &mut Live, slugs: &[SlugId]) -> Result<()> {
        slugs.iter().try_for_each(|id| self.mark(live, id))
    }

    /// Heads go before what they name, so that no slug is seen whose objects are gone. What takes
    /// long to remove is only put aside while the lock is held.
    fn drop_slugs(
        &self,
        live: &mut Live,
        keep: &mut dyn FnMut(&[SlugId]) -> Option<Vec<SlugId>>,
    ) -> Result<Option<Swept>> {
        // Made once the lock is held, and removed once it is not.
        let aside;
        let _lock = self.lock_exclusive()?;
        aside = Staging::new(&self.layout)?;
        let Some(kept) = keep(&self.slugs()?) else { return Ok(None) };
        self.mark_all(live, &kept)?;
        live.slugs = kept.into_iter().collect();
        let mut number = 0;
        let mut put_aside = |path: &Path| {
            number += 1;
            fs_err::rename(path, aside.path().join(number.to_string()))
        };
        let kept = |name: &OsStr| is_slug_of(live, name);
        let own = aside.path().file_name().unwrap_or_default();
        let swept = Swept {
            slugs: remove_but(&self.layout.slugs(), kept, |path| fs_err::remove_file(path))?,
            checkouts: remove_but(&self.layout.checkouts(), kept, &mut put_aside)?,
            ..Swept::default()
        };
        let left = names_but(&self.layout.staging(), |name| name == own)?;
        if !left.is_empty() {
            // What a killed ingest left says that not all objects are safe on the disk.
            self.sync_all()?;
        }
        left.iter().try_for_each(|path| put_aside(path).map_err(writing(path)))?;
        self.sweep_series(live)?;
        sync_path(&self.layout.slugs())?;
        Ok(Some(swept))
    }

    /// A series stays as long as the slug that it tells of.
    fn sweep_series(&self, live: &Live) -> Result<()> {
        for (name, path) in list(&self.layout.series())? {
            // No app's name has a dot: it is what a killed ingest was writing.
            let torn = name.as_encoded_bytes().contains(&b'.');
            let kept = series::slug_of(&path).is_some_and(|slug| live.slugs.contains(&slug));
            if torn || !kept {
                fs_err::remove_file(&path).map_err(writing(&path))?;
            }
        }
        Ok(())
    }

    /// Removes files that nobody needs, but for those that are needed by now; gives how many, and
    /// their bytes.
    fn remove_all(
        &self,
        live: &mut Live,
        mut paths: &[PathBuf],
        is_live: fn(&Live, &OsStr) -> bool,
    ) -> Result<(u64, u64)> {
        let (mut removed, mut bytes) = (0, 0);
        while !paths.is_empty() {
            std::thread::sleep(PAUSE);
            let _lock = self.lock_exclusive()?;
            let since = Instant::now();
            self.mark_all(live, &self.slugs()?)?;
            while let Some((path, rest)) = paths.split_first() {
                paths = rest;
                if !is_live(live, path.file_name().unwrap_or_default())
                    && let Some(size) = remove_file(path)?
                {
                    removed += 1;
                    bytes += size;
                }
                if since.elapsed() > HOLD {
                    break;
                }
            }
        }
        Ok((removed, bytes))
    }

    /// Forgets what was known of objects that are gone.
    fn forget(&self, live: &mut Live) -> Result<()> {
        let _lock = self.lock_exclusive()?;
        self.mark_all(live, &self.slugs()?)?;
        let hashes: std::collections::HashSet<[u8; 32]> =
            live.objects.keys().map(|object| object.hash).collect();
        self.change_sizes(|sizes, path| {
            Arc::make_mut(sizes).retain(path, |hash| hashes.contains(hash))
        })?;
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut verified).retain(|object| live.objects.contains_key(object));
        Ok(())
    }
}

/// Removes a file; gives its bytes. None where another sweep was there before, or where there is a
/// directory, which is none of the store's.
fn remove_file(path: &Path) -> Result<Option<u64>> {
    match fs_err::symlink_metadata(path) {
        Ok(found) if !found.is_dir() => {
            fs_err::remove_file(path).map_err(writing(path))?;
            Ok(Some(found.len()))
        }
        _ => Ok(None),
    }
}

fn is_slug_of(live: &Live, name: &OsStr) -> bool {
    let id = name.to_str().map(|name| name.strip_suffix(IMAGE).unwrap_or(name));
    let id = id.and_then(|id| id.parse::<SlugId>().ok());
    id.is_some_and(|id| live.slugs.contains(&id))
}

fn has_page(live: &Live, name: &OsStr) -> bool {
    name.to_str().and_then(PageId::parse).is_some_and(|page| live.pages.contains(&page))
}

fn has_object(live: &Live, name: &OsStr) -> bool {
    let object = name.to_str().and_then(ObjectKey::parse);
    object.is_some_and(|object| live.objects.contains_key(&object))
}

fn remove_but(
    directory: &Path,
    kept: impl Fn(&OsStr) -> bool,
    mut remove: impl FnMut(&Path) -> std::io::Result<()>,
) -> Result<u64> {
    let others = names_but(directory, kept)?;
    for path in &others {
        remove(path).map_err(writing(path))?;
    }
    Ok(others.len() as u64)
}

fn names_but(directory: &Path, kept: impl Fn(&OsStr) -> bool) -> Result<Vec<PathBuf>> {
    let all = list(directory)?.into_iter();
    Ok(all.filter(|(name, _)| !kept(name)).map(|(_, path)| path).collect())
}

pub(crate) fn list(directory: &Path) -> Result<Vec<(OsString, PathBuf)>> {
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
