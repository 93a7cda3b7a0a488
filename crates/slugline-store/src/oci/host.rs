//! A tree of this machine as a layer: what dynos run on, or a root file system of the operator's.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use slugline_model::sandbox::{HOST_ETC, USR_NAMES, root_directories};
use slugline_model::size;

use super::cache::LayerWriter;
use super::error::ImageError;
use super::start;
use crate::archive::write::Owner;
use crate::tree::as_path;

/// Permission bits that mean something in a dyno: it gains no privileges by a file's.
const PERMISSIONS: u32 = 0o1777;

/// What others must have on a file, and on a directory, for dynos to see what is in it.
const SEEN_FILE: u32 = 0o004;
const SEEN_DIRECTORY: u32 = 0o005;

/// What a root file system has that is not its own.
const NOT_OURS: [&[u8]; 4] = [b"app", b"dev", b"proc", b"sys"];

/// A tree, as it was when it was listed.
#[derive(Debug)]
pub(crate) struct HostTree {
    root: PathBuf,
    /// Whether it is the host's own stack.
    is_host: bool,
    /// By path from the root, parents first.
    entries: Vec<Listed>,
    bytes: u64,
}

#[derive(Debug)]
struct Listed {
    path: Vec<u8>,
    kind: Kind,
    mode: u32,
    uid: u32,
    gid: u32,
    /// Seconds and nanoseconds since 1970.
    time: (i64, i64),
}

#[derive(Debug)]
enum Kind {
    Directory,
    File {
        size: u64,
    },
    /// Another name of the entry with this path.
    HardLink {
        first: Vec<u8>,
    },
    Symlink {
        target: Vec<u8>,
    },
}

impl HostTree {
    /// The host's own stack: `/usr`, what belongs to it of `/etc`, and the links to it. Files that
    /// dynos cannot read are left out: an image may go anywhere.
    pub(crate) fn host() -> Result<Self, ImageError> {
        let mut listing = Listing::new(PathBuf::from("/"), true);
        for (path, mode) in root_directories().filter(|(path, _)| *path != "app") {
            listing.directory(path, mode);
        }
        listing.walk(b"usr")?;
        let etc = HOST_ETC.iter().map(|name| format!("etc/{name}"));
        for path in USR_NAMES.iter().map(|name| (*name).to_owned()).chain(etc) {
            if Path::new("/").join(&path).symlink_metadata().is_ok() {
                listing.walk(path.as_bytes())?;
            }
        }
        Ok(listing.finish())
    }

    /// A root file system in a directory.
    pub(crate) fn root(root: &Path) -> Result<Self, ImageError> {
        let mut listing = Listing::new(root.to_path_buf(), false);
        listing.walk(b"")?;
        Ok(listing.finish())
    }

    /// What its layer is cached by: everything but the files' content, which the kernel tells of
    /// by their times.
    pub(crate) fn key(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"slugline tree 1\0").update(&[u8::from(self.is_host)]);
        hasher.update(self.root.as_os_str().as_bytes());
        for entry in &self.entries {
            hasher.update(format!("{entry:?}\n").as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    pub(crate) fn pack(&self, tar: &mut LayerWriter<'_>) -> Result<(), ImageError> {
        for entry in &self.entries {
            let path = self.root.join(as_path(&entry.path));
            let error = |source| ImageError::Pack { what: path.display().to_string(), source };
            entry.pack(&path, tar).map_err(error)?;
        }
        if self.is_host { start::pack_users(tar) } else { Ok(()) }
    }
}

impl Listed {
    fn pack(&self, path: &Path, tar: &mut LayerWriter<'_>) -> io::Result<()> {
        let time = u64::try_from(self.time.0).unwrap_or(0);
        let (uid, gid) = (u64::from(self.uid), u64::from(self.gid));
        let owner = Owner { uid, gid, name: "", time };
        match &self.kind {
            Kind::Directory => tar.directory(&self.path, self.mode, owner),
            Kind::Symlink { target } => tar.symlink(&self.path, target, owner),
            Kind::HardLink { first } => tar.hard_link(&self.path, first, self.mode, owner),
            Kind::File { size } => {
                let mut file = std::fs::File::open(path)?;
                tar.file(&self.path, (self.mode, *size), owner, &mut file)
            }
        }
    }
}

impl fmt::Display for HostTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.entries.iter().filter(|entry| matches!(entry.kind, Kind::File { .. }));
        let (files, bytes) = (size::files(files.count() as u64), size::human(self.bytes));
        write!(f, "{}, {files}, {bytes} unpacked", self.root.display())
    }
}

struct Listing {
    tree: HostTree,
    /// The inodes of files with several names, by each of the names.
    inodes: HashMap<Vec<u8>, (u64, u64)>,
}

