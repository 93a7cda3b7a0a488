//! Removing what dynos leave behind, whatever its permissions.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::op_error::{OpError, Operation};

/// Removes a directory tree. A dyno may have left directories that their owner cannot enter, and
/// so does the overlay (`work/work` has mode 000): those are opened up first.
pub(crate) fn remove_tree(path: &Path) -> Result<(), OpError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            open_up(path);
            std::fs::remove_dir_all(path).op(|| format!("remove {}", path.display()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.op(|| format!("remove {}", path.display())),
    }
}

fn open_up(path: &Path) {
    let is_directory = std::fs::symlink_metadata(path).is_ok_and(|m| m.is_dir());
    if !is_directory || std::fs::set_permissions(path, PermissionsExt::from_mode(0o700)).is_err() {
        return;
    }
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        open_up(&entry.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_its_owner_cannot_enter_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(inner.join("f"), "").unwrap();
        std::fs::set_permissions(&inner, PermissionsExt::from_mode(0o000)).unwrap();
        remove_tree(&dir.path().join("a")).unwrap();
        assert!(!dir.path().join("a").exists());
        remove_tree(&dir.path().join("a")).unwrap();
    }
}
