//! Trees that outlive a build, such as an installed environment: kept in the cache and given to the
//! next build as hard links, so that neither way copies a byte.
//!
//! A file shared by two names can be edited by way of either. What a build edits in place would so
//! reach into the cache; therefore a kept tree is kept with a fingerprint of its sizes and times,
//! and one that no longer has it is not given out.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::files;

/// What became of an attempt to restore a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restored {
    /// It is there.
    Whole,
    /// Something was edited since it was kept; nothing was restored.
    Altered,
}

/// Files of these names are written in place by their tools, and so copied, not linked.
const COPIED: [&str; 6] = [
    ".package-lock.json",
    ".yarn-integrity",
    ".yarn-state.yml",
    ".modules.yaml",
    ".pnpm-workspace-state-v1.json",
    "pyvenv.cfg",
];

/// Keeps a tree under a path of the cache, in the place of what was kept there, but for the
/// directories of these names at its root. A build that ends in the middle of this leaves nothing
/// kept.
pub(crate) fn keep(tree: &Path, kept: &Path, without: &[&str]) -> io::Result<()> {
    forget(kept)?;
    link_tree(tree, kept, without)?;
    files::write_atomically(&state_path(kept), fingerprint(kept)?.as_bytes())
}

/// Gives a kept tree to a build, whose own directory of that name goes.
pub(crate) fn restore(kept: &Path, tree: &Path) -> io::Result<Restored> {
    let state = fs_err::read_to_string(state_path(kept)).unwrap_or_default();
    if !kept.is_dir() || state != fingerprint(kept)? {
        return Ok(Restored::Altered);
    }
    files::remove(tree)?;
    link_tree(kept, tree, &[])?;
    Ok(Restored::Whole)
}

/// Whether anything is kept there.
pub(crate) fn is_kept(kept: &Path) -> bool {
    state_path(kept).is_file() && kept.is_dir()
}

/// Keeps nothing any more.
pub(crate) fn forget(kept: &Path) -> io::Result<()> {
    files::remove(&state_path(kept))?;
    files::remove(kept)
}

/// Makes the same directories, links and modes, and the same files by hard links: by copies where
/// the two lie on different file systems. Directories named in `without` are left out at the root.
pub(crate) fn link_tree(from: &Path, to: &Path, without: &[&str]) -> io::Result<()> {
    let mut waiting = vec![(from.to_owned(), to.to_owned())];
    while let Some((from_dir, to_dir)) = waiting.pop() {
        std::fs::create_dir_all(&to_dir)?;
        for entry in fs_err::read_dir(&from_dir)? {
            let entry = entry?;
            let (source, target) = (entry.path(), to_dir.join(entry.file_name()));
            let kind = entry.file_type()?;
            let name = entry.file_name();
            if kind.is_dir() {
                let left_out = from_dir == from && without.iter().any(|other| name == *other);
                if !left_out {
                    waiting.push((source, target));
                }
            } else if kind.is_symlink() {
                std::os::unix::fs::symlink(std::fs::read_link(&source)?, &target)?;
            } else if kind.is_file() {
                link_or_copy(&source, &target, COPIED.iter().any(|copied| name == *copied))?;
            }
        }
    }
    Ok(())
}

/// `std::fs` and not `fs_err`: this is done for each of tens of thousands of files, and the paths
/// are only wanted when it fails.
fn link_or_copy(source: &Path, target: &Path, copied: bool) -> io::Result<()> {
    if !copied {
        match std::fs::hard_link(source, target) {
            Ok(()) => return Ok(()),
            Err(error) if may_be_copied(&error) => {}
            Err(error) => return Err(error),
        }
    }
    fs_err::copy(source, target)?;
    // A copy is told from its original by its time, which is part of the fingerprint.
    let modified = source.metadata()?.modified()?;
    std::fs::File::options().write(true).open(target)?.set_modified(modified)
}

/// Another file system, too many links to one file, or a file that is not ours to link.
fn may_be_copied(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks};
    matches!(error.kind(), CrossesDevices | TooManyLinks | PermissionDenied)
}

