//! Reads tar archives that anyone may have made: bounded in bytes, entries, and the length of names,
//! and an error where they are cut off.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use super::bounded::{Bounded, over_bound};
use super::extended::{Extended, take};

/// How much an archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Entries, those too that only tell of the next one.
    pub entries: u64,
    /// Unpacked, headers included (bytes).
    pub bytes: u64,
}

/// Why an archive cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is no archive, is damaged, or its content could not be fetched.
    #[error("read the archive's entry {number}")]
    Read {
        /// Counts from 1.
        number: u64,
        /// What the reader says.
        source: io::Error,
    },
    /// It ends before its end.
    #[error("read the archive's entry {number}: the archive is cut off")]
    CutOff {
        /// Counts from 1.
        number: u64,
    },
    /// It ends within a file.
    #[error("read the archive's entry {name}: the archive is cut off")]
    CutOffIn {
        /// The file.
        name: String,
    },
    /// A file's content cannot be read.
    #[error("read the archive's entry {name}")]
    Content {
        /// The file.
        name: String,
        /// What the reader says.
        source: io::Error,
    },
    /// It has more entries than allowed.
    #[error("read the archive: it has more than {limit} entries")]
    TooMany {
        /// So many are allowed.
        limit: u64,
    },
    /// It is larger, unpacked, than allowed.
    #[error("read the archive: it is larger than {limit} bytes unpacked")]
    TooLarge {
        /// So many are allowed (bytes).
        limit: u64,
    },
    /// An entry says two things that cannot both be.
    #[error("read the archive's entry {name}: {why}")]
    Contradiction {
        /// The entry.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// Another name of a file that came before.
    HardLink,
    /// A file of which only parts are in the archive.
    Sparse,
    /// A device, a pipe, a socket, or what nobody knows.
    Other,
}

/// An entry.
pub struct Item<'a> {
    /// Its path as the archive has it, without slashes at the end.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// What it links to; empty for what is no link.
    pub link: Vec<u8>,
    /// Whether anybody may execute it.
    pub executable: bool,
    /// Of a file (bytes).
    pub size: u64,
    /// Where its content begins in the archive, unpacked (bytes).
    pub offset: u64,
    /// A file's content. It ends with an error where the archive is cut off.
    pub content: &'a mut dyn Read,
}

impl std::fmt::Debug for Item<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Item").field("path", &display(&self.path)).finish_non_exhaustive()
    }
}

/// Reads an archive to its end, packed or plain, entry by entry. What lies behind the end is read
/// too, so that whoever hashes the input has seen all of it.
pub fn each<E: From<ArchiveError>>(
    input: impl Read,
    bounds: Bounds,
    visit: impl FnMut(Item<'_>) -> Result<(), E>,
) -> Result<(), E> {
    each_unpacked(unpacked(input).map_err(|error| reading(1, error))?, bounds, visit)
}

/// What packs an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    None,
    Gzip,
    Zstd,
}

impl Packing {
    /// By the first bytes.
    pub(crate) fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// The input unpacked, where it is packed by gzip or zstd. Nothing here bounds how much comes out.
pub(crate) fn unpacked<'a>(mut input: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut start = Vec::new();
    (&mut input).take(4).read_to_end(&mut start)?;
    let packing = Packing::of(&start);
    let input = BufReader::with_capacity(1 << 16, io::Cursor::new(start).chain(input));
    Ok(match packing {
        Packing::None => Box::new(input),
        Packing::Gzip => Box::new(MultiGzDecoder::new(input)),
        Packing::Zstd => Box::new(zstd::Decoder::with_buffer(input)?),
    })
}

