//! A build's tree, which its buildpacks and hooks wrote: nothing in it is trusted.
//!
//! Every open is confined by the kernel to the tree and follows no symbolic link anywhere in the
//! path, so whatever changes underneath, nothing outside is ever read.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use rustix::fs::{FileType, Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;

use crate::error::{Result, reading};
use crate::series::Stamp;

/// Two, like the threads that pack.
const LISTERS: usize = 2;

/// The directories that are still to be listed, for any number of threads.
struct Walk {
    ahead: Mutex<Ahead>,
    /// Told when directories come, and when none will.
    changed: Condvar,
}

struct Ahead {
    paths: Vec<Vec<u8>>,
    /// Directories that are being listed, from which more may come.
    busy: usize,
    given_up: bool,
}

impl Walk {
    /// From the root.
    fn new() -> Self {
        let ahead = Ahead { paths: vec![Vec::new()], busy: 0, given_up: false };
        Self { ahead: Mutex::new(ahead), changed: Condvar::new() }
    }

    /// The next directory; none once all are listed. Each is followed by [`Walk::add`].
    fn next(&self) -> Option<Vec<u8>> {
        let ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |ahead: &mut Ahead| ahead.paths.is_empty() && ahead.busy > 0 && !ahead.given_up;
        let mut ahead =
            self.changed.wait_while(ahead, waits).unwrap_or_else(PoisonError::into_inner);
        let path = ahead.paths.pop().filter(|_| !ahead.given_up)?;
        ahead.busy += 1;
        Some(path)
    }

    /// What was found in a directory that [`Walk::next`] gave.
    fn add(&self, found: impl Iterator<Item = Vec<u8>>) {
        let mut ahead = self.ahead.lock().unwrap_or_else(PoisonError::into_inner);
        ahead.paths.extend(found);
        ahead.busy -= 1;
        drop(ahead);
        self.changed.notify_all();
    }

    fn give_up(&self) {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner).given_up = true;
        self.changed.notify_all();
    }
}

/// An open tree.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
    path: PathBuf,
}

/// A regular file of a tree, as it was when the tree was listed.
#[derive(Debug, Clone)]
pub(crate) struct Listed {
    /// Relative to the tree.
    pub(crate) path: Vec<u8>,
    pub(crate) stamp: Stamp,
}

/// What a tree holds. Paths are relative to it.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) directories: Vec<Vec<u8>>,
    pub(crate) files: Vec<Listed>,
    /// Links and their targets.
    pub(crate) symlinks: Vec<(Vec<u8>, Vec<u8>)>,
    /// Sockets, pipes and devices: not part of a slug.
    pub(crate) skipped: Vec<Vec<u8>>,
}

