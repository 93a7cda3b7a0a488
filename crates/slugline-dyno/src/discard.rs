//! Removing what dynos leave behind, whatever its permissions and however deep it is.
//!
//! A tree may be deeper than a stack, a path or a table of open files has room for. So there is no
//! recursion and no path: what lies two levels down is first moved up to one.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::op_error::{OpError, Operation};

/// Removes a directory tree, which nobody may be changing; nothing there is fine.
pub(crate) fn remove_tree(path: &Path) -> Result<(), OpError> {
    match empty(path).and_then(|()| rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR)) {
        Err(Errno::NOENT) => Ok(()),
        other => other.op(|| format!("remove {}", path.display())),
    }
}

fn empty(path: &Path) -> Result<(), Errno> {
    let root = open_directory(CWD, path)?;
    let mut spare = 0;
    loop {
        let entries = entries(&root)?;
        let mut directories = false;
        for (name, kind) in &entries {
            if *kind == FileType::Directory {
                directories = true;
                remove_one_level(&root, name, &mut spare)?;
            } else {
                rustix::fs::unlinkat(&root, name, AtFlags::empty())?;
            }
        }
        if !directories {
            return Ok(());
        }
    }
}

/// Removes a directory below `root`, once the directories in it are moved to `root`.
fn remove_one_level(root: &OwnedFd, name: &CStr, spare: &mut u64) -> Result<(), Errno> {
    let directory = open_directory(root, name)?;
    for (entry, kind) in entries(&directory)? {
        if kind != FileType::Directory {
            rustix::fs::unlinkat(&directory, &entry, AtFlags::empty())?;
        } else if rustix::fs::unlinkat(&directory, &entry, AtFlags::REMOVEDIR).is_err() {
            // A directory that denies writing to its owner could not be moved.
            drop(open_directory(&directory, &entry)?);
            move_up(&directory, &entry, root, spare)?;
        }
    }
    rustix::fs::unlinkat(root, name, AtFlags::REMOVEDIR)
}

fn move_up(from: &OwnedFd, name: &CStr, root: &OwnedFd, spare: &mut u64) -> Result<(), Errno> {
    loop {
        *spare += 1;
        let free = format!("{spare}");
        match rustix::fs::renameat_with(from, name, root, free, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            other => return other,
        }
    }
}

/// Opens a directory, never through a link, after giving its owner every right to it.
pub(crate) fn open_directory(
    at: impl AsFd,
    path: impl rustix::path::Arg + Copy,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(&at, path, flags | OFlags::PATH, Mode::empty())?;
    let mode = Mode::from_raw_mode(rustix::fs::fstat(&handle)?.st_mode);
    if !mode.contains(Mode::RWXU) {
        // By way of /proc, since such a handle takes no fchmod, and the mode may forbid another.
        rustix::fs::chmod(format!("/proc/self/fd/{}", handle.as_raw_fd()), mode | Mode::RWXU)?;
    }
    rustix::fs::openat(&handle, c".", flags | OFlags::RDONLY, Mode::empty())
}

/// What a directory holds.
pub(crate) fn entries(directory: &OwnedFd) -> Result<Vec<(CString, FileType)>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => {
                let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(stat.st_mode)
            }
            known => known,
        };
        found.push((name.to_owned(), kind));
    }
    Ok(found)
}

/// Makes directories in each other, deeper than a stack or a path could follow.
#[cfg(test)]
pub(crate) fn make_deep(at: &Path, depth: usize, innermost: &str) {
    let mut directory = open_directory(CWD, at).unwrap();
    for _ in 0..depth {
        rustix::fs::mkdirat(&directory, c"d", Mode::RWXU).unwrap();
        directory = open_directory(&directory, c"d").unwrap();
    }
    let flags = OFlags::CREATE | OFlags::WRONLY;
    let file = rustix::fs::openat(&directory, innermost, flags, Mode::RUSR).unwrap();
    rustix::io::write(&file, b"1234").unwrap();
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_tree_that_its_owner_cannot_enter_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b/c");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("f"), "").unwrap();
        for closed in ["a/b/c", "a/b", "a"] {
            let mode = std::fs::Permissions::from_mode(0o000);
            std::fs::set_permissions(dir.path().join(closed), mode).unwrap();
        }
        remove_tree(&dir.path().join("a")).unwrap();
        assert!(!dir.path().join("a").exists());
        remove_tree(&dir.path().join("a")).unwrap();
    }

    #[test]
    fn a_tree_deeper_than_any_stack_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        std::fs::create_dir_all(tree.join("1/2/3")).unwrap();
        std::os::unix::fs::symlink(dir.path(), tree.join("1/link")).unwrap();
        std::fs::write(dir.path().join("kept"), "").unwrap();
        make_deep(&tree.join("1/2"), 6_000, "f");
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && dir.path().join("kept").exists());
    }
}
