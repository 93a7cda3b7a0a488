//! The files of a site: found without leaving its root, and known by their content.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use slugline_model::static_site::Kind;

/// A site's files.
#[derive(Debug)]
pub(crate) struct Files {
    /// Without symbolic links in it.
    root: PathBuf,
    /// Entity tags of files that were served.
    tags: Mutex<HashMap<FileKey, String>>,
}

/// Inode, size and time of a file: none of them stays when its content does not.
type FileKey = (u64, u64, i64, i64);

/// A file that can be served.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) length: u64,
    pub(crate) modified: SystemTime,
    /// Of the content, in quotes. Not of time and size: a slug keeps no times, and two releases may
    /// have files of one size.
    pub(crate) tag: String,
}

impl Files {
    /// The files below a directory.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let root = fs_err::canonicalize(root)?;
        if !root.is_dir() {
            return Err(io::Error::other(format!("{} is no directory", root.display())));
        }
        Ok(Self { root, tags: Mutex::default() })
    }

    /// What is served.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What lies at a path below the root; nothing, where a symbolic link leads out of it.
    pub(crate) fn kind(&self, path: &str) -> Option<Kind> {
        let found = self.real_path(path)?.metadata().ok()?;
        if found.is_file() { Some(Kind::File) } else { found.is_dir().then_some(Kind::Directory) }
    }

    /// A file, ready to be served.
    pub(crate) fn find(&self, path: &str) -> io::Result<Found> {
        let path = self.real_path(path).ok_or(io::ErrorKind::NotFound)?;
        let metadata = fs_err::metadata(&path)?;
        let key = (metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec());
        let known = self.tags.lock().ok().and_then(|tags| tags.get(&key).cloned());
        let tag = known.map_or_else(|| self.hash(&path, key), Ok)?;
        Ok(Found { path, length: metadata.len(), modified: metadata.modified()?, tag })
    }

    /// The tag of a file, which is remembered.
    fn hash(&self, path: &Path, key: FileKey) -> io::Result<String> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(fs_err::File::open(path)?)?;
        let tag = format!("\"{}\"", &hasher.finalize().to_hex()[..32]);
        if let Ok(mut tags) = self.tags.lock() {
            tags.insert(key, tag.clone());
        }
        Ok(tag)
    }

    fn real_path(&self, path: &str) -> Option<PathBuf> {
        let real = self.root.join(path).canonicalize().ok()?;
        real.starts_with(&self.root).then_some(real)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_followed_within_the_site_and_not_out_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().join("site");
        fs_err::create_dir_all(site.join("a")).unwrap();
        fs_err::write(dir.path().join("secret"), "s").unwrap();
        fs_err::write(site.join("a/x"), "x").unwrap();
        for (target, name) in [("../secret", "out"), ("/etc", "etc"), ("a/x", "in")] {
            fs_err::os::unix::fs::symlink(target, site.join(name)).unwrap();
        }
        let files = Files::open(&site).unwrap();
        assert_eq!(files.kind("in"), Some(Kind::File));
        assert_eq!(files.kind("a"), Some(Kind::Directory));
        for path in ["out", "etc", "etc/passwd", "../secret", "none"] {
            assert_eq!(files.kind(path), None, "{path}");
        }
    }

    #[test]
    fn a_tag_is_of_the_content() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        let tag = |text: &str| {
            fs_err::write(dir.path().join("x"), text).unwrap();
            fs_err::File::open(dir.path().join("x"))
                .and_then(|file| file.file().set_modified(SystemTime::UNIX_EPOCH))
                .unwrap();
            files.tags.lock().unwrap().clear();
            files.find("x").unwrap().tag
        };
        let one = tag("one");
        assert_ne!(one, tag("two"));
        assert_eq!(one, tag("one"));
    }
}
