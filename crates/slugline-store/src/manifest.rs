//! A slug's manifest: every path of its tree, and its process types, as text.
//!
//! ```text
//! slugline-slug 1
//! process web gunicorn%20library.wsgi
//! d app.d
//! f 9f86d0…  1024 app.d/settings.py
//! l ../target link
//! ```
//!
//! The text is canonical: paths are in byte order, each byte that is not a visible ASCII letter is
//! written `%XX`, and a text that differs from its own rewriting is refused. So one tree has one
//! text, and the hash of the text can be the slug's identity. Times and owners are left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use slugline_model::procfile::ProcessTypes;
use slugline_model::slug::SlugId;

use crate::object::ObjectKey;

const HEADER: &str = "slugline-slug 1";

/// A slug's tree and process types.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Process types and their commands.
    pub process_types: ProcessTypes,
    /// Every path below `/app`, as the bytes that the build gave it. Each path's parent is a
    /// directory of the same manifest.
    pub entries: BTreeMap<Vec<u8>, Entry>,
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Where its content is.
        object: ObjectKey,
        /// Its size (bytes).
        size: u64,
    },
    /// A symbolic link, whose target may point anywhere or nowhere.
    Symlink {
        /// The target as the build wrote it.
        target: Vec<u8>,
    },
}

/// Why a text is not a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The first line is not that of a manifest of this version.
    #[error("the first line is not `{HEADER}`")]
    Header,
    /// A line is none that the format knows.
    #[error("line {0} cannot be read")]
    Line(usize),
    /// A path would leave the tree, or lies below something that is no directory.
    #[error("line {0}: the path does not lie in a directory of the slug")]
    Path(usize),
    /// Lines are out of order, double, or written in an unusual way.
    #[error("the text is not in its canonical form")]
    Form,
}

impl Manifest {
    /// The manifest's text, and the slug's identity, which is the text's hash.
    pub fn encode(&self) -> (SlugId, Vec<u8>) {
        let mut out = format!("{HEADER}\n");
        for (process_type, command) in &self.process_types {
            let _ = writeln!(out, "process {process_type} {}", escape(command.as_bytes()));
        }
        for (path, entry) in &self.entries {
            write_entry(&mut out, path, entry);
        }
        (identity(out.as_bytes()), out.into_bytes())
    }

    /// Reads a manifest's text.
    pub fn decode(text: &[u8]) -> Result<Self, ManifestError> {
        let text = str::from_utf8(text).map_err(|_| ManifestError::Header)?;
        let mut lines = text.lines().enumerate();
        lines.next().filter(|(_, line)| *line == HEADER).ok_or(ManifestError::Header)?;
        let mut manifest = Self::default();
        for (index, line) in lines {
            manifest.read_line(line, index + 1)?;
        }
        if manifest.encode().1 == text.as_bytes() { Ok(manifest) } else { Err(ManifestError::Form) }
    }

    /// The regular files: path, object and size (bytes).
    pub fn files(&self) -> impl Iterator<Item = (&[u8], ObjectKey, u64)> {
        self.entries.iter().filter_map(|(path, entry)| match entry {
            Entry::File { object, size } => Some((path.as_slice(), *object, *size)),
            Entry::Directory | Entry::Symlink { .. } => None,
        })
    }

