//! One file of a build's tree: hashed, weighed, and staged where the store does not hold it yet.

use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::OnceLock;

use fs_err::os::unix::fs::OpenOptionsExt;

use crate::error::{Result, StoreError, reading, writing};
use crate::layout::Layout;
use crate::object::{self, FIXED_TIME, FIXED_TIMES, ObjectKey};
use crate::packed::PackedSizes;
use crate::pyc;
use crate::series::Series;
use crate::staging::Staging;
use crate::tree::{Listed, Tree, as_path};
use crate::weight::{Scale, is_sample};

/// Files below this are read whole, once; larger ones are read bit by bit (bytes).
const SMALL: usize = 1 << 20;

/// What packing needs to know, the same for all files of a slug.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packing<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) layout: &'a Layout,
    /// Where new objects wait until the slug is known to fit.
    pub(crate) staging: &'a Staging,
    pub(crate) sizes: &'a PackedSizes,
    /// Whether every small file is packed, or samples of them.
    pub(crate) weigh_all: bool,
    /// What the last tree of the same series held.
    pub(crate) series: &'a Series,
}

/// A file that the store holds or that is staged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed {
    pub(crate) object: ObjectKey,
    /// Unpacked (bytes).
    pub(crate) size: u64,
    /// Packed (bytes), of a sample.
    pub(crate) weight: Option<u64>,
    /// Whether that was not known before.
    pub(crate) weighed: bool,
    /// Whether it was staged by this call.
    pub(crate) new: bool,
}

/// Packs files one after another, with buffers that are used again.
pub(crate) struct Packer<'a> {
    packing: Packing<'a>,
    scale: Scale,
    buffer: Vec<u8>,
}

impl<'a> Packer<'a> {
    pub(crate) fn new(packing: Packing<'a>) -> Result<Self> {
        let scale = Scale::new().map_err(reading(packing.staging.path()))?;
        Ok(Self { packing, scale, buffer: vec![0; SMALL] })
    }

    pub(crate) fn pack(&mut self, listed: &Listed) -> Result<Packed> {
        let path = listed.path.as_slice();
        let tree = self.packing.tree;
        let source = || pyc::source_of(path).and_then(|source| tree.time_and_size(&source));
        if let Some(packed) = self.packing.series.find(listed, source) {
            return Ok(packed);
        }
        let (mut file, mode, size) =
            tree.open_file(path).map_err(|error| reading(tree.show(path))(error))?;
        let executable = mode & 0o111 != 0;
        let expected = usize::try_from(size).unwrap_or(SMALL).min(SMALL);
        let read = fill(&mut file, &mut self.buffer[..expected])
            .map_err(|error| reading(tree.show(path))(error))?;
        if read < SMALL {
            self.pack_small(path, read, executable)
        } else {
            self.pack_large(path, &file, executable)
        }
    }

    fn pack_small(&mut self, path: &[u8], read: usize, executable: bool) -> Result<Packed> {
        let content = &mut self.buffer[..read];
        let tree = self.packing.tree;
        pyc::settle(path, content, FIXED_TIME, |source| tree.time_and_size(source));
        let object = ObjectKey { hash: *blake3::hash(content).as_bytes(), executable };
        let size = read as u64;
        let known = self.packing.sizes.get(&object.hash);
        let weight = match known {
            None if self.packing.weigh_all || is_sample(object, size) => {
                Some(self.scale.weigh(content).map_err(|error| reading(as_path(path))(error))?)
            }
            known => known,
        };
        let new = self.packing.place_small(object, content)?;
        Ok(Packed { object, size, weight, weighed: known.is_none() && weight.is_some(), new })
    }

    fn pack_large(&mut self, path: &[u8], file: &fs_err::File, exec: bool) -> Result<Packed> {
        let show = self.packing.tree.show(path);
        let (hash, size) = self.hash(file).map_err(reading(&show))?;
        let object = ObjectKey { hash, executable: exec };
        let new = !self.packing.holds(object, size) && !self.packing.staging.has(object);
        if new {
            self.stage_large(&show, file, object)?;
        }
        let known = self.packing.sizes.get(&hash);
        let weight = match known {
            Some(weight) => weight,
            None => self.scale.weigh_file(file, size).map_err(reading(&show))?,
        };
        Ok(Packed { object, size, weight: Some(weight), weighed: known.is_none(), new })
    }

