//! Slug to tree: hard links to objects, each of which is verified first.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use slugline_model::slug::SlugId;

use crate::error::{Result, StoreError, reading, writing};
use crate::lock::Lock;
use crate::manifest::{Entry, Manifest};
use crate::object::{self, FIXED_TIME, FIXED_TIMES, ObjectKey};
use crate::pack::{copy, settle};
use crate::staging::Staging;
use crate::tree::as_path;
use crate::{Store, parallel};

/// The last file that is written into a checkout.
const MARKER: &str = "complete";
/// Holds [`APP`] and nothing else, so that it can be the lower layer of a dyno's root.
const TREE: &str = "tree";

/// Where a slug's files lie, in a dyno too.
pub(crate) const APP: &str = "app";

const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);

impl Store {
    /// [`Store::checkout`] of what is here.
    pub(crate) fn checkout_here(&self, id: &SlugId) -> Result<PathBuf> {
        let _lock = self.lock_shared()?;
        self.read_head(id)?;
        let place = self.layout.checkout(id);
        let boot = boot_id();
        if !is_complete(&place, &boot) {
            let _making = Lock::exclusive(&self.layout.checkout_lock())?;
            if !is_complete(&place, &boot) {
                self.make_checkout(id, &place, &boot)?;
            }
        }
        Ok(place.join(TREE).join(APP))
    }

    /// Checks a slug's manifest, and each of its files against its hash.
    pub fn verify(&self, id: &SlugId) -> Result<()> {
        let _lock = self.lock_shared()?;
        let manifest = self.read_manifest(id)?;
        self.verify_objects(id, &manifest)
    }

    fn make_checkout(&self, id: &SlugId, place: &Path, boot: &str) -> Result<()> {
        let staging = Staging::new(&self.layout)?;
        let manifest =
            self.verified_manifest(id).inspect_err(|error| self.forget_damaged(error))?;
        let new = staging.path().join("new");
        if let Err(error) = self.plant(&manifest, &new, staging.path()) {
            // An object may have gone since it was checked.
            self.forget_what_is_known();
            return Err(error);
        }
        let marker = new.join(MARKER);
        fs_err::write(&marker, boot).map_err(writing(&marker))?;
        let old = staging.path().join("old");
        match rustix::fs::rename(place, &old) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(writing(place)(error)),
        }
        fs_err::rename(&new, place).map_err(writing(place))
    }

    pub(crate) fn verified_manifest(&self, id: &SlugId) -> Result<Manifest> {
        let manifest = self.read_manifest(id)?;
        self.verify_unverified(id, &manifest)?;
        Ok(manifest)
    }

    fn verify_objects(&self, id: &SlugId, manifest: &Manifest) -> Result<()> {
        self.verify_each(id, &distinct(manifest).collect::<Vec<_>>())
    }

    fn verify_each(&self, id: &SlugId, objects: &[(ObjectKey, &[u8])]) -> Result<()> {
        let buffer = || Ok(vec![0; 1 << 17]);
        let verify = |buffer: &mut Vec<u8>, (object, path): &(ObjectKey, &[u8])| {
            self.verify_object(id, *object, path, buffer)
        };
        parallel::each(objects, buffer, verify, |_, ()| {})
    }

    fn verify_object(
        &self,
        id: &SlugId,
        object: ObjectKey,
        path: &[u8],
        buffer: &mut [u8],
    ) -> Result<()> {
        let place = self.layout.object(object);
        let (id, path) = (id.clone(), as_path(path));
        let file = match fs_err::File::open(&place) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::MissingObject { object, path, id });
            }
            Err(error) => return Err(reading(&place)(error)),
        };
        let (hash, _) = object::hash(file, buffer).map_err(reading(&place))?;
        let whole = hash == object.hash;
        if whole { Ok(()) } else { Err(StoreError::DamagedObject { object, path, id }) }
    }

    /// Checks what this process has not checked before, nor stored, and what was written to since.
    fn verify_unverified(&self, id: &SlugId, manifest: &Manifest) -> Result<()> {
        let verified = {
            let verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&verified)
        };
        let distinct: Vec<_> = distinct(manifest).collect();
        let buffer = || Ok(vec![0; 1 << 17]);
        let verify = |buffer: &mut Vec<u8>, (object, path): &(ObjectKey, &[u8])| {
            if verified.contains(object) && self.is_settled(*object) {
                return Ok(());
            }
            self.verify_object(id, *object, path, buffer)
        };
        parallel::each(&distinct, buffer, verify, |_, ()| {})?;
        self.note_verified(&distinct.iter().map(|(object, _)| *object).collect::<Vec<_>>());
        Ok(())
    }

    /// Whether an object still has the time that it was stored with: the kernel gives a file that
    /// is written to another one.
    fn is_settled(&self, object: ObjectKey) -> bool {
        let metadata = fs_err::symlink_metadata(self.layout.object(object));
        metadata.is_ok_and(|found| (found.mtime(), found.mtime_nsec()) == (FIXED_TIME.into(), 0))
    }

    /// Objects that are known to be whole: they were checked, or stored, just now.
    pub(crate) fn note_verified(&self, objects: &[ObjectKey]) {
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut verified).extend(objects);
    }

    /// What is damaged loses its name, so that the next build that has the file stores it anew.
    pub(crate) fn forget_damaged(&self, error: &StoreError) {
        let damaged = match error {
            StoreError::DamagedObject { object, .. } | StoreError::MissingObject { object, .. } => {
                self.layout.object(*object)
            }
            StoreError::DamagedPage { page, .. } => self.layout.page(*page),
            _ => return,
        };
        // If this fails the next checkout finds the same damage, and says so again.
        let _ = fs_err::remove_file(damaged);
        self.forget_what_is_known();
    }

    /// What is remembered of trees and checks would say that an object is here that is not.
    pub(crate) fn forget_what_is_known(&self) {
        *self.verified.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
        let _ = fs_err::remove_dir_all(self.layout.series());
        let _ = fs_err::create_dir(self.layout.series());
    }

    /// Has a slug's checkout made anew at the next start of a dyno; says whether there was one. A
    /// dyno that runs on the old one keeps it as it is.
    pub(crate) fn renew_checkout(&self, id: &SlugId) -> bool {
        fs_err::remove_file(self.layout.checkout(id).join(MARKER)).is_ok()
    }

    /// Makes the tree. Links come last, so that no path leads through one.
    fn plant(&self, manifest: &Manifest, new: &Path, staging: &Path) -> Result<()> {
        let tree = new.join(TREE);
        open_directory(new).and_then(|_| open_directory(&tree))?;
        let app = open_directory(&tree.join(APP))?;
        let show = |path: &[u8]| tree.join(APP).join(as_path(path));
        for path in directories(manifest) {
            rustix::fs::mkdirat(&app, path, DIRECTORY_MODE).map_err(writing(show(path)))?;
        }
        let files: Vec<(&[u8], ObjectKey)> =
            manifest.files().map(|(path, object, _)| (path, object)).collect();
        let link = |(): &mut (), (path, object): &(&[u8], ObjectKey)| {
            self.link(*object, &app, path, staging).map_err(writing(show(path)))
        };
        parallel::each(&files, || Ok(()), link, |_, ()| {})?;
        for (path, entry) in &manifest.entries {
            if let Entry::Symlink { target } = entry {
                make_symlink(&app, path, target).map_err(writing(show(path)))?;
            }
        }
        // Deepest first, since each change in a directory touches its time.
        for path in directories(manifest).rev().chain([&b"."[..]]) {
            finish_directory(&app, path).map_err(writing(show(path)))?;
        }
        Ok(())
    }

    fn link(
        &self,
        object: ObjectKey,
        app: &OwnedFd,
        path: &[u8],
        staging: &Path,
    ) -> io::Result<()> {
        let from = self.layout.object(object);
        let link = || rustix::fs::linkat(CWD, &from, app, path, AtFlags::empty());
        match link() {
            Err(Errno::MLINK) => {
                // One thread at a time, or one would link what another replaces.
                static RENEWING: Mutex<()> = Mutex::new(());
                let _alone = RENEWING.lock().unwrap_or_else(PoisonError::into_inner);
                if link() == Err(Errno::MLINK) {
                    self.renew(object, staging)?;
                    link()?;
                }
                Ok(())
            }
            other => Ok(other?),
        }
    }

    /// Puts a copy in an object's place once its inode has as many names as the file system
    /// allows: 65,000 on ext4, which empty files reach.
    fn renew(&self, object: ObjectKey, staging: &Path) -> io::Result<()> {
        let place = self.layout.object(object);
        let new = staging.join(format!("{object}-{:?}", std::thread::current().id()));
        let copy = copy(&fs_err::File::open(&place)?, &new)?;
        settle(&copy, object)?;
        fs_err::rename(&new, &place)
    }
}

