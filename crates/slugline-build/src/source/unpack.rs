//! Unpacks a source tarball that anyone may have made.

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use slugline_model::limits::Limits;
use tar::{Archive, Entry, EntryType};

use super::extended::{Extended, take};
use super::place::{self, Unplaceable};
use crate::files;

/// What an archive may cost beside its files' bytes: a header and padding for each entry.
const BYTES_PER_ENTRY: u64 = 1536;

/// Why a source could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The tarball cannot be opened.
    #[error("open the source {}", path.display())]
    Open {
        /// The tarball.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is not a gzip tar, or it is cut off.
    #[error("read the source's entry {number}")]
    Read {
        /// Counts from 1.
        number: u64,
        /// What the reader says.
        #[source]
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("the source is empty")]
    Empty,
    /// An entry starts with `/`.
    #[error("the source's entry {0} is absolute")]
    Absolute(String),
    /// An entry has `..` in it.
    #[error("the source's entry {0} leads out of the app")]
    Upwards(String),
    /// An entry lies below something that is not a directory.
    #[error("the source's entry {0} lies below a link or a file")]
    BelowLink(String),
    /// An entry's path is longer or deeper than any app needs.
    #[error("the source's entry {0} lies too deep, or its name is too long")]
    TooDeep(String),
    /// A device, a pipe or a socket.
    #[error("the source's entry {name} is a {kind}")]
    Kind {
        /// The entry.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// A symbolic link to what no path can be.
    #[error("the source's entry {0} links to nothing that has a name")]
    Symlink(String),
    /// A hard link to something that is not in the source.
    #[error("the source's entry {name} links to {target}")]
    HardLink {
        /// The entry.
        name: String,
        /// What it should be the same file as.
        target: String,
    },
    /// More entries than allowed.
    #[error("the source has more than {limit} entries")]
    TooManyEntries {
        /// How many are allowed.
        limit: u64,
    },
    /// More bytes than allowed.
    #[error("the source is larger than {limit} bytes unpacked")]
    TooLarge {
        /// How many are allowed.
        limit: u64,
    },
    /// An entry cannot be written.
    #[error("unpack {name}")]
    Write {
        /// The entry.
        name: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Unpacks a `.tgz` below a directory. Where all entries are below one directory, as in the
/// tarballs that code hosts offer, that directory is left out; not so where entries are named from
/// `./` on, as whoever packs a directory that holds but one other names them.
pub(crate) fn unpack(tarball: &Path, root: &Path, limits: &Limits) -> Result<(), UnpackError> {
    let file = fs_err::File::open(tarball)
        .map_err(|source| UnpackError::Open { path: tarball.to_owned(), source })?;
    fs_err::create_dir_all(root).map_err(write_error(Path::new(".")))?;
    // Also bounds what the reader keeps in memory for one long name.
    let most = limits.source.saturating_add(limits.source_entries.saturating_mul(BYTES_PER_ENTRY));
    let mut unpacking =
        Unpacking { root, limits, entries: 0, found: 0, bytes: 0, from_here: false };
    let mut archive = Archive::new(MultiGzDecoder::new(io::BufReader::new(file)).take(most));
    let entries = archive.entries().map_err(|source| UnpackError::Read { number: 1, source })?;
    let mut extended = Extended::default();
    for entry in entries.raw(true) {
        let number = unpacking.entries + 1;
        let read_error = |source| UnpackError::Read { number, source };
        let mut entry = entry.map_err(read_error)?;
        let kind = entry.header().entry_type();
        unpacking.count_entry()?;
        if !take(&mut extended, kind, &mut entry).map_err(read_error)? {
            unpacking.entry(&mut entry, std::mem::take(&mut extended))?;
        }
    }
    if unpacking.found == 0 {
        return Err(UnpackError::Empty);
    }
    if unpacking.from_here {
        return Ok(());
    }
    strip_only_directory(root).map_err(write_error(Path::new(".")))
}

struct Unpacking<'a> {
    root: &'a Path,
    limits: &'a Limits,
    /// All of them, those too that only tell of the next.
    entries: u64,
    /// Those that are files, directories or links.
    found: u64,
    bytes: u64,
    /// Whether an entry is named from `./` on.
    from_here: bool,
}

impl Unpacking<'_> {
    fn entry(
        &mut self,
        entry: &mut Entry<'_, impl Read>,
        extended: Extended,
    ) -> Result<(), UnpackError> {
        let path = extended.path.unwrap_or_else(|| entry.path_bytes().into_owned());
        let link = extended.link.or_else(|| entry.link_name_bytes().map(Into::into));
        let link = entry_path(&link.unwrap_or_default());
        let name = entry_path(&path);
        self.found += 1;
        self.count(extended.size.unwrap_or(0).max(entry.size()))?;
        if extended.size.is_some_and(|size| size != entry.size()) {
            let source = io::Error::other("an entry's size is told twice, and not the same");
            return Err(UnpackError::Read { number: self.entries, source });
        }
        self.from_here |= path.starts_with(b"./");
        let Some(place) = self.place(&name)? else { return Ok(()) };
        match kind(entry, &path, extended.is_sparse) {
            EntryType::Directory => make_directory(&place).map_err(write_error(&name)),
            EntryType::Symlink if is_no_target(&link) => Err(UnpackError::Symlink(display(&name))),
            EntryType::Symlink => write_symlink(&link, &place).map_err(write_error(&name)),
            EntryType::Link => self.hard_link(&link, &name, &place),
            EntryType::Regular | EntryType::Continuous => {
                write_file(entry, &place).map_err(write_error(&name))
            }
            other => Err(UnpackError::Kind { name: display(&name), kind: kind_name(other) }),
        }
    }

    fn count_entry(&mut self) -> Result<(), UnpackError> {
        self.entries += 1;
        if self.entries > self.limits.source_entries {
            return Err(UnpackError::TooManyEntries { limit: self.limits.source_entries });
        }
        Ok(())
    }

    fn count(&mut self, size: u64) -> Result<(), UnpackError> {
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.limits.source {
            return Err(UnpackError::TooLarge { limit: self.limits.source });
        }
        Ok(())
    }

    /// The path of an entry below the root, its parents made; `None` for the root itself.
    fn place(&self, name: &Path) -> Result<Option<PathBuf>, UnpackError> {
        let names = place::names(name).map_err(|why| match why {
            Unplaceable::Absolute => UnpackError::Absolute(display(name)),
            Unplaceable::Upwards | Unplaceable::Malformed => UnpackError::Upwards(display(name)),
            Unplaceable::TooDeep => UnpackError::TooDeep(display(name)),
        })?;
        if names.is_empty() {
            return Ok(None);
        }
        let path = place::make_parents(self.root, &names).map_err(write_error(name))?;
        path.map(Some).ok_or_else(|| UnpackError::BelowLink(display(name)))
    }

    /// Copies the file, as whoever packs a slug does: so its bytes count again.
    fn hard_link(&mut self, target: &Path, name: &Path, path: &Path) -> Result<(), UnpackError> {
        let outside = || UnpackError::HardLink { name: display(name), target: display(target) };
        let original = self.place(target).ok().flatten().ok_or_else(outside)?;
        let found = original.symlink_metadata().ok().filter(std::fs::Metadata::is_file);
        let size = found.ok_or_else(outside)?.len();
        if original.starts_with(path) {
            return Err(outside());
        }
        self.count(size)?;
        files::remove(path).map_err(write_error(name))?;
        fs_err::copy(&original, path).map_err(write_error(name))?;
        Ok(())
    }
}

/// What an entry is. The oldest archives tell a directory by its name alone.
fn kind(entry: &Entry<'_, impl Read>, path: &[u8], is_sparse: bool) -> EntryType {
    match entry.header().entry_type() {
        EntryType::Regular if is_sparse => EntryType::GNUSparse,
        EntryType::Regular if path.ends_with(b"/") => EntryType::Directory,
        kind => kind,
    }
}

fn is_no_target(link: &Path) -> bool {
    let bytes = link.as_os_str().as_encoded_bytes();
    bytes.is_empty() || bytes.len() > place::LONGEST_PATH || bytes.contains(&0)
}

fn write_file(entry: &mut Entry<'_, impl Read>, path: &Path) -> io::Result<()> {
    use fs_err::os::unix::fs::OpenOptionsExt as _;
    files::remove(path)?;
    let mode = if entry.header().mode()? & 0o111 == 0 { 0o644 } else { 0o755 };
    let mut file = fs_err::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    let size = entry.size();
    if io::copy(entry, &mut file)? < size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

fn make_directory(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        _ => {
            files::remove(path)?;
            fs_err::create_dir(path)
        }
    }
}

fn write_symlink(target: &Path, path: &Path) -> io::Result<()> {
    files::remove(path)?;
    fs_err::os::unix::fs::symlink(target, path)
}

/// Moves the children of the root's only directory up, if there is nothing beside it.
fn strip_only_directory(root: &Path) -> io::Result<()> {
    let top: Vec<_> = fs_err::read_dir(root)?.collect::<Result<_, _>>()?;
    let [only] = top.as_slice() else { return Ok(()) };
    if !only.file_type()?.is_dir() {
        return Ok(());
    }
    // Under another name first: a child may be called as its parent.
    let aside = root.join(".slugline-top-level-directory");
    fs_err::rename(only.path(), &aside)?;
    for child in fs_err::read_dir(&aside)? {
        let child = child?;
        fs_err::rename(child.path(), root.join(child.file_name()))?;
    }
    fs_err::remove_dir(&aside)
}

fn entry_path(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

/// On one line, and cut where it is longer than anybody reads.
fn display(name: &Path) -> String {
    const LONGEST: usize = 200;
    let text = name.to_string_lossy();
    let end = text.floor_char_boundary(LONGEST);
    let more = if end < text.len() { "…" } else { "" };
    format!("{}{more}", text[..end].escape_debug())
}

fn write_error(name: &Path) -> impl Fn(io::Error) -> UnpackError {
    let name = display(name);
    move |source| UnpackError::Write { name: name.clone(), source }
}

fn kind_name(kind: EntryType) -> &'static str {
    match kind {
        EntryType::Char => "character device",
        EntryType::Block => "block device",
        EntryType::Fifo => "named pipe",
        EntryType::GNUSparse => "sparse file",
        _ => "kind of file that no app consists of",
    }
}

#[cfg(test)]
#[path = "unpack_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "unpack_attacks.rs"]
mod attacks;