/// The same as [`each`], of what is unpacked already.
pub(crate) fn each_unpacked<E: From<ArchiveError>>(
    input: impl Read,
    bounds: Bounds,
    mut visit: impl FnMut(Item<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let input = Bounded::new(input, bounds.bytes);
    let ended = input.has_ended();
    let mut archive = Archive::new(input);
    let mut number = 0;
    // Whoever comes to the end where more should be, has read what was cut off.
    let failed = |number, error| match reading(number, error) {
        ArchiveError::Read { number, .. } if ended.get() => ArchiveError::CutOff { number },
        other => other,
    };
    let mut extended = Extended::default();
    let entries = archive.entries().map_err(|error| failed(1, error))?;
    for entry in entries.raw(true) {
        number += 1;
        if number > bounds.entries {
            return Err(ArchiveError::TooMany { limit: bounds.entries }.into());
        }
        let mut entry = entry.map_err(|error| failed(number, error))?;
        let kind = entry.header().entry_type();
        if !take(&mut extended, kind, &mut entry).map_err(|error| failed(number, error))? {
            one(&mut entry, std::mem::take(&mut extended), &mut visit)?;
        }
    }
    finish(archive.into_inner(), number).map_err(E::from)
}

/// An archive has an end of its own; one that has none was cut off between two entries.
fn finish(mut input: Bounded<impl Read>, number: u64) -> Result<(), ArchiveError> {
    if input.has_ended().get() {
        return Err(ArchiveError::CutOff { number: number + 1 });
    }
    io::copy(&mut input, &mut io::sink()).map_err(|error| reading(number + 1, error))?;
    Ok(())
}

fn one<E: From<ArchiveError>>(
    entry: &mut Entry<'_, impl Read>,
    extended: Extended,
    visit: &mut impl FnMut(Item<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut path = extended.path.unwrap_or_else(|| entry.path_bytes().into_owned());
    let link = extended.link.or_else(|| entry.link_name_bytes().map(Into::into));
    let size = entry.size();
    let contradiction = |path: &[u8], why| ArchiveError::Contradiction { name: display(path), why };
    if extended.size.is_some_and(|told| told != size) {
        return Err(contradiction(&path, "its size is told twice, and not the same").into());
    }
    let kind = kind(entry.header().entry_type(), &path, extended.is_sparse);
    let mode = entry.header().mode();
    let mode = mode.map_err(|_| contradiction(&path, "its permissions are no number"))?;
    while path.ends_with(b"/") {
        path.pop();
    }
    let offset = entry.raw_file_position();
    let mut content = Content { inner: entry, left: if kind == Kind::File { size } else { 0 } };
    let link = if matches!(kind, Kind::Symlink | Kind::HardLink) { link } else { None };
    visit(Item {
        path,
        kind,
        link: link.unwrap_or_default(),
        executable: mode & 0o111 != 0,
        size: content.left,
        offset,
        content: &mut content,
    })
}

/// The oldest archives tell a directory by its name alone.
fn kind(kind: EntryType, path: &[u8], is_sparse: bool) -> Kind {
    match kind {
        EntryType::Regular | EntryType::Continuous if is_sparse => Kind::Sparse,
        EntryType::Regular if path.ends_with(b"/") => Kind::Directory,
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Directory => Kind::Directory,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Link => Kind::HardLink,
        EntryType::GNUSparse => Kind::Sparse,
        _ => Kind::Other,
    }
}

/// A file's content, which must be as long as its header says.
struct Content<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 || buffer.is_empty() {
            return Ok(0);
        }
        match self.inner.read(buffer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.left = self.left.saturating_sub(read as u64);
                Ok(read)
            }
        }
    }
}

/// What an error of a reader means, by where it was met.
pub(crate) fn reading(number: u64, source: io::Error) -> ArchiveError {
    if let Some(limit) = over_bound(&source) {
        return ArchiveError::TooLarge { limit };
    }
    match source.kind() {
        io::ErrorKind::UnexpectedEof => ArchiveError::CutOff { number },
        _ => ArchiveError::Read { number, source },
    }
}

/// The same, where the entry's path is known.
pub(crate) fn reading_entry(path: &[u8], source: io::Error) -> ArchiveError {
    match reading(0, source) {
        ArchiveError::CutOff { .. } => ArchiveError::CutOffIn { name: display(path) },
        ArchiveError::Read { source, .. } => ArchiveError::Content { name: display(path), source },
        other => other,
    }
}

/// A path on one line, and cut where it is longer than anybody reads.
pub(crate) fn display(path: &[u8]) -> String {
    const LONGEST: usize = 200;
    let text = String::from_utf8_lossy(path);
    let end = text.floor_char_boundary(LONGEST);
    let more = if end < text.len() { "…" } else { "" };
    format!("{}{more}", text[..end].escape_debug())
}
