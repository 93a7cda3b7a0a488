//! A slug's manifest: every path of its tree, and its process types, as text in pages.
//!
//! A page holds the entries of a run of paths, in order:
//!
//! ```text
//! d app.d
//! f 9f86d0…  1024 app.d/settings.py
//! l ../target link
//! ```
//!
//! The head names the pages, and its hash is the slug's identity:
//!
//! ```text
//! slugline-slug 2
//! process web gunicorn%20library.wsgi
//! page 5feceb…
//! ```
//!
//! Where a page ends depends on the last path in it and on nothing else, so that two slugs that
//! differ in few files share most of their pages.
//!
//! The text is canonical: paths are in byte order, each byte that is not a visible ASCII letter is
//! written `%XX`, and a text that differs from its own rewriting is refused. So one tree has one
//! text, and a hash can be its identity. Times and owners are left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use slugline_model::procfile::ProcessTypes;
use slugline_model::slug::SlugId;

use crate::object::ObjectKey;
use crate::page::{Page, PageId, ends_page};

const HEADER: &str = "slugline-slug 2";

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

/// A head as read: which pages there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Process types and their commands.
    pub process_types: ProcessTypes,
    /// The pages, in order.
    pub pages: Vec<PageId>,
}

/// A manifest as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The slug's identity: the head's hash.
    pub id: SlugId,
    /// The head's text.
    pub head: Vec<u8>,
    /// The pages, in order.
    pub pages: Vec<Page>,
}

impl Head {
    /// Reads a head's text.
    pub fn decode(text: &[u8]) -> Result<Self, ManifestError> {
        let text = str::from_utf8(text).map_err(|_| ManifestError::Header)?;
        let mut lines = text.lines().enumerate();
        lines.next().filter(|(_, line)| *line == HEADER).ok_or(ManifestError::Header)?;
        let mut head = Self::default();
        for (index, line) in lines {
            head.read_line(line).ok_or(ManifestError::Line(index + 1))?;
        }
        if head.encode() == text.as_bytes() { Ok(head) } else { Err(ManifestError::Form) }
    }

    fn read_line(&mut self, line: &str) -> Option<()> {
        if let Some(page) = line.strip_prefix("page ") {
            self.pages.push(PageId::parse(page)?);
            return Some(());
        }
        let (name, command) = line.strip_prefix("process ")?.split_once(' ')?;
        let command = String::from_utf8(unescape(command)?).ok()?;
        self.process_types.insert(name.parse().ok()?, command);
        Some(())
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = format!("{HEADER}\n");
        for (process_type, command) in &self.process_types {
            let mut escaped = Vec::new();
            escape(&mut escaped, command.as_bytes());
            let escaped = String::from_utf8_lossy(&escaped);
            let _ = writeln!(out, "process {process_type} {escaped}");
        }
        for page in &self.pages {
            let _ = writeln!(out, "page {page}");
        }
        out.into_bytes()
    }
}

impl Manifest {
    /// The manifest's head and pages, and the slug's identity.
    pub fn encode(&self) -> Encoded {
        let pages = self.pages();
        let process_types = self.process_types.clone();
        let head = Head { process_types, pages: pages.iter().map(|page| page.id).collect() };
        let head = head.encode();
        Encoded { id: identity(&head), head, pages }
    }

    fn pages(&self) -> Vec<Page> {
        let (mut pages, mut text, mut entries) = (Vec::new(), Vec::new(), 0);
        for (path, entry) in &self.entries {
            write_entry(&mut text, path, entry);
            entries += 1;
            if ends_page(path, entries, text.len()) {
                pages.push(Page::new(std::mem::take(&mut text)));
                entries = 0;
            }
        }
        if entries > 0 {
            pages.push(Page::new(text));
        }
        pages
    }

    /// Reads a manifest: a head's text and the text of each of its pages, as [`Head::decode`] names
    /// them. That each text is what its hash says is the caller's to check.
    pub fn decode(head: &[u8], pages: &[Vec<u8>]) -> Result<Self, ManifestError> {
        let Head { process_types, .. } = Head::decode(head)?;
        let mut manifest = Self { process_types, ..Self::default() };
        let mut number = 0;
        for page in pages {
            let text = str::from_utf8(page).map_err(|_| ManifestError::Line(number + 1))?;
            for line in text.lines() {
                number += 1;
                manifest.read_line(line, number)?;
            }
        }
        if manifest.encode().head == head { Ok(manifest) } else { Err(ManifestError::Form) }
    }

    /// The regular files: path, object and size (bytes).
    pub fn files(&self) -> impl Iterator<Item = (&[u8], ObjectKey, u64)> {
        self.entries.iter().filter_map(|(path, entry)| match entry {
            Entry::File { object, size } => Some((path.as_slice(), *object, *size)),
            Entry::Directory | Entry::Symlink { .. } => None,
        })
    }

    fn read_line(&mut self, line: &str, number: usize) -> Result<(), ManifestError> {
        let (path, entry) = read_entry(line).ok_or(ManifestError::Line(number))?;
        if !self.holds_parent_of(&path) {
            return Err(ManifestError::Path(number));
        }
        self.entries.insert(path, entry);
        Ok(())
    }

