//! A tree as it stands: every file with what the kernel says of it, so that two snapshots tell what
//! was added, changed and removed. No file is read, and no link followed.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use slugline_model::build::TreeSize;

/// How many threads walk: the time goes into the kernel.
const WALKERS: usize = 2;

/// A tree at one moment. What vanished while it was taken is not in it.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    directories: Vec<Directory>,
    /// By the hash of their path.
    files: Vec<File>,
}

/// A directory's path below the root, empty or with a slash at its end, and its files' names.
#[derive(Debug, Default)]
struct Directory {
    path: Vec<u8>,
    names: Vec<u8>,
}

/// A regular file, a symbolic link, or what else is no directory.
#[derive(Debug, Clone, Copy)]
struct File {
    path_hash: u64,
    directory: u32,
    /// Where its name is among its directory's names.
    name: (u32, u32),
    size: u64,
    inode: u64,
    links: u64,
    mode: u32,
    /// Nanoseconds since 1970.
    modified: i64,
    changed: i64,
}

/// What lies between two snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Changes {
    pub(crate) added: TreeSize,
    pub(crate) changed: TreeSize,
    pub(crate) removed: TreeSize,
}

/// A regular file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// From the root of the tree.
    pub(crate) path: PathBuf,
    /// Bytes.
    pub(crate) size: u64,
    /// Whether an older snapshot holds it just so.
    pub(crate) unchanged: bool,
}

impl Snapshot {
    /// Walks a tree.
    pub(crate) fn take(root: &Path) -> Self {
        let queue = Queue::new();
        let walks: Vec<Walk> = thread::scope(|scope| {
            let walkers: Vec<_> =
                (0..WALKERS).map(|_| scope.spawn(|| Walk::run(root, &queue))).collect();
            walkers.into_iter().map(|walker| walker.join().unwrap_or_default()).collect()
        });
        let mut snapshot = Self::default();
        for walk in walks {
            let base = u32::try_from(snapshot.directories.len()).unwrap_or(u32::MAX);
            snapshot.directories.extend(walk.directories);
            let placed = |file: File| File { directory: file.directory + base, ..file };
            snapshot.files.extend(walk.files.into_iter().map(placed));
        }
        snapshot.files.sort_unstable_by_key(|file| file.path_hash);
        snapshot
    }

    /// How much it holds.
    pub(crate) fn size(&self) -> TreeSize {
        self.files.iter().fold(TreeSize::default(), |sum, file| add(sum, file.size))
    }

    /// Every file's path from the root, where it is text, and its size (bytes).
    pub(crate) fn sizes(&self) -> Vec<(String, u64)> {
        let path = |file: &File| String::from_utf8_lossy(&self.path(file)).into_owned();
        self.files.iter().map(|file| (path(file), file.size)).collect()
    }

    /// What became of an older snapshot.
    pub(crate) fn since(&self, before: &Self) -> Changes {
        let mut changes = Changes::default();
        let (mut old, mut new) = (before.files.as_slice(), self.files.as_slice());
        loop {
            let order = match (old.first(), new.first()) {
                (None, None) => return changes,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.path_hash.cmp(&new.path_hash),
            };
            if order == Ordering::Less {
                changes.removed = add(changes.removed, old[0].size);
            } else if order == Ordering::Greater {
                changes.added = add(changes.added, new[0].size);
            } else if !new[0].is_as(&old[0]) {
                changes.changed = add(changes.changed, new[0].size);
            }
            old = &old[usize::from(order.is_le())..];
            new = &new[usize::from(order.is_ge())..];
        }
    }

    /// The regular files, and whether an older snapshot holds them just so. By directory, so that
    /// whoever reads them finds what the kernel has just looked up.
    pub(crate) fn regular_files(&self, older: &Self) -> Vec<Found> {
        let is_regular = |file: &&File| {
            FileType::from_raw_mode(file.mode) == FileType::RegularFile && file.size > 0
        };
        let mut regular: Vec<&File> = self.files.iter().filter(is_regular).collect();
        regular.sort_unstable_by_key(|file| (file.directory, file.name));
        regular
            .into_iter()
            .map(|file| Found {
                path: PathBuf::from(OsStr::from_bytes(&self.path(file))),
                size: file.size,
                unchanged: older.find(file.path_hash).is_some_and(|old| file.is_as(old)),
            })
            .collect()
    }

    fn find(&self, path_hash: u64) -> Option<&File> {
        let at = self.files.binary_search_by_key(&path_hash, |file| file.path_hash).ok()?;
        self.files.get(at)
    }

    fn path(&self, file: &File) -> Vec<u8> {
        let directory = &self.directories[file.directory as usize];
        let name = &directory.names[file.name.0 as usize..file.name.1 as usize];
        [directory.path.as_slice(), name].concat()
    }
}

fn add(size: TreeSize, bytes: u64) -> TreeSize {
    TreeSize { files: size.files + 1, bytes: size.bytes + bytes }
}

impl File {
    /// Whether nobody touched it. A hard link that was made or removed somewhere also moves the
    /// time of change; that is no change of this file.
    fn is_as(&self, old: &Self) -> bool {
        let same = |file: &Self| (file.inode, file.size, file.mode, file.modified);
        let linked = self.links != old.links;
        same(self) == same(old) && (self.changed == old.changed || linked)
    }
}

/// The directories that still have to be walked.
struct Queue {
    state: Mutex<(Vec<Vec<u8>>, usize)>,
    changed: Condvar,
}

impl Queue {
    /// With the root.
    fn new() -> Self {
        Self { state: Mutex::new((vec![Vec::new()], 1)), changed: Condvar::new() }
    }