impl Tree {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(reading(path))?;
        Ok(Self { root, path: path.to_owned() })
    }

    /// A path of the tree as people know it.
    pub(crate) fn show(&self, path: &[u8]) -> PathBuf {
        self.path.join(std::ffi::OsStr::from_bytes(path))
    }

    /// Lists the tree, without what no slug holds: `.git`, and what lies in `tmp`. In no order.
    pub(crate) fn list(&self) -> Result<Listing> {
        let walk = Walk::new();
        let listings = std::thread::scope(|scope| {
            let threads = [(); LISTERS].map(|()| scope.spawn(|| self.list_some(&walk)));
            threads.map(|thread| thread.join().expect("listing does not panic"))
        });
        let mut all = Listing::default();
        for listing in listings {
            let listing = listing?;
            all.directories.extend(listing.directories);
            all.files.extend(listing.files);
            all.symlinks.extend(listing.symlinks);
            all.skipped.extend(listing.skipped);
        }
        all.skipped.sort();
        Ok(all)
    }

    /// Lists directories until none is left.
    fn list_some(&self, walk: &Walk) -> Result<Listing> {
        let (mut listing, mut buffer) = (Listing::default(), vec![MaybeUninit::uninit(); 1 << 15]);
        while let Some(path) = walk.next() {
            let before = listing.directories.len();
            let listed = self.list_directory(&path, &mut listing, &mut buffer);
            let new = listing.directories[before..].iter();
            walk.add(new.filter(|path| *path != b"tmp").cloned());
            listed.map_err(|error| {
                walk.give_up();
                reading(self.show(&path))(error)
            })?;
        }
        // In order as far as one thread can: sorting all is then no more than a merge.
        listing.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        listing.directories.sort_unstable();
        Ok(listing)
    }

    /// Opens a regular file for reading, and says its mode and its size (bytes); anything else is an
    /// error.
    pub(crate) fn open_file(&self, path: &[u8]) -> io::Result<(fs_err::File, u32, u64)> {
        // Non-blocking, so that a pipe put in the file's place cannot stop us.
        let file = self.open_readable(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file any more"));
        }
        let file = fs_err::File::from_parts(file.into(), self.show(path));
        Ok((file, stat.st_mode, stat.st_size.cast_unsigned()))
    }

    /// When a regular file was modified (seconds since 1970) and its size (bytes).
    pub(crate) fn time_and_size(&self, path: &[u8]) -> Option<(i64, u64)> {
        let stat = rustix::fs::fstat(self.open_beneath(path, OFlags::PATH).ok()?).ok()?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        regular.then(|| Some((stat.st_mtime, u64::try_from(stat.st_size).ok()?))).flatten()
    }

    fn list_directory(
        &self,
        path: &[u8],
        listing: &mut Listing,
        buffer: &mut [MaybeUninit<u8>],
    ) -> io::Result<()> {
        let at = if path.is_empty() { b"." } else { path };
        let directory = self.open_readable(at, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut first = None;
        let mut entries = RawDir::new(&directory, buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let dropped = matches!(name, b"." | b"..") || (path.is_empty() && name == b".git");
            if dropped {
                continue;
            }
            let mut list = || list_entry(&directory, path, name, entry.file_type(), listing);
            let listed = match list() {
                // It may be read, but not searched.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    allow_search(&directory).and_then(|()| list())
                }
                other => other,
            };
            first = first.or(listed.err());
        }
        first.map_or(Ok(()), Err)
    }

    /// Opens what its mode denies to its owner too: builds leave such files behind.
    fn open_readable(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let needed = if flags.contains(OFlags::DIRECTORY) { Mode::RWXU } else { Mode::RUSR };
        match self.open_beneath(path, flags) {
            Err(Errno::ACCESS) => {
                let handle = self.open_beneath(path, OFlags::PATH)?;
                let mode = Mode::from_raw_mode(rustix::fs::fstat(&handle)?.st_mode);
                // By way of /proc, since a handle like this takes no fchmod and a path could be
                // swapped for a link.
                let handle_path = format!("/proc/self/fd/{}", handle.as_raw_fd());
                rustix::fs::chmod(handle_path, mode | needed)?;
                Ok(self.open_beneath(path, flags)?)
            }
            other => Ok(other?),
        }
    }

    fn open_beneath(&self, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let confined =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::openat2(&self.root, path, flags, Mode::empty(), confined)
    }
}

fn allow_search(directory: &OwnedFd) -> io::Result<()> {
    let mode = Mode::from_raw_mode(rustix::fs::fstat(directory)?.st_mode);
    Ok(rustix::fs::fchmod(directory, mode | Mode::RWXU)?)
}

fn list_entry(
    directory: &OwnedFd,
    parent: &[u8],
    name: &[u8],
    file_type: FileType,
    listing: &mut Listing,
) -> io::Result<()> {
    let path = if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() };
    let stat = || rustix::fs::statat(directory, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
    let file_type = match file_type {
        FileType::Unknown => FileType::from_raw_mode(stat()?.st_mode),
        known => known,
    };
    match file_type {
        FileType::Directory => listing.directories.push(path),
        FileType::RegularFile => listing.files.push(Listed { path, stamp: Stamp::of(&stat()?) }),
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
            listing.symlinks.push((path, target.into_bytes()));
        }
        _ => listing.skipped.push(path),
    }
    Ok(())
}

/// A path of a tree or manifest as the standard library knows it.
pub(crate) fn as_path(path: &[u8]) -> PathBuf {
    std::ffi::OsString::from_vec(path.to_vec()).into()
}
