//! Where an archive's entry may be written: below the root, and never through a symbolic link.

use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Why a path has no place below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unplaceable {
    /// It starts with `/`.
    Absolute,
    /// It has a `..` in it.
    Upwards,
    /// It holds a byte that no path can.
    Malformed,
    /// It is deeper, or longer, than a path may be wherever the app is.
    TooDeep,
}

/// How many names a path may have. Deeper ones exist nowhere but in attacks.
pub(crate) const DEEPEST: usize = 128;

/// The longest path and the longest name (bytes): what Linux takes, less the way to the app.
pub(crate) const LONGEST_PATH: usize = 3_800;
pub(crate) const LONGEST_NAME: usize = 255;

/// The names of an entry's path, without `.`; empty for the root itself.
pub(crate) fn names(path: &Path) -> Result<Vec<&OsStr>, Unplaceable> {
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return Err(Unplaceable::Malformed);
    }
    if path.as_os_str().len() > LONGEST_PATH {
        return Err(Unplaceable::TooDeep);
    }
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) if name.len() > LONGEST_NAME => {
                return Err(Unplaceable::TooDeep);
            }
            Component::Normal(name) => names.push(name),
            Component::CurDir => {}
            Component::ParentDir => return Err(Unplaceable::Upwards),
            Component::RootDir | Component::Prefix(_) => return Err(Unplaceable::Absolute),
        }
    }
    if names.len() > DEEPEST { Err(Unplaceable::TooDeep) } else { Ok(names) }
}

/// Makes the directories above an entry. The answer is the entry's path, or `None` when one of the
/// names above it is already something else than a directory, such as a symbolic link out of here.
pub(crate) fn make_parents(root: &Path, names: &[&OsStr]) -> io::Result<Option<PathBuf>> {
    let mut path = root.to_path_buf();
    let Some((last, parents)) = names.split_last() else { return Ok(Some(path)) };
    for name in parents {
        path.push(name);
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs_err::create_dir(&path)?,
            Err(error) => return Err(error),
        }
    }
    path.push(last);
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_normal_or_refused() {
        assert_eq!(names(Path::new("./a/./b")).unwrap(), ["a", "b"]);
        assert!(names(Path::new("./")).unwrap().is_empty());
        assert_eq!(names(Path::new("/etc/passwd")), Err(Unplaceable::Absolute));
        assert_eq!(names(Path::new("a/../../b")), Err(Unplaceable::Upwards));
        assert_eq!(names(Path::new("a\0b")), Err(Unplaceable::Malformed));
    }

    #[test]
    fn nothing_is_placed_below_a_symbolic_link() {
        let root = tempfile::tempdir().unwrap();
        fs_err::os::unix::fs::symlink("/etc", root.path().join("link")).unwrap();
        let below = names(Path::new("link/passwd")).unwrap();
        assert_eq!(make_parents(root.path(), &below).unwrap(), None);
        let fine = names(Path::new("a/b/c")).unwrap();
        assert_eq!(make_parents(root.path(), &fine).unwrap(), Some(root.path().join("a/b/c")));
    }
}
