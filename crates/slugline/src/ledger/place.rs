//! The directory that files are restored into: nothing is written outside of it, and nothing in it
//! is overwritten unless that is asked for.
//!
//! Every name is walked from the directory's descriptor on, a step at a time, and no step follows a
//! symbolic link. A file is written under another name beside its own, synced, and renamed: under
//! its own name there is only ever a whole one.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RenameFlags, Timespec, Timestamps, flock,
    mkdirat, openat, readlinkat, renameat, renameat_with, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It was written.
    New,
    /// It was there already, just as it is.
    Same,
    /// Something else is there, and stays.
    InTheWay,
}

/// A file to place.
pub(crate) struct Incoming<'a> {
    pub(crate) content: &'a mut dyn Read,
    /// Bytes.
    pub(crate) size: u64,
    pub(crate) mode: u32,
    /// When it was written last (seconds since 1970).
    pub(crate) written: i64,
}

/// A directory to restore into.
pub(crate) struct Place {
    root: OwnedFd,
    /// Whether what is in the way is replaced.
    force: bool,
}

const READ: OFlags = OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const CREATE: OFlags =
    OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::CLOEXEC);
const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Place {
    /// Opens a directory, which is made where there is none.
    pub(crate) fn open(directory: &Path, force: bool) -> io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        // Whoever names it may name a link.
        let flags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);
        let root = openat(CWD, directory, flags, Mode::empty())?;
        let locked = flock(&root, FlockOperation::NonBlockingLockExclusive);
        locked.map_err(|_| io::Error::other("another restore is writing there"))?;
        Ok(Self { root, force })
    }

    /// Makes a directory and those above it.
    pub(crate) fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut at = openat(&self.root, ".", DIRECTORY, Mode::empty())?;
        for name in names(path)? {
            match mkdirat(&at, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            at = openat(&at, name, DIRECTORY, Mode::empty())?;
        }
        Ok(at)
    }

    fn parent<'a>(&self, path: &'a Path) -> io::Result<(OwnedFd, &'a OsStr)> {
        let name = names(path)?.pop().ok_or_else(|| leaves(path))?;
        Ok((self.directory(path.parent().unwrap_or(Path::new("")))?, name))
    }

    /// Places a file.
    pub(crate) fn file(&self, path: &Path, mut file: Incoming<'_>) -> io::Result<Placed> {
        let (parent, name) = self.parent(path)?;
        let temporary = temporary(name);
        let _ = unlinkat(&parent, &temporary, AtFlags::empty());
        match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(_) => {}
            Ok(_) if self.force => {}
            Ok(there) if is_file_of(&there, file.size) => {
                let old = openat(&parent, name, READ, Mode::empty())?;
                let same = is_same(File::from(old), file.content)?;
                return Ok(if same { Placed::Same } else { Placed::InTheWay });
            }
            Ok(_) => return Ok(Placed::InTheWay),
        }
        let mode = Mode::from_raw_mode(file.mode & 0o777);
        let new = File::from(openat(&parent, &temporary, CREATE, mode)?);
        fill(new, &mut file)?;
        self.rename(&parent, &temporary, name)
    }

    /// Places a symbolic link.
    pub(crate) fn link(&self, path: &Path, target: &Path) -> io::Result<Placed> {
        let (parent, name) = self.parent(path)?;
        if let Ok(there) = readlinkat(&parent, name, Vec::new())
            && there.as_bytes() == target.as_os_str().as_bytes()
        {
            return Ok(Placed::Same);
        }
        let temporary = temporary(name);
        let _ = unlinkat(&parent, &temporary, AtFlags::empty());
        symlinkat(target, &parent, &temporary)?;
        self.rename(&parent, &temporary, name)
    }

    fn rename(&self, parent: &OwnedFd, from: &OsStr, to: &OsStr) -> io::Result<Placed> {
        let renamed = if self.force {
            renameat(parent, from, parent, to)
        } else {
            rename_if_absent(parent, from, to)
        };
        match renamed {
            Ok(()) => Ok(Placed::New),
            Err(Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY) => {
                unlinkat(parent, from, AtFlags::empty())?;
                Ok(Placed::InTheWay)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until all of it is safe on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.root)?)
    }
}