    /// Stages a large file, and hashes it again as it is staged: it may have changed since.
    fn stage_large(&mut self, show: &Path, file: &fs_err::File, object: ObjectKey) -> Result<()> {
        let staging = self.packing.staging;
        let partial = staging.path().join(format!("{object}-{:?}", std::thread::current().id()));
        let copied = copy(file, &partial).map_err(writing(&partial))?;
        settle(&copied, object).map_err(writing(&partial))?;
        if self.hash(&copied).map_err(reading(&partial))?.0 != object.hash {
            return Err(StoreError::Changed { path: show.to_owned() });
        }
        staging.take(&partial, object)
    }

    fn hash(&mut self, mut file: &fs_err::File) -> io::Result<([u8; 32], u64)> {
        file.rewind()?;
        object::hash(file, &mut self.buffer)
    }
}

impl Packing<'_> {
    fn holds(&self, object: ObjectKey, size: u64) -> bool {
        self.layout.holds(object, size)
    }

    /// Stores a content, unless it is there already. It gets its name at once: a file that has its
    /// whole size has its whole content, and one that was cut short is known by its size.
    fn place_small(&self, object: ObjectKey, content: &[u8]) -> Result<bool> {
        let place = self.layout.object(object);
        let mode = object.mode().as_raw_mode();
        let mut options = fs_err::OpenOptions::new();
        match options.write(true).create_new(true).mode(mode).open(&place) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(!self
                .holds(object, content.len() as u64)
                && self.stage_small(object, content)?),
            Err(error) => Err(writing(&place)(error)),
            Ok(file) => {
                self.staging.note_placed(object);
                write_small(file, object, content)?;
                Ok(true)
            }
        }
    }

    /// Stages a content whose place is taken by a file that is not whole: somebody writes it now,
    /// or was killed while they did.
    fn stage_small(&self, object: ObjectKey, content: &[u8]) -> Result<bool> {
        let path = self.staging.object(object);
        let mut options = fs_err::OpenOptions::new();
        let options = options.write(true).create_new(true).mode(object.mode().as_raw_mode());
        match options.open(&path) {
            // Another thread has just done so.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(writing(&path)(error)),
            Ok(file) => {
                self.staging.note(object);
                write_small(file, object, content)?;
                Ok(true)
            }
        }
    }
}

fn write_small(mut file: fs_err::File, object: ObjectKey, content: &[u8]) -> Result<()> {
    let written = file.write_all(content).and_then(|()| settle_new(&file, object));
    written.map_err(|error| writing(file.path().to_owned())(error))
}

/// Gives a file the mode and the times that all objects have. Clears a set-uid bit with it.
pub(crate) fn settle(file: &fs_err::File, object: ObjectKey) -> io::Result<()> {
    rustix::fs::fchmod(file, object.mode())?;
    Ok(rustix::fs::futimens(file, &FIXED_TIMES)?)
}

/// The same for a file that was made with the object's mode, of which the process's mask took away
/// what it takes.
fn settle_new(file: &fs_err::File, object: ObjectKey) -> io::Result<()> {
    if object.mode().as_raw_mode() & mask() != 0 {
        rustix::fs::fchmod(file, object.mode())?;
    }
    Ok(rustix::fs::futimens(file, &FIXED_TIMES)?)
}

/// The process's mask of modes, which nothing here changes.
fn mask() -> u32 {
    static MASK: OnceLock<u32> = OnceLock::new();
    *MASK.get_or_init(|| {
        let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        mask.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o777)
    })
}

/// Copies a whole file to a new one.
pub(crate) fn copy(mut from: &fs_err::File, to: &Path) -> io::Result<fs_err::File> {
    from.rewind()?;
    let mut options = fs_err::OpenOptions::new();
    let mut copy = options.read(true).write(true).create_new(true).open(to)?;
    io::copy(&mut from, &mut copy)?;
    Ok(copy)
}

/// Reads until a buffer is full or the file ends.
pub(crate) fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
