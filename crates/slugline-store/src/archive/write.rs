//! Writes tar archives as GNU tar does, with nothing in them but what they are given: no clock, no
//! user, no order of a directory.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

use crate::object::FIXED_TIME;

/// Blocks of an archive (bytes).
const BLOCK: usize = 512;

/// The longest name that a header holds (bytes).
const SHORT_NAME: usize = 100;

/// Whose entries are, and from when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// The name of both; empty where a number says all.
    pub(crate) name: &'static str,
    /// Seconds since 1970.
    pub(crate) time: u64,
}

impl Owner {
    pub(crate) const ROOT: Self = Self { uid: 0, gid: 0, name: "root", time: FIXED_TIME as u64 };
}

/// An archive in the making.
#[derive(Debug)]
pub(crate) struct TarWriter<W: Write> {
    out: W,
    buffer: Box<[u8]>,
}

/// What lies at a path, and its permissions.
#[derive(Debug, Clone, Copy)]
struct Kind<'a> {
    entry: EntryType,
    mode: u32,
    size: u64,
    link: &'a [u8],
}

impl<W: Write> TarWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, buffer: vec![0; 1 << 16].into_boxed_slice() }
    }

    pub(crate) fn directory(&mut self, path: &[u8], mode: u32, owner: Owner) -> io::Result<()> {
        let path = if path.ends_with(b"/") { path.to_vec() } else { [path, b"/"].concat() };
        self.header(&path, Kind { entry: EntryType::Directory, mode, size: 0, link: b"" }, owner)
    }

    pub(crate) fn symlink(&mut self, path: &[u8], target: &[u8], owner: Owner) -> io::Result<()> {
        let kind = Kind { entry: EntryType::Symlink, mode: 0o777, size: 0, link: target };
        self.header(path, kind, owner)
    }

    pub(crate) fn hard_link(
        &mut self,
        path: &[u8],
        existing: &[u8],
        mode: u32,
        owner: Owner,
    ) -> io::Result<()> {
        self.header(path, Kind { entry: EntryType::Link, mode, size: 0, link: existing }, owner)
    }

    /// Writes a file of exactly so many bytes; less or more is an error, and so is one of the
    /// content.
    pub(crate) fn file(
        &mut self,
        path: &[u8],
        (mode, size): (u32, u64),
        owner: Owner,
        content: &mut dyn Read,
    ) -> io::Result<()> {
        let kind = Kind { entry: EntryType::Regular, mode, size, link: b"" };
        self.header(path, kind, owner)?;
        self.content(size, content)
    }

    /// Ends the archive; gives back what it was written to.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn content(&mut self, size: u64, content: &mut dyn Read) -> io::Result<()> {
        let mut left = size;
        loop {
            // One byte more than is wanted, so that the content's own check of its end is made.
            let most = usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX);
            let most = self.buffer.len().min(most);
            match content.read(&mut self.buffer[..most]) {
                Ok(0) if left == 0 => break,
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    let grown = || io::Error::other("it is longer than its size");
                    left = left.checked_sub(read as u64).ok_or_else(grown)?;
                    self.out.write_all(&self.buffer[..read])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.pad(size)
    }

    fn header(&mut self, path: &[u8], kind: Kind<'_>, owner: Owner) -> io::Result<()> {
        for (kind, name) in [(EntryType::GNULongLink, kind.link), (EntryType::GNULongName, path)] {
            if name.len() > SHORT_NAME {
                let size = name.len() as u64 + 1;
                let long = Kind { entry: kind, mode: 0o644, size, link: b"" };
                self.short_header(b"././@LongLink", long, Owner { time: 0, ..Owner::ROOT })?;
                self.out.write_all(name)?;
                self.out.write_all(&[0])?;
                self.pad(size)?;
            }
        }
        self.short_header(path, kind, owner)
    }

    /// What does not fit is cut off: the entry before has it whole.
    fn short_header(&mut self, path: &[u8], kind: Kind<'_>, owner: Owner) -> io::Result<()> {
        let mut header = Header::new_gnu();
        if let Some(gnu) = header.as_gnu_mut() {
            copy(&mut gnu.name, path);
            copy(&mut gnu.linkname, kind.link);
        }
        header.set_entry_type(kind.entry);
        header.set_mode(kind.mode);
        header.set_size(kind.size);
        header.set_uid(owner.uid);
        header.set_gid(owner.gid);
        header.set_mtime(owner.time);
        header.set_username(owner.name)?;
        header.set_groupname(owner.name)?;
        header.set_cksum();
        self.out.write_all(header.as_bytes())
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let over = usize::try_from(size % BLOCK as u64).unwrap_or(0);
        self.out.write_all(&[0; BLOCK][..(BLOCK - over) % BLOCK])
    }
}

fn copy(field: &mut [u8], bytes: &[u8]) {
    let length = field.len().min(bytes.len());
    field[..length].copy_from_slice(&bytes[..length]);
}
