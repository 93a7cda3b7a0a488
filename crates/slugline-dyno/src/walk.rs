//! Walking a tree that a dyno wrote, directory by directory.
//!
//! The tree is hostile: symbolic links are never followed, names may be any bytes, directories may
//! deny themselves to their owner. Of a dyno that is gone, they may lie deeper than a path or a stack
//! reaches. One that lives moves them meanwhile, so `..` leads anywhere: there the way back is kept
//! open, and what lies too deep for that is left out.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::discard::open_directory;

/// How many directories of a live tree are open at once.
const DEEPEST: usize = 128;

/// Whether a dyno may change its tree while it is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tree {
    /// It lives. Its tree is left as it is, permissions included.
    Live,
    /// It is gone. Directories are opened to their owner.
    Left,
}

impl Tree {
    fn open(self, at: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
        match self {
            Tree::Live => rustix::fs::openat(at, name, directory_flags(), Mode::empty()),
            Tree::Left => open_directory(at, name),
        }
    }

    /// Opens the top of a tree, by a path of the server's own.
    pub(crate) fn open_root(self, path: &Path) -> Result<OwnedFd, Errno> {
        match self {
            Tree::Live => rustix::fs::openat(CWD, path, directory_flags(), Mode::empty()),
            Tree::Left => open_directory(CWD, path),
        }
    }
}

fn directory_flags() -> OFlags {
    OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY
}

/// Opens a file of a tree, whatever it is, by a path in it: never through a link, never out of it.
pub(crate) fn open_below(root: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    // Without waiting for whoever writes to it, should it be a pipe.
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve)
}

/// Calls `visit` with each directory and its path from `root` on (`app/media/`, empty for the root
/// itself), depth first; it gives the names of those below to go on with.
pub(crate) fn walk(
    root: OwnedFd,
    tree: Tree,
    visit: &mut dyn FnMut(&OwnedFd, &[u8]) -> Vec<CString>,
) -> Result<(), Errno> {
    let mut path: Vec<u8> = Vec::new();
    let mut above: Vec<OwnedFd> = Vec::new();
    let mut ahead: Vec<Vec<CString>> = vec![visit(&root, &path)];
    let mut here = root;
    while let Some(names) = ahead.last_mut() {
        if let Some(name) = names.pop() {
            if tree == Tree::Live && above.len() >= DEEPEST {
                continue;
            }
            let Ok(below) = tree.open(&here, &name) else { continue };
            let parent = std::mem::replace(&mut here, below);
            if tree == Tree::Live {
                above.push(parent);
            }
            path.extend_from_slice(name.as_bytes());
            path.push(b'/');
            ahead.push(visit(&here, &path));
        } else {
            ahead.pop();
            if ahead.is_empty() {
                break;
            }
            here = match above.pop() {
                Some(parent) => parent,
                None => open_directory(&here, c"..")?,
            };
            path.pop();
            let parent = path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
            path.truncate(parent);
        }
    }
    Ok(())
}
