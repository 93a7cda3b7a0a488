//! Reading a layer: what the dyno created, changed and deleted.

use std::ffi::{CStr, CString, OsStr};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use slugline_model::ledger::{Change, ChangeKind, Classifier, Found, HEAD, Receipt};

use crate::discard::entries;
use crate::walk::{Tree, open_below, walk};

/// The longest path that a receipt spells out (bytes): no call could take a longer one either.
const LONGEST: usize = 4_095;

/// How much of the listed files is read for their hashes (bytes): a stop does not wait for more.
const HASHED: u64 = 64 << 20;

/// The receipt of a layer over a slug's tree; `scratch` are the app's own, see [`Classifier`]. What
/// cannot be read is left out; a layer that is gone has an empty receipt.
pub(crate) fn receipt(
    layer: &Path,
    slug_tree: Option<&Path>,
    scratch: &[String],
    tree: Tree,
) -> Receipt {
    let Ok(root) = tree.open_root(layer) else { return Receipt::default() };
    let receipt = Receipt::default();
    let (classifier, path) = (Classifier::new(scratch), Vec::new());
    let mut scan = Scan { tree, slug_tree, slug_directory: None, classifier, path, receipt };
    // What failed half-way is told as far as it went.
    let _ = walk(root, tree, &mut |directory, path| {
        scan.path.clear();
        scan.path.extend_from_slice(path);
        scan.directory(directory)
    });
    let mut receipt = scan.receipt.finish();
    if tree == Tree::Left {
        hash(layer, &mut receipt.largest);
    }
    receipt
}

/// Reads the listed files, as many as there is time for. Names that were replaced are not found.
fn hash(layer: &Path, changes: &mut [Change]) {
    let Ok(root) = Tree::Left.open_root(layer) else { return };
    let mut left = HASHED;
    for change in changes.iter_mut().filter(|change| change.kind != ChangeKind::Deleted) {
        if change.bytes > left {
            continue;
        }
        left -= change.bytes;
        let path = Path::new(change.path.trim_start_matches('/'));
        change.hash = open_below(&root, path, OFlags::RDONLY).ok().and_then(hash_of);
    }
}

fn hash_of(file: OwnedFd) -> Option<String> {
    let stat = rustix::fs::fstat(&file).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(std::fs::File::from(file)).ok()?;
    Some(hasher.finalize().to_hex().to_string())
}

/// So many files are looked at before any is judged.
const TOGETHER: usize = 4_096;

/// From so many on it is worth another thread.
const MANY: usize = 512;

/// Looks at each file, at half of them on another processor where they are many and somebody waits.
fn look(directory: &OwnedFd, names: &[(CString, FileType)], tree: Tree) -> Vec<Option<Stat>> {
    let all = |names: &[(CString, FileType)]| -> Vec<Option<Stat>> {
        let files = names.iter().map(|(name, kind)| (*kind != FileType::Directory).then_some(name));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        files.map(|name| rustix::fs::statat(directory, name?, flags).ok()).collect()
    };
    if tree == Tree::Left || names.len() < MANY {
        return all(names);
    }
    let (ours, others) = names.split_at(names.len() / 2);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, || all(others));
        let mut found = all(ours);
        let theirs = thread.ok().and_then(|thread| thread.join().ok());
        found.extend(theirs.unwrap_or_else(|| all(others)));
        found
    })
}

struct Scan<'a> {
    tree: Tree,
    slug_tree: Option<&'a Path>,
    /// What the slug has at the place of the directory at hand, if it has one there.
    slug_directory: Option<OwnedFd>,
    classifier: Classifier<'a>,
    /// Of the directory at hand, within the layer: `app/media/`.
    path: Vec<u8>,
    receipt: Receipt,
}