    /// The next directory; none once all are walked.
    fn next(&self) -> Option<Vec<u8>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(path) = state.0.pop() {
                return Some(path);
            }
            if state.1 == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// One directory was walked, and these were in it.
    fn walked(&self, below: Vec<Vec<u8>>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = state.1 + below.len() - 1;
        let wake = state.1 == 0 || !below.is_empty();
        state.0.extend(below);
        drop(state);
        if wake {
            self.changed.notify_all();
        }
    }
}

/// What one thread found.
#[derive(Debug, Default)]
struct Walk {
    directories: Vec<Directory>,
    files: Vec<File>,
}

impl Walk {
    fn run(root: &Path, queue: &Queue) -> Self {
        let mut walk = Self::default();
        while let Some(path) = queue.next() {
            let mut below = Vec::new();
            // What cannot be opened is not there for the build either.
            let _ = walk.directory(root, path, &mut below);
            queue.walked(below);
        }
        walk
    }

    fn directory(
        &mut self,
        root: &Path,
        path: Vec<u8>,
        below: &mut Vec<Vec<u8>>,
    ) -> rustix::io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(CWD, root.join(OsStr::from_bytes(&path)), flags, Mode::empty())?;
        let number = u32::try_from(self.directories.len()).unwrap_or(u32::MAX);
        let mut names = Vec::new();
        let mut hasher = DefaultHasher::new();
        hasher.write(&path);
        for entry in Dir::read_from(&fd)? {
            let Ok(entry) = entry else { break };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let mut kind = entry.file_type();
            let mut found = None;
            if kind != FileType::Directory {
                let Ok(stat) = statat(&fd, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else {
                    continue;
                };
                kind = FileType::from_raw_mode(stat.st_mode);
                found = Some(stat);
            }
            match found {
                Some(stat) if kind != FileType::Directory => {
                    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
                    let mut path_hash = hasher.clone();
                    path_hash.write(name);
                    let name_at = place(names.len());
                    names.extend_from_slice(name);
                    let name = (name_at, place(names.len()));
                    self.files.push(file(path_hash.finish(), number, name, &stat));
                }
                _ => below.push([path.as_slice(), name, b"/"].concat()),
            }
        }
        self.directories.push(Directory { path, names });
        Ok(())
    }
}

fn file(path_hash: u64, directory: u32, name: (u32, u32), stat: &Stat) -> File {
    let nanos = |seconds: i64, nanos: u64| {
        seconds.saturating_mul(1_000_000_000).saturating_add(nanos.cast_signed())
    };
    File {
        path_hash,
        directory,
        name,
        size: stat.st_size.unsigned_abs(),
        inode: stat.st_ino,
        links: stat.st_nlink,
        mode: stat.st_mode,
        modified: nanos(stat.st_mtime, stat.st_mtime_nsec),
        changed: nanos(stat.st_ctime, stat.st_ctime_nsec),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(files: u64, bytes: u64) -> TreeSize {
        TreeSize { files, bytes }
    }

    #[test]
    fn what_was_added_changed_and_removed_is_told_apart() {
        let tree = tempfile::tempdir().unwrap();
        let path = |name: &str| tree.path().join(name);
        fs_err::create_dir_all(path("d/e")).unwrap();
        for name in ["same", "d/changed", "d/e/removed", "linked"] {
            fs_err::write(path(name), "12345").unwrap();
        }
        let before = Snapshot::take(tree.path());
        assert_eq!(before.since(&before), Changes::default());
        fs_err::remove_file(path("d/e/removed")).unwrap();
        fs_err::write(path("d/changed"), "123").unwrap();
        fs_err::write(path("d/added"), "1").unwrap();
        fs_err::os::unix::fs::symlink("..", path("d/up")).unwrap();
        fs_err::hard_link(path("linked"), tree.path().with_extension("link")).unwrap();
        let after = Snapshot::take(tree.path());
        fs_err::remove_file(tree.path().with_extension("link")).unwrap();
        let changes = Changes { added: size(2, 3), changed: size(1, 3), removed: size(1, 5) };
        assert_eq!(after.since(&before), changes);
        assert_eq!(after.size(), size(5, 16), "links are counted, and not followed");
    }

    #[test]
    fn a_file_of_the_same_size_and_time_that_is_another_one_has_changed() {
        let tree = tempfile::tempdir().unwrap();
        let path = tree.path().join("f");
        fs_err::write(&path, "one").unwrap();
        let before = Snapshot::take(tree.path());
        let modified = path.metadata().unwrap().modified().unwrap();
        fs_err::write(&path, "two").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
        let changes = Snapshot::take(tree.path()).since(&before);
        assert_eq!(changes.changed, size(1, 3));
    }

    #[test]
    fn regular_files_are_listed_and_old_ones_known() {
        let tree = tempfile::tempdir().unwrap();
        fs_err::create_dir(tree.path().join("d")).unwrap();
        fs_err::write(tree.path().join("d/old"), "1").unwrap();
        let before = Snapshot::take(tree.path());
        fs_err::write(tree.path().join("new"), "22").unwrap();
        fs_err::os::unix::fs::symlink("new", tree.path().join("link")).unwrap();
        let mut files = Snapshot::take(tree.path()).regular_files(&before);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let found = |path: &str, size, unchanged| Found { path: path.into(), size, unchanged };
        assert_eq!(files, [found("d/old", 1, true), found("new", 2, false)]);
    }

    #[test]
    fn nothing_is_nothing() {
        assert_eq!(Snapshot::take(Path::new("/no/such/tree")).size(), TreeSize::default());
    }
}