/// Writes a file to the disk, with its time.
fn fill(mut new: File, file: &mut Incoming<'_>) -> io::Result<()> {
    io::copy(file.content, &mut new)?;
    let time = Timespec { tv_sec: file.written, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    // A time that this file system does not know is no reason to lose the file.
    let _ = rustix::fs::futimens(&new, &times);
    new.sync_all()
}

fn is_file_of(there: &rustix::fs::Stat, size: u64) -> bool {
    let is_file = FileType::from_raw_mode(there.st_mode) == FileType::RegularFile;
    is_file && u64::try_from(there.st_size) == Ok(size)
}

/// Whether a name could not be made since something else has it, or a name above it.
pub(crate) fn is_in_the_way(error: &io::Error) -> bool {
    let error = Errno::from_io_error(error);
    error.is_some_and(|error| matches!(error, Errno::NOTDIR | Errno::LOOP | Errno::EXIST))
}

/// Not every file system can rename without replacing; a second name and the first one's end can.
fn rename_if_absent(parent: &OwnedFd, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    match renameat_with(parent, from, parent, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            rustix::fs::linkat(parent, from, parent, to, AtFlags::empty())?;
            unlinkat(parent, from, AtFlags::empty())
        }
        other => other,
    }
}

/// The name under which a file is written: always the same one, so that what a killed restore left
/// is taken away by the next.
fn temporary(name: &OsStr) -> OsString {
    let hash = blake3::hash(name.as_bytes()).to_hex();
    format!(".slugline-restore-{}", &hash[..16]).into()
}

/// Whether a file holds just what comes, which is read to its end.
fn is_same(mut there: File, content: &mut dyn Read) -> io::Result<bool> {
    let (mut ours, mut theirs) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut same = true;
    loop {
        let read = content.read(&mut theirs)?;
        if read == 0 {
            return Ok(same && there.read(&mut ours[..1])? == 0);
        }
        same =
            same && there.read_exact(&mut ours[..read]).is_ok() && ours[..read] == theirs[..read];
    }
}

/// The steps of a path, none of which may lead up or begin anew.
fn names(path: &Path) -> io::Result<Vec<&OsStr>> {
    let name = |part| match part {
        Component::Normal(name) => Ok(name),
        _ => Err(leaves(path)),
    };
    path.components().map(name).collect()
}

fn leaves(path: &Path) -> io::Error {
    io::Error::other(format!("the name {} leaves the directory", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(place: &Place, path: &str, text: &str) -> io::Result<Placed> {
        let size = text.len() as u64;
        let mut content = text.as_bytes();
        let file = Incoming { content: &mut content, size, mode: 0o640, written: 1_000_000 };
        place.file(Path::new(path), file)
    }

    /// A process that another test starts has all that is open here for a moment, locks among it.
    fn once_alone(root: &Path) -> Place {
        let pause = std::time::Duration::from_millis(10);
        let attempts = std::iter::repeat_with(|| Place::open(root, true)).take(1_000);
        let mut attempts = attempts.inspect(|_| std::thread::sleep(pause)).filter_map(Result::ok);
        attempts.next().expect("nobody restores there any more")
    }

    #[test]
    fn a_file_is_whole_or_not_there_and_what_is_there_stays() {
        let there = tempfile::tempdir().unwrap();
        let root = there.path().join("new");
        let place = Place::open(&root, false).unwrap();
        assert!(Place::open(&root, false).is_err(), "one at a time");
        // What a restore left that was killed.
        std::fs::create_dir(root.join("a")).unwrap();
        std::fs::write(root.join("a").join(temporary("b".as_ref())), "half").unwrap();
        assert_eq!(put(&place, "a/b", "one").unwrap(), Placed::New);
        assert_eq!(put(&place, "a/b", "one").unwrap(), Placed::Same);
        assert_eq!(put(&place, "a/b", "two").unwrap(), Placed::InTheWay);
        assert_eq!(put(&place, "a/b", "longer").unwrap(), Placed::InTheWay);
        assert_eq!(std::fs::read(root.join("a/b")).unwrap(), b"one");
        assert_eq!(std::fs::read_dir(root.join("a")).unwrap().count(), 1);
        drop(place);
        let place = once_alone(&root);
        assert_eq!(put(&place, "a/b", "two").unwrap(), Placed::New);
        assert_eq!(put(&place, "a", "x").unwrap(), Placed::InTheWay, "a directory stays");
        assert_eq!(std::fs::read(root.join("a/b")).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_written_outside() {
        let there = tempfile::tempdir().unwrap();
        let root = there.path().join("inside");
        let place = Place::open(&root, true).unwrap();
        for path in ["../x", "/tmp/slugline-x", "a/../../x", ""] {
            assert!(put(&place, path, "x").is_err(), "{path}");
        }
        assert_eq!(place.link(Path::new("up"), Path::new("..")).unwrap(), Placed::New);
        assert_eq!(place.link(Path::new("up"), Path::new("..")).unwrap(), Placed::Same);
        let error = put(&place, "up/x", "x").unwrap_err();
        assert!(is_in_the_way(&error), "{error}");
        // The link itself is replaced, and not what it names.
        assert_eq!(put(&place, "up", "x").unwrap(), Placed::New);
        assert_eq!(std::fs::read(root.join("up")).unwrap(), b"x");
        assert_eq!(std::fs::read_dir(there.path()).unwrap().count(), 1);
    }
}
