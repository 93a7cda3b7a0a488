//! Reading a layer: what the dyno created, changed and deleted.
//!
//! The layer is hostile: symbolic links are never followed, names may be any bytes.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use slugline_model::ledger::{Change, ChangeKind, Receipt};

/// The receipt of a layer over a slug's tree. What cannot be read is left out; a layer that is
/// gone has an empty receipt.
pub(crate) fn receipt(layer: &Path, slug_tree: Option<&Path>) -> Receipt {
    let mut receipt = Receipt::default();
    let mut pending = vec![layer.to_path_buf()];
    while let Some(directory) = pending.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                pending.push(entry.path());
            } else if let Some(change) = change(&entry.path(), &metadata, layer, slug_tree) {
                receipt.add(change);
            }
        }
    }
    receipt.finish()
}

fn change(
    path: &Path,
    metadata: &std::fs::Metadata,
    layer: &Path,
    slug_tree: Option<&Path>,
) -> Option<Change> {
    let relative = path.strip_prefix(layer).ok()?;
    // The overlay marks a deleted file by a character device 0:0 of its name.
    let deleted = metadata.file_type().is_char_device() && metadata.rdev() == 0;
    let in_slug = slug_tree.is_some_and(|tree| tree.join(relative).symlink_metadata().is_ok());
    let kind = match (deleted, in_slug) {
        (true, _) => ChangeKind::Deleted,
        (false, true) => ChangeKind::Changed,
        (false, false) => ChangeKind::Created,
    };
    let bytes = if metadata.is_file() { metadata.len() } else { 0 };
    let path = format!("/{}", String::from_utf8_lossy(relative.as_os_str().as_bytes()));
    Some(Change { path, kind, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn created_and_changed_files_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let (slug, layer) = (dir.path().join("slug"), dir.path().join("layer"));
        for path in ["slug/app", "layer/app/media"] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        std::fs::write(slug.join("app/a.txt"), "old").unwrap();
        std::fs::write(layer.join("app/a.txt"), "newer").unwrap();
        std::fs::write(layer.join("app/media/b.png"), "1234567").unwrap();
        std::os::unix::fs::symlink("/etc", layer.join("app/link")).unwrap();
        let receipt = receipt(&layer, Some(&slug));
        let seen: Vec<_> =
            receipt.largest.iter().map(|c| (c.path.as_str(), c.kind, c.bytes)).collect();
        assert_eq!(
            seen,
            [
                ("/app/media/b.png", ChangeKind::Created, 7),
                ("/app/a.txt", ChangeKind::Changed, 5),
                ("/app/link", ChangeKind::Created, 0),
            ]
        );
    }

    #[test]
    fn a_layer_that_is_gone_has_an_empty_receipt() {
        assert_eq!(receipt(Path::new("/nonexistent"), None), Receipt::default());
    }
}
