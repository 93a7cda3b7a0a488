//! A build's tree, which its buildpacks and hooks wrote: nothing in it is trusted.
//!
//! Every open is confined by the kernel to the tree and follows no symbolic link anywhere in the
//! path, so whatever changes underneath, nothing outside is ever read.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::error::{Result, reading};
use crate::series::Stamp;

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

    /// Lists the tree, without what no slug holds: `.git`, and what lies in `tmp`.
    pub(crate) fn list(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        let mut ahead = vec![Vec::new()];
        while let Some(path) = ahead.pop() {
            let before = listing.directories.len();
            self.list_directory(&path, &mut listing).map_err(reading(self.show(&path)))?;
            let new = listing.directories[before..].iter();
            ahead.extend(new.filter(|path| *path != b"tmp").cloned());
        }
        Ok(listing)
    }

    /// Opens a regular file for reading; anything else is an error.
    pub(crate) fn open_file(&self, path: &[u8]) -> io::Result<fs_err::File> {
        // Non-blocking, so that a pipe put in the file's place cannot stop us.
        let file = self.open_readable(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file any more"));
        }
        Ok(fs_err::File::from_parts(file.into(), self.show(path)))
    }

    /// When a regular file was modified (seconds since 1970) and its size (bytes).
    pub(crate) fn time_and_size(&self, path: &[u8]) -> Option<(i64, u64)> {
        let stat = rustix::fs::fstat(self.open_beneath(path, OFlags::PATH).ok()?).ok()?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        regular.then(|| Some((stat.st_mtime, u64::try_from(stat.st_size).ok()?))).flatten()
    }

    fn list_directory(&self, path: &[u8], listing: &mut Listing) -> io::Result<()> {
        let at = if path.is_empty() { b"." } else { path };
        let directory = self.open_readable(at, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mode = Mode::from_raw_mode(rustix::fs::fstat(&directory)?.st_mode);
        if !mode.contains(Mode::RUSR | Mode::XUSR) {
            rustix::fs::fchmod(&directory, mode | Mode::RWXU)?;
        }
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let dropped = matches!(name, b"." | b"..") || (path.is_empty() && name == b".git");
            if !dropped {
                list_entry(&directory, path, name, entry.file_type(), listing)?;
            }
        }
        Ok(())
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
