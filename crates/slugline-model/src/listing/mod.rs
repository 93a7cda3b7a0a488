//! What a slug holds, path by path, and what can be said of it: its tree, and how two differ.

mod diff;
mod tree;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::procfile::ProcessTypes;

pub use diff::{Change, Diff, FolderChange, ProcessTypeChange, describe, diff, folders};
pub use tree::{Node, Order, describe as describe_tree, tree};

/// A slug's paths and process types.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Process types and their commands.
    pub process_types: ProcessTypes,
    /// What lies at each path below `/app`. Paths are bytes, as the build gave them.
    pub items: BTreeMap<Vec<u8>, Item>,
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// The hash of its content.
        content: [u8; 32],
        /// Whether it may be executed.
        executable: bool,
        /// Its size (bytes).
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points: anywhere or nowhere.
        target: Vec<u8>,
    },
}

/// What lies at a path, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
}

impl Item {
    /// The bytes of a file; none of anything else.
    pub fn size(&self) -> u64 {
        if let Self::File { size, .. } = self { *size } else { 0 }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Directory => Kind::Directory,
            Self::File { .. } => Kind::File,
            Self::Symlink { .. } => Kind::Symlink,
        }
    }
}

impl Listing {
    /// What lies at a path, however it is written: `./bin/`, `bin`. The top is a directory.
    pub fn at(&self, path: &[u8]) -> Option<(Vec<u8>, Item)> {
        let path = normal(path)?;
        let item =
            if path.is_empty() { Item::Directory } else { self.items.get(&path).cloned()? };
        Some((path, item))
    }

    /// Every path below a directory, without the directory itself.
    pub fn below<'a>(&'a self, directory: &[u8]) -> impl Iterator<Item = (&'a [u8], &'a Item)> {
        let mut prefix = directory.to_vec();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        self.items
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, item)| (path.as_slice(), item))
    }
}

/// A path without `.` and doubled slashes; none for one that climbs, or that no slug can have.
fn normal(path: &[u8]) -> Option<Vec<u8>> {
    let segments: Vec<&[u8]> = path
        .split(|byte| *byte == b'/')
        .filter(|segment| !matches!(*segment, b"" | b"."))
        .collect();
    let climbs = segments.contains(&&b".."[..]) || path.contains(&0);
    (!climbs).then(|| segments.join(&b'/'))
}

/// A path as people read it.
pub fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// A listing of files: path and size. The size stands for the content too.
    pub(crate) fn listing(files: &[(&str, u64)]) -> Listing {
        let mut listing = Listing::default();
        for (path, size) in files {
            for (slash, _) in path.match_indices('/') {
                listing.items.insert(path[..slash].into(), Item::Directory);
            }
            let mut content = [0; 32];
            content[..8].copy_from_slice(&size.to_le_bytes());
            let file = Item::File { content, executable: false, size: *size };
            listing.items.insert(path.as_bytes().to_vec(), file);
        }
        listing
    }
}

#[cfg(test)]
mod tests {
    use super::samples::listing;
    use super::*;

    #[test]
    fn a_path_is_found_however_it_is_written_and_never_climbs() {
        let listing = listing(&[("bin/run", 3), ("bin2/x", 1)]);
        for path in ["bin", "./bin/", "/bin", "bin//."] {
            assert_eq!(listing.at(path.as_bytes()), Some((b"bin".to_vec(), Item::Directory)));
        }
        assert_eq!(listing.at(b"").unwrap().1, Item::Directory);
        for path in ["../bin", "bin/../bin", "nowhere", "bin\0"] {
            assert_eq!(listing.at(path.as_bytes()), None, "{path}");
        }
        let below: Vec<String> = listing.below(b"bin").map(|(path, _)| shown(path)).collect();
        assert_eq!(below, ["bin/run"], "and not what lies in bin2");
        assert_eq!(listing.below(b"").count(), 4);
    }
}
