//! Reading a layer: what the dyno created, changed and deleted.
//!
//! The layer is hostile: symbolic links are never followed, names may be any bytes, directories may
//! deny themselves to their owner and lie deeper than a path or a stack reaches. It is read once
//! the dyno is gone, so nothing changes meanwhile.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Stat};
use rustix::io::Errno;
use slugline_model::ledger::{Change, ChangeKind, Receipt};

use crate::discard::{entries, open_directory};

/// The longest path that a receipt spells out (bytes): no call could take a longer one either.
const LONGEST: usize = 4_095;

/// The receipt of a layer over a slug's tree. What cannot be read is left out; a layer that is
/// gone has an empty receipt.
pub(crate) fn receipt(layer: &Path, slug_tree: Option<&Path>) -> Receipt {
    let mut scan = Scan { slug_tree, path: Vec::new(), receipt: Receipt::default() };
    if let Ok(root) = open_directory(CWD, layer) {
        // What failed half-way is told as far as it went.
        let _ = scan.walk(root);
    }
    scan.receipt.finish()
}

struct Scan<'a> {
    slug_tree: Option<&'a Path>,
    /// Of the directory at hand, within the layer: `app/media/`.
    path: Vec<u8>,
    receipt: Receipt,
}

impl Scan<'_> {
    /// Depth first with one open directory: `..` leads back up.
    fn walk(&mut self, root: OwnedFd) -> Result<(), Errno> {
        let mut here = root;
        let mut ahead: Vec<Vec<CString>> = vec![self.directory(&here)];
        while let Some(names) = ahead.last_mut() {
            if let Some(name) = names.pop() {
                let Ok(below) = open_directory(&here, name.as_c_str()) else { continue };
                here = below;
                self.path.extend_from_slice(name.as_bytes());
                self.path.push(b'/');
                ahead.push(self.directory(&here));
            } else {
                ahead.pop();
                if ahead.is_empty() {
                    break;
                }
                here = open_directory(&here, c"..")?;
                self.path.pop();
                let parent = self.path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
                self.path.truncate(parent);
            }
        }
        Ok(())
    }

    /// Counts what is in a directory, and gives the directories in it.
    fn directory(&mut self, directory: &OwnedFd) -> Vec<CString> {
        let found = entries(directory).unwrap_or_default();
        if is_opaque(directory) {
            self.count_hidden(&found);
        }
        let mut directories = Vec::new();
        for (name, kind) in found {
            if kind == FileType::Directory {
                directories.push(name);
            } else if let Ok(stat) = rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW)
            {
                self.file(&name, &stat);
            }
        }
        directories
    }

    fn file(&mut self, name: &CStr, stat: &Stat) {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let in_slug = self.in_slug(name.to_bytes());
        let below = in_slug.as_deref().and_then(|path| path.symlink_metadata().ok());
        // The overlay marks what was deleted by a character device 0:0 of its name.
        if kind == FileType::CharacterDevice && stat.st_rdev == 0 {
            return match (in_slug, below) {
                (Some(path), Some(below)) if below.is_dir() => self.count_deleted(&path),
                _ => self.add(name.to_bytes(), ChangeKind::Deleted, 0),
            };
        }
        let change = if below.is_some() { ChangeKind::Changed } else { ChangeKind::Created };
        let size = if kind == FileType::RegularFile { stat.st_size } else { 0 };
        self.add(name.to_bytes(), change, u64::try_from(size).unwrap_or(0));
    }

    fn in_slug(&self, name: &[u8]) -> Option<PathBuf> {
        let relative = [self.path.as_slice(), name].concat();
        Some(self.slug_tree?.join(OsStr::from_bytes(&relative)))
    }

    /// A directory that was deleted and made anew hides all that the slug has of that name.
    fn count_hidden(&mut self, there: &[(CString, FileType)]) {
        let Some(directory) = self.in_slug(b"") else { return };
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if !there.iter().any(|(other, _)| other.as_bytes() == name.as_bytes()) {
                self.count_deleted(&entry.path());
            }
        }
    }

    /// Counts every file of the slug at or below a path. The slug is the server's own.
    fn count_deleted(&mut self, path: &Path) {
        let Some(tree) = self.slug_tree else { return };
        let mut ahead = vec![path.to_path_buf()];
        while let Some(path) = ahead.pop() {
            if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                let below = std::fs::read_dir(&path).into_iter().flatten().flatten();
                ahead.extend(below.map(|entry| entry.path()));
            } else if let Ok(relative) = path.strip_prefix(tree) {
                let path = shown(relative.as_os_str().as_bytes());
                self.receipt.add(Change { path, kind: ChangeKind::Deleted, bytes: 0 });
            }
        }
    }

    fn add(&mut self, name: &[u8], kind: ChangeKind, bytes: u64) {
        let path = if self.path.len() + name.len() > LONGEST {
            format!("{}…", shown(&self.path[..self.path.len().min(LONGEST)]))
        } else {
            shown(&[self.path.as_slice(), name].concat())
        };
        self.receipt.add(Change { path, kind, bytes });
    }
}

