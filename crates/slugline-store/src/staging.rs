//! What is not whole yet: a directory of its own, and objects beside their places; removed with all
//! that is left of it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Result, reading, writing};
use crate::layout::Layout;
use crate::object::ObjectKey;
use crate::parallel;

/// One ingest's or checkout's own directory below `staging/`, and the objects that it brings.
///
/// Staged objects lie where they will be, under a name that is no object's: a file is renamed in
/// its directory in half the time that another directory takes, and by any number of threads.
///
/// Small objects get their names at once, before they are safe on the disk. Until this is dropped
/// its directory tells other ingests so: one that relies on such an object syncs it too.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
    layout: Layout,
    /// What no two of them share.
    name: String,
    staged: Mutex<Vec<ObjectKey>>,
    placed: Mutex<Vec<ObjectKey>>,
}

impl Staging {
    pub(crate) fn new(layout: &Layout) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{number}", std::process::id());
            let path = layout.staging().join(&name);
            match fs_err::create_dir(&path) {
                Ok(()) => {
                    let (staged, placed) = (Mutex::default(), Mutex::default());
                    return Ok(Self { path, layout: layout.clone(), name, staged, placed });
                }
                // Left by an earlier process that had the same id.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(writing(&path)(error)),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where an object is staged.
    pub(crate) fn object(&self, object: ObjectKey) -> PathBuf {
        let mut path = self.layout.object(object).into_os_string();
        path.push(".");
        path.push(&self.name);
        path.into()
    }

    pub(crate) fn has(&self, object: ObjectKey) -> bool {
        self.object(object).exists()
    }

    /// Remembers an object that is staged.
    pub(crate) fn note(&self, object: ObjectKey) {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner).push(object);
    }

    /// Remembers an object that has its name already.
    pub(crate) fn note_placed(&self, object: ObjectKey) {
        self.placed.lock().unwrap_or_else(PoisonError::into_inner).push(object);
    }

    /// Whether nobody else brings objects now, or was killed while they did: what is found in the
    /// store is then safe on the disk.
    pub(crate) fn is_alone(&self) -> Result<bool> {
        let directory = self.layout.staging();
        let entries = fs_err::read_dir(&directory).map_err(reading(&directory))?;
        let mut names = entries.map(|entry| entry.map(|entry| entry.file_name()));
        names
            .try_fold(true, |alone, name| Ok::<_, std::io::Error>(alone && name? == *self.name))
            .map_err(reading(&directory))
    }

    /// The objects that this brought and that have their names already.
    pub(crate) fn placed(&self) -> Vec<ObjectKey> {
        self.placed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stages a file that is whole.
    pub(crate) fn take(&self, file: &Path, object: ObjectKey) -> Result<()> {
        let staged = self.object(object);
        self.note(object);
        fs_err::rename(file, &staged).map_err(writing(&staged))
    }

    /// Puts what is staged of these objects in its place.
    pub(crate) fn place(&self, objects: &[ObjectKey]) -> Result<()> {
        let staged =
            std::mem::take(&mut *self.staged.lock().unwrap_or_else(PoisonError::into_inner));
        let wanted: HashSet<&ObjectKey> = objects.iter().collect();
        let (staged, rest): (Vec<_>, Vec<_>) =
            staged.into_iter().partition(|object| wanted.contains(object));
        for object in rest {
            self.note(object);
        }
        let place = |(): &mut (), object: &ObjectKey| {
            let to = self.layout.object(*object);
            fs_err::rename(self.object(*object), &to).map_err(writing(&to))
        };
        parallel::each(&staged, || Ok(()), place, |_, ()| {})
    }

    /// Where an object is now that this brought.
    pub(crate) fn find(&self, object: ObjectKey) -> PathBuf {
        Some(self.object(object))
            .filter(|path| path.exists())
            .unwrap_or_else(|| self.layout.object(object))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next sweep.
        for object in std::mem::take(self.staged.get_mut().unwrap_or_else(PoisonError::into_inner))
        {
            let _ = std::fs::remove_file(self.object(object));
        }
        let _ = fs_err::remove_dir_all(&self.path);
    }
}