impl Listing {
    fn new(root: PathBuf, is_host: bool) -> Self {
        let tree = HostTree { root, is_host, entries: Vec::new(), bytes: 0 };
        Self { tree, inodes: HashMap::new() }
    }

    fn finish(mut self) -> HostTree {
        let entries = &mut self.tree.entries;
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        // A directory that is made anyway may be one of the host's too.
        entries.dedup_by(|later, earlier| later.path == earlier.path);
        self.link_names();
        self.tree
    }

    /// Of a file with several names the first in order holds the content: whoever unpacks a layer
    /// must have met it before the others.
    fn link_names(&mut self) {
        let mut first: HashMap<(u64, u64), Vec<u8>> = HashMap::new();
        for entry in &mut self.tree.entries {
            let Kind::File { size } = entry.kind else { continue };
            let Some(inode) = self.inodes.get(&entry.path) else { continue };
            match first.entry(*inode) {
                Entry::Occupied(first) => {
                    self.tree.bytes -= size;
                    entry.kind = Kind::HardLink { first: first.get().clone() };
                }
                Entry::Vacant(place) => {
                    place.insert(entry.path.clone());
                }
            }
        }
    }

    /// One of ours, which the host need not have.
    fn directory(&mut self, path: &str, mode: u32) {
        let time = (i64::from(crate::FIXED_TIME), 0);
        let (path, kind) = (path.as_bytes().to_vec(), Kind::Directory);
        self.tree.entries.push(Listed { path, kind, mode, uid: 0, gid: 0, time });
    }

    fn walk(&mut self, start: &[u8]) -> Result<(), ImageError> {
        let mut ahead = vec![start.to_vec()];
        while let Some(path) = ahead.pop() {
            let place = self.tree.root.join(as_path(&path));
            let error = |source| ImageError::Read { path: place.clone(), source };
            let metadata = place.symlink_metadata().map_err(error)?;
            if metadata.is_dir() && self.is_seen(&metadata, SEEN_DIRECTORY) {
                for entry in std::fs::read_dir(&place).map_err(error)? {
                    let name = entry.map_err(error)?.file_name().into_vec();
                    let below = [&path[..], b"/", &name].concat();
                    let below = below.strip_prefix(b"/").unwrap_or(&below).to_vec();
                    if self.tree.is_host || !NOT_OURS.contains(&below.as_slice()) {
                        ahead.push(below);
                    }
                }
            }
            if !path.is_empty() {
                self.entry(path, &place, &metadata).map_err(error)?;
            }
        }
        Ok(())
    }

    fn is_seen(&self, metadata: &Metadata, bits: u32) -> bool {
        !self.tree.is_host || metadata.mode() & bits == bits
    }

    fn entry(&mut self, path: Vec<u8>, place: &Path, metadata: &Metadata) -> io::Result<()> {
        let kind = if metadata.is_dir() {
            Kind::Directory
        } else if metadata.is_symlink() {
            Kind::Symlink { target: std::fs::read_link(place)?.into_os_string().into_vec() }
        } else if metadata.is_file() && self.is_seen(metadata, SEEN_FILE) {
            self.file(&path, metadata)
        } else {
            // Sockets, pipes and devices are no part of a stack.
            return Ok(());
        };
        let mode = metadata.mode() & PERMISSIONS;
        let (uid, gid) = (metadata.uid(), metadata.gid());
        let time = (metadata.mtime(), metadata.mtime_nsec());
        self.tree.entries.push(Listed { path, kind, mode, uid, gid, time });
        Ok(())
    }

    fn file(&mut self, path: &[u8], metadata: &Metadata) -> Kind {
        let size = metadata.len();
        self.tree.bytes += size;
        if metadata.nlink() > 1 {
            self.inodes.insert(path.to_vec(), (metadata.dev(), metadata.ino()));
        }
        Kind::File { size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_file_never_comes_before_the_one_with_the_content() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["m", "z", "a"] {
            for number in 0..30 {
                let path = directory.path().join(format!("{name}{number}"));
                let first = directory.path().join(format!("m{number}"));
                let made = if name == "m" {
                    std::fs::write(&path, "x")
                } else {
                    std::fs::hard_link(first, &path)
                };
                made.unwrap();
            }
        }
        let tree = HostTree::root(directory.path()).unwrap();
        let (mut whole, mut links) = (std::collections::HashSet::new(), 0);
        for entry in &tree.entries {
            match &entry.kind {
                Kind::File { .. } => drop(whole.insert(entry.path.clone())),
                Kind::HardLink { first } => {
                    assert!(whole.contains(first), "{:?} names {first:?}", entry.path);
                    links += 1;
                }
                _ => panic!("{entry:?}"),
            }
        }
        assert_eq!((whole.len(), links, tree.bytes), (30, 60, 30));
        assert_eq!(tree.key(), HostTree::root(directory.path()).unwrap().key());
    }
}