    fn read_line(&mut self, line: &str, number: usize) -> Result<(), ManifestError> {
        let error = || ManifestError::Line(number);
        if let Some(rest) = line.strip_prefix("process ") {
            let (name, command) = rest.split_once(' ').ok_or_else(error)?;
            let command = unescape(command).and_then(|bytes| String::from_utf8(bytes).ok());
            let process_type = name.parse().map_err(|_| error())?;
            self.process_types.insert(process_type, command.ok_or_else(error)?);
            return Ok(());
        }
        let (path, entry) = read_entry(line).ok_or_else(error)?;
        if !self.holds_parent_of(&path) {
            return Err(ManifestError::Path(number));
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    /// Whether a path is well formed and lies in a directory that was declared before it.
    fn holds_parent_of(&self, path: &[u8]) -> bool {
        let (parent, name) = match path.iter().rposition(|b| *b == b'/') {
            Some(slash) => (Some(&path[..slash]), &path[slash + 1..]),
            None => (None, path),
        };
        let named = !matches!(name, b"" | b"." | b"..") && !name.contains(&0);
        named && parent.is_none_or(|parent| self.entries.get(parent) == Some(&Entry::Directory))
    }
}

/// The identity of the slug whose manifest this is.
pub(crate) fn identity(text: &[u8]) -> SlugId {
    let hex = blake3::hash(text).to_hex();
    hex.parse().expect("a BLAKE3 hash prints as 64 hexadecimal digits")
}

fn write_entry(out: &mut String, path: &[u8], entry: &Entry) {
    let path = escape(path);
    let _ = match entry {
        Entry::Directory => writeln!(out, "d {path}"),
        Entry::File { object, size } => writeln!(out, "f {object} {size} {path}"),
        Entry::Symlink { target } => writeln!(out, "l {} {path}", escape(target)),
    };
}

fn read_entry(line: &str) -> Option<(Vec<u8>, Entry)> {
    let fields: Vec<&str> = line.split(' ').collect();
    match fields.as_slice() {
        ["d", path] => Some((unescape(path)?, Entry::Directory)),
        ["f", object, size, path] => {
            let object = ObjectKey::parse(object)?;
            Some((unescape(path)?, Entry::File { object, size: size.parse().ok()? }))
        }
        ["l", target, path] => {
            Some((unescape(path)?, Entry::Symlink { target: unescape(target)? }))
        }
        _ => None,
    }
}

fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_graphic() && *byte != b'%' {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    fn name() -> impl Strategy<Value = Vec<u8>> {
        vec(any::<u8>().prop_filter("a name", |b| *b != b'/' && *b != 0), 1..8)
            .prop_filter("not a dot", |name| name != b"." && name != b"..")
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let file = (any::<[u8; 32]>(), any::<bool>(), any::<u64>()).prop_map(
            |(hash, executable, size)| Entry::File { object: ObjectKey { hash, executable }, size },
        );
        let link = vec(1..=255u8, 1..20).prop_map(|target| Entry::Symlink { target });
        prop_oneof![Just(Entry::Directory), file, link]
    }

    /// A directory, and entries beside it and in it.
    fn manifest() -> impl Strategy<Value = Manifest> {
        let level = || btree_map(name(), entry(), 0..6);
        (level(), level(), name(), ".*").prop_map(|(mut entries, below, parent, command)| {
            for (name, entry) in below {
                entries.insert([&parent, &b"/"[..], &name].concat(), entry);
            }
            entries.insert(parent, Entry::Directory);
            Manifest { process_types: [("web".parse().unwrap(), command)].into(), entries }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(manifest in manifest()) {
            let (id, text) = manifest.encode();
            prop_assert_eq!(&id, &identity(&text));
            prop_assert_eq!(Manifest::decode(&text), Ok(manifest));
        }

        #[test]
        fn junk_is_an_error_and_never_a_panic(junk in vec(any::<u8>(), 0..200), line in "[dfl] .*") {
            let _ = Manifest::decode(&junk);
            let text = format!("{HEADER}\n{line}\n");
            if let Ok(manifest) = Manifest::decode(text.as_bytes()) {
                prop_assert_eq!(manifest.encode().1, text.into_bytes());
            }
        }
    }

    #[test]
    fn no_path_leaves_the_tree() {
        let decode = |lines: &str| Manifest::decode(format!("{HEADER}\n{lines}").as_bytes());
        assert!(decode("d a\nd a/b\nl .. a/c\n").is_ok());
        for bad in ["d ..\n", "d /etc\n", "d a/../b\n", "l /etc a\nd a/b\n", "d a/\n", "d a%00\n"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
        assert_eq!(decode("d b\nd a\n"), Err(ManifestError::Form));
        assert_eq!(decode("d %61\n"), Err(ManifestError::Form));
        assert_eq!(decode("d a"), Err(ManifestError::Form));
    }
}