/// A name may hold a newline, and what follows it must not pass for a log line of its own.
fn shown(relative: &[u8]) -> String {
    let text = String::from_utf8_lossy(relative);
    format!("/{}", text.replace(char::is_control, "\u{fffd}"))
}

/// Whether a directory of the layer hides the slug's, as the overlay notes it with `userxattr`.
fn is_opaque(directory: &OwnedFd) -> bool {
    let mut value = [0_u8; 2];
    rustix::fs::fgetxattr(directory, c"user.overlay.opaque", &mut value)
        .is_ok_and(|length| &value[..length] == b"y")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slug with `app/a.txt` and `app/dir/{1,2}`, and an empty layer.
    fn scene() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (slug, layer) = (dir.path().join("slug"), dir.path().join("layer"));
        for path in ["slug/app/dir", "layer/app/media"] {
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        }
        for path in ["a.txt", "dir/1", "dir/2"] {
            std::fs::write(slug.join("app").join(path), "old").unwrap();
        }
        (dir, slug, layer)
    }

    fn told(receipt: &Receipt) -> Vec<(&str, ChangeKind, u64)> {
        receipt.largest.iter().map(|c| (c.path.as_str(), c.kind, c.bytes)).collect()
    }

    #[test]
    fn created_and_changed_files_are_told_apart() {
        let (_dir, slug, layer) = scene();
        std::fs::write(layer.join("app/a.txt"), "newer").unwrap();
        std::fs::write(layer.join("app/media/b.png"), "1234567").unwrap();
        std::os::unix::fs::symlink("/etc", layer.join("app/link")).unwrap();
        assert_eq!(
            told(&receipt(&layer, Some(&slug))),
            [
                ("/app/media/b.png", ChangeKind::Created, 7),
                ("/app/a.txt", ChangeKind::Changed, 5),
                ("/app/link", ChangeKind::Created, 0),
            ]
        );
    }

    #[test]
    fn files_that_an_opaque_directory_hides_count_as_deleted() {
        let (_dir, slug, layer) = scene();
        std::fs::create_dir(layer.join("app/dir")).unwrap();
        std::fs::write(layer.join("app/dir/1"), "new").unwrap();
        let directory = open_directory(CWD, &layer.join("app/dir")).unwrap();
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::fsetxattr(&directory, c"user.overlay.opaque", b"y", flags).unwrap();
        assert_eq!(
            told(&receipt(&layer, Some(&slug))),
            [("/app/dir/1", ChangeKind::Changed, 3), ("/app/dir/2", ChangeKind::Deleted, 0)]
        );
    }

    #[test]
    fn a_file_is_counted_however_deep_it_lies() {
        let (_dir, slug, layer) = scene();
        crate::discard::make_deep(&layer.join("app/media"), 6_000, "deep");
        std::fs::write(layer.join("app/z"), "12").unwrap();
        let receipt = receipt(&layer, Some(&slug));
        assert_eq!((receipt.content.files, receipt.content.bytes), (2, 6));
        let deep = &receipt.largest[0].path;
        assert!(deep.ends_with('…') && deep.len() < 4_200, "{deep}");
        crate::discard::remove_tree(&layer).unwrap();
    }

    #[test]
    fn a_directory_that_denies_itself_is_counted() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_dir, slug, layer) = scene();
        std::fs::write(layer.join("app/media/f"), "1").unwrap();
        let closed = std::fs::Permissions::from_mode(0o000);
        std::fs::set_permissions(layer.join("app/media"), closed).unwrap();
        assert_eq!(receipt(&layer, Some(&slug)).content.files, 1);
    }

    #[test]
    fn a_name_cannot_write_a_log_line() {
        let (_dir, slug, layer) = scene();
        std::fs::write(layer.join("app/a\nb\u{1b}[31m"), "1").unwrap();
        let receipt = receipt(&layer, Some(&slug));
        assert_eq!(receipt.largest[0].path, "/app/a\u{fffd}b\u{fffd}[31m");
    }

    #[test]
    fn a_layer_that_is_gone_has_an_empty_receipt() {
        assert_eq!(receipt(Path::new("/nonexistent"), None), Receipt::default());
    }
}