/// Each object once, with one of its paths.
fn distinct(manifest: &Manifest) -> impl Iterator<Item = (ObjectKey, &[u8])> {
    let files = manifest.files().map(|(path, object, _)| (object, path));
    files.collect::<BTreeMap<_, _>>().into_iter()
}

fn directories(manifest: &Manifest) -> impl DoubleEndedIterator<Item = &[u8]> {
    let entries = manifest.entries.iter();
    entries.filter(|(_, entry)| **entry == Entry::Directory).map(|(path, _)| path.as_slice())
}

fn open_directory(path: &Path) -> Result<OwnedFd> {
    fs_err::create_dir(path).map_err(writing(path))?;
    rustix::fs::chmod(path, DIRECTORY_MODE).map_err(writing(path))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(reading(path))
}

fn make_symlink(app: &OwnedFd, path: &[u8], target: &[u8]) -> rustix::io::Result<()> {
    rustix::fs::symlinkat(target, app, path)?;
    rustix::fs::utimensat(app, path, &FIXED_TIMES, AtFlags::SYMLINK_NOFOLLOW)
}

/// The mode again, because the process's mask took from it, and the time.
fn finish_directory(app: &OwnedFd, path: &[u8]) -> rustix::io::Result<()> {
    rustix::fs::chmodat(app, path, DIRECTORY_MODE, AtFlags::empty())?;
    rustix::fs::utimensat(app, path, &FIXED_TIMES, AtFlags::empty())
}

/// Whether a checkout was finished since the machine started. An older one is made anew: power
/// may have failed before all of it was on the disk, and files rot.
fn is_complete(place: &Path, boot: &str) -> bool {
    fs_err::read_to_string(place.join(MARKER)).is_ok_and(|marker| marker == boot)
}

/// What the kernel calls the time since the machine started.
pub(crate) fn boot_id() -> String {
    fs_err::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}