    /// Whether a path is well formed and lies in a directory that was declared before it.
    fn holds_parent_of(&self, path: &[u8]) -> bool {
        let (parent, name) = split(path);
        is_name(name)
            && parent.is_none_or(|parent| self.entries.get(parent) == Some(&Entry::Directory))
    }
}

/// A path's parent, if it has one, and its last segment.
pub(crate) fn split(path: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (Some(&path[..slash]), &path[slash + 1..]),
        None => (None, path),
    }
}

/// Whether a segment of a path can be a file's name.
pub(crate) fn is_name(segment: &[u8]) -> bool {
    !matches!(segment, b"" | b"." | b"..") && !segment.contains(&0)
}

/// The identity of the slug whose manifest this is.
pub(crate) fn identity(text: &[u8]) -> SlugId {
    let hex = blake3::hash(text).to_hex();
    hex.parse().expect("a BLAKE3 hash prints as 64 hexadecimal digits")
}

fn write_entry(out: &mut Vec<u8>, path: &[u8], entry: &Entry) {
    match entry {
        Entry::Directory => out.extend_from_slice(b"d "),
        Entry::File { object, size } => {
            out.extend_from_slice(b"f ");
            write_hex(out, &object.hash);
            out.extend_from_slice(if object.executable { b"x " } else { b" " });
            let _ = write!(out, "{size} ");
        }
        Entry::Symlink { target } => {
            out.extend_from_slice(b"l ");
            escape(out, target);
            out.push(b' ');
        }
    }
    escape(out, path);
    out.push(b'\n');
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

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

pub(crate) fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let digits = |byte: &u8| [LOWER[usize::from(byte >> 4)], LOWER[usize::from(byte & 15)]];
    out.extend(bytes.iter().flat_map(digits));
}

fn escape(out: &mut Vec<u8>, bytes: &[u8]) {
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'%';
    if bytes.iter().all(plain) {
        return out.extend_from_slice(bytes);
    }
    for byte in bytes {
        if plain(byte) {
            out.push(*byte);
        } else {
            out.extend([b'%', UPPER[usize::from(byte >> 4)], UPPER[usize::from(byte & 15)]]);
        }
    }
}

pub(crate) fn unescape(text: &str) -> Option<Vec<u8>> {
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

    /// As the store would read it back.
    fn decoded(encoded: &Encoded) -> Result<Manifest, ManifestError> {
        let texts: Vec<Vec<u8>> = encoded.pages.iter().map(|page| page.text.clone()).collect();
        Manifest::decode(&encoded.head, &texts)
    }

    /// A manifest of these lines, with a head that fits them as they stand.
    fn of_lines(lines: &str) -> Result<Manifest, ManifestError> {
        let page = Page::new(lines.as_bytes().to_vec());
        let head = Head { pages: vec![page.id], ..Head::default() }.encode();
        Manifest::decode(&head, &[page.text])
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(manifest in manifest()) {
            let encoded = manifest.encode();
            prop_assert_eq!(&encoded.id, &identity(&encoded.head));
            prop_assert_eq!(decoded(&encoded), Ok(manifest));
        }

        #[test]
        fn junk_is_an_error_and_never_a_panic(junk in vec(any::<u8>(), 0..200), line in "[dfl] .*") {
            let _ = Head::decode(&junk);
            let _ = Manifest::decode(format!("{HEADER}\n").as_bytes(), &[junk]);
            let _ = of_lines(&format!("{line}\n"));
        }
    }

    #[test]
    fn a_change_of_one_file_leaves_the_other_pages_as_they_were() {
        let file = |hash| Entry::File { object: ObjectKey { hash, executable: false }, size: 1 };
        let path = |n: u32| format!("f{n:05}").into_bytes();
        let entries = (0..20_000).map(|n| (path(n), file([7; 32]))).collect();
        let mut manifest = Manifest { entries, ..Manifest::default() };
        let before = manifest.encode();
        manifest.entries.insert(path(10_000), file([8; 32]));
        manifest.entries.insert(b"f10000a".to_vec(), file([9; 32]));
        let after = manifest.encode();
        let new = after.pages.iter().filter(|page| !before.pages.contains(page)).count();
        assert!(before.pages.len() > 10 && (1..=2).contains(&new), "{new}");
        assert_eq!(decoded(&after), Ok(manifest));
    }

    #[test]
    fn no_path_leaves_the_tree() {
        assert!(of_lines("d a\nd a/b\nl .. a/c\n").is_ok());
        for bad in ["d ..\n", "d /etc\n", "d a/../b\n", "l /etc a\nd a/b\n", "d a/\n", "d a%00\n"] {
            assert!(of_lines(bad).is_err(), "{bad}");
        }
        assert_eq!(of_lines("d b\nd a\n"), Err(ManifestError::Form));
        assert_eq!(of_lines("d %61\n"), Err(ManifestError::Form));
        assert_eq!(of_lines("d a"), Err(ManifestError::Form));
    }
}