impl Scan<'_> {
    /// Counts what is in a directory, and gives the directories in it.
    fn directory(&mut self, directory: &OwnedFd) -> Vec<CString> {
        let found = entries(directory).unwrap_or_default();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let in_slug = self.in_slug(b"");
        self.slug_directory =
            in_slug.and_then(|path| rustix::fs::open(path, flags, Mode::empty()).ok());
        if is_opaque(directory) {
            self.count_hidden(&found);
        }
        let mut directories = Vec::new();
        for names in found.chunks(TOGETHER) {
            for ((name, kind), stat) in names.iter().zip(look(directory, names, self.tree)) {
                if *kind == FileType::Directory {
                    directories.push(name.clone());
                } else if let Some(stat) = stat {
                    self.file(directory, name, &stat);
                }
            }
        }
        directories
    }

    fn file(&mut self, directory: &OwnedFd, name: &CStr, stat: &Stat) {
        let kind = FileType::from_raw_mode(stat.st_mode);
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let slug = self.slug_directory.as_ref();
        let below = slug.and_then(|slug| rustix::fs::statat(slug, name, flags).ok());
        // The overlay marks what was deleted by a character device 0:0 of its name.
        if kind == FileType::CharacterDevice && stat.st_rdev == 0 {
            let is_directory =
                |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            return match (self.in_slug(name.to_bytes()), below) {
                (Some(path), Some(below)) if is_directory(&below) => self.count_deleted(&path),
                _ => self.add(self.shown(name.to_bytes()), ChangeKind::Deleted, None),
            };
        }
        let change = if below.is_some() { ChangeKind::Changed } else { ChangeKind::Created };
        self.add(self.shown(name.to_bytes()), change, Some((directory, name, stat)));
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
                self.add(path, ChangeKind::Deleted, None);
            }
        }
    }

    /// The path of a name in the directory at hand.
    fn shown(&self, name: &[u8]) -> String {
        if self.path.len() + name.len() > LONGEST {
            format!("{}…", shown(&self.path[..self.path.len().min(LONGEST)]))
        } else {
            shown(&[self.path.as_slice(), name].concat())
        }
    }

    /// Counts a change, of a file if there is one.
    fn add(&mut self, path: String, kind: ChangeKind, file: Option<(&OwnedFd, &CStr, &Stat)>) {
        let (mut bytes, mut time, mut head) = (0, 0, Vec::new());
        if let Some((directory, name, stat)) = file {
            time =
                stat.st_mtime * 1_000_000 + i64::try_from(stat.st_mtime_nsec / 1_000).unwrap_or(0);
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
                bytes = u64::try_from(stat.st_size).unwrap_or(0);
                if self.classifier.is_worth_opening(&path, bytes) {
                    head = beginning(directory, name);
                }
            }
        }
        let found = Found { path: &path, kind, bytes, head: &head };
        let class = self.classifier.classify(&found);
        self.receipt.add(Change { path, kind, bytes, class, time, hash: None, by: None });
    }
}

/// How a file begins; nothing if it cannot be read, or is none by now.
fn beginning(directory: &OwnedFd, name: &CStr) -> Vec<u8> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut head = Vec::new();
    if let Ok(file) = rustix::fs::openat(directory, name, flags, Mode::empty())
        && rustix::fs::fstat(&file)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
    {
        let _ = std::fs::File::from(file).take(HEAD as u64).read_to_end(&mut head);
    }
    head
}

/// A name may hold a newline, and what follows it must not pass for a log line of its own.
fn shown(relative: &[u8]) -> String {
    let mut path = String::with_capacity(relative.len() + 1);
    path.push('/');
    path.push_str(&String::from_utf8_lossy(relative));
    if path.contains(char::is_control) { path.replace(char::is_control, "\u{fffd}") } else { path }
}

/// Whether a directory of the layer hides the slug's, as the overlay notes it with `userxattr`.
fn is_opaque(directory: &OwnedFd) -> bool {
    let mut value = [0_u8; 2];
    rustix::fs::fgetxattr(directory, c"user.overlay.opaque", &mut value)
        .is_ok_and(|length| &value[..length] == b"y")
}

#[cfg(test)]
mod tests {
    use rustix::fs::CWD;

    use super::*;
    use crate::discard::open_directory;

    fn receipt(layer: &Path, slug_tree: Option<&Path>) -> Receipt {
        super::receipt(layer, slug_tree, &[], Tree::Left)
    }

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
    fn many_files_of_a_live_dyno_are_each_counted_once() {
        let (_dir, slug, layer) = scene();
        let count = TOGETHER + MANY + 1;
        for number in 0..count {
            std::fs::write(layer.join(format!("app/media/{number}.png")), "12").unwrap();
        }
        let live = super::receipt(&layer, Some(&slug), &[], Tree::Live);
        assert_eq!(live.content.files, u64::try_from(count).unwrap());
        let left = super::receipt(&layer, Some(&slug), &[], Tree::Left);
        assert_eq!((live.content, live.groups), (left.content, left.groups));
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