fn state_path(kept: &Path) -> PathBuf {
    let mut name = kept.file_name().unwrap_or_default().to_owned();
    name.push(".state");
    kept.with_file_name(name)
}

/// Of the names, kinds, sizes, modes and times of all that is in a tree.
fn fingerprint(tree: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut waiting = vec![tree.to_owned()];
    while let Some(directory) = waiting.pop() {
        let entries: Result<Vec<_>, _> = fs_err::read_dir(&directory)?.collect();
        let mut entries = entries?;
        entries.sort_by_key(fs_err::DirEntry::file_name);
        let below = directory.strip_prefix(tree).unwrap_or(&directory);
        hasher.update(b"\0directory\0").update(below.as_os_str().as_encoded_bytes());
        for entry in entries {
            let kind = entry.file_type()?;
            hasher.update(entry.file_name().as_encoded_bytes()).update(b"\0");
            if kind.is_dir() {
                waiting.push(entry.path());
                continue;
            }
            // Of the link itself, where it is one.
            let found = entry.metadata()?;
            hasher.update(&found.len().to_le_bytes()).update(&found.mtime().to_le_bytes());
            hasher.update(&found.mtime_nsec().to_le_bytes());
            hasher.update(&found.permissions().mode().to_le_bytes());
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene {
        root: tempfile::TempDir,
    }

    impl Scene {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            fs_err::create_dir_all(root.path().join("tree/lib/empty")).unwrap();
            fs_err::write(root.path().join("tree/lib/a.py"), "a = 1").unwrap();
            fs_err::write(root.path().join("tree/pyvenv.cfg"), "x").unwrap();
            fs_err::os::unix::fs::symlink("nowhere", root.path().join("tree/link")).unwrap();
            Self { root }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.root.path().join(name)
        }

        fn inode(&self, name: &str) -> u64 {
            self.path(name).symlink_metadata().unwrap().ino()
        }
    }

    #[test]
    fn a_kept_tree_is_restored_without_a_copy() {
        let scene = Scene::new();
        keep(&scene.path("tree"), &scene.path("cache/kept"), &[]).unwrap();
        assert!(is_kept(&scene.path("cache/kept")));
        let restored = restore(&scene.path("cache/kept"), &scene.path("again")).unwrap();
        assert_eq!(restored, Restored::Whole);
        assert_eq!(scene.inode("tree/lib/a.py"), scene.inode("again/lib/a.py"));
        assert_ne!(scene.inode("tree/pyvenv.cfg"), scene.inode("again/pyvenv.cfg"));
        assert!(scene.path("again/lib/empty").is_dir());
        assert_eq!(fs_err::read_link(scene.path("again/link")).unwrap(), Path::new("nowhere"));
    }

    #[test]
    fn what_a_build_edited_in_place_is_not_given_out() {
        let scene = Scene::new();
        keep(&scene.path("tree"), &scene.path("kept"), &["none"]).unwrap();
        // Replacing a file, as most tools do, leaves the kept one alone.
        fs_err::write(scene.path("tree/lib/new"), "a = 2").unwrap();
        fs_err::rename(scene.path("tree/lib/new"), scene.path("tree/lib/a.py")).unwrap();
        let restored = restore(&scene.path("kept"), &scene.path("again")).unwrap();
        assert_eq!(restored, Restored::Whole);
        assert_eq!(fs_err::read_to_string(scene.path("again/lib/a.py")).unwrap(), "a = 1");
        fs_err::write(scene.path("again/lib/a.py"), "a = 22").unwrap();
        let restored = restore(&scene.path("kept"), &scene.path("third")).unwrap();
        assert_eq!(restored, Restored::Altered);
        assert!(!scene.path("third").exists());
    }

    #[test]
    fn a_tree_that_was_not_kept_to_the_end_is_not_kept() {
        let scene = Scene::new();
        keep(&scene.path("tree"), &scene.path("kept"), &["none"]).unwrap();
        fs_err::remove_file(scene.path("kept.state")).unwrap();
        assert!(!is_kept(&scene.path("kept")));
        let restored = restore(&scene.path("kept"), &scene.path("again")).unwrap();
        assert_eq!(restored, Restored::Altered);
    }
}
