//! One file of a build's tree: hashed, weighed, and staged where the store does not hold it yet.

use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt;

use crate::error::{Result, StoreError, reading, writing};
use crate::layout::Layout;
use crate::object::{self, FIXED_TIME, FIXED_TIMES, ObjectKey};
use crate::packed::{PackedSizes, Scale, weigh_stream};
use crate::pyc;
use crate::series::Series;
use crate::tree::{Listed, Tree, as_path};

/// Files below this are read whole, once; larger ones are read bit by bit (bytes).
const SMALL: usize = 1 << 20;

/// What packing needs to know, the same for all files of a slug.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packing<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) layout: &'a Layout,
    /// Where new objects wait, under their keys, until the slug is known to fit.
    pub(crate) stage: &'a Path,
    pub(crate) sizes: &'a PackedSizes,
    /// What the last tree of the same series held.
    pub(crate) series: &'a Series,
}

/// A file that the store holds or that is staged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed {
    pub(crate) object: ObjectKey,
    /// Unpacked (bytes).
    pub(crate) size: u64,
    /// Packed (bytes).
    pub(crate) weight: u64,
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
        let scale = Scale::new().map_err(reading(packing.stage))?;
        Ok(Self { packing, scale, buffer: vec![0; SMALL] })
    }

    pub(crate) fn pack(&mut self, listed: &Listed) -> Result<Packed> {
        let path = listed.path.as_slice();
        let tree = self.packing.tree;
        let source = || pyc::source_of(path).and_then(|source| tree.time_and_size(&source));
        if let Some(packed) = self.packing.series.find(listed, source) {
            return Ok(packed);
        }
        let show = self.packing.tree.show(path);
        let mut file = self.packing.tree.open_file(path).map_err(reading(&show))?;
        let executable = file.metadata().map_err(reading(&show))?.mode() & 0o111 != 0;
        let read = fill(&mut file, &mut self.buffer).map_err(reading(&show))?;
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
        let known = self.packing.sizes.get(&object.hash);
        let weight = match known {
            Some(weight) => weight,
            None => self.scale.weigh(content).map_err(reading(as_path(path)))?,
        };
        let size = read as u64;
        let new = !self.packing.holds(object, size) && self.packing.stage_small(object, content)?;
        Ok(Packed { object, size, weight, weighed: known.is_none(), new })
    }

    fn pack_large(&mut self, path: &[u8], file: &fs_err::File, exec: bool) -> Result<Packed> {
        let show = self.packing.tree.show(path);
        let (hash, size) = self.hash(file).map_err(reading(&show))?;
        let object = ObjectKey { hash, executable: exec };
        let new = !self.packing.holds(object, size) && !self.packing.staged(object).exists();
        if new {
            self.stage_large(&show, file, object)?;
        }
        let known = self.packing.sizes.get(&hash);
        let weight = match known {
            Some(weight) => weight,
            None => weigh(file).map_err(reading(&show))?,
        };
        Ok(Packed { object, size, weight, weighed: known.is_none(), new })
    }

    /// Stages a large file, and hashes it again as it is staged: it may have changed since.
    fn stage_large(&mut self, show: &Path, file: &fs_err::File, object: ObjectKey) -> Result<()> {
        let staged = self.packing.staged(object);
        let partial = staged.with_extension(format!("{:?}", std::thread::current().id()));
        let copied = copy(file, &partial).map_err(writing(&partial))?;
        settle(&copied, object).map_err(writing(&partial))?;
        if self.hash(&copied).map_err(reading(&partial))?.0 != object.hash {
            return Err(StoreError::Changed { path: show.to_owned() });
        }
        fs_err::rename(&partial, &staged).map_err(writing(&staged))
    }

    fn hash(&mut self, mut file: &fs_err::File) -> io::Result<([u8; 32], u64)> {
        file.rewind()?;
        object::hash(file, &mut self.buffer)
    }
}

impl Packing<'_> {
    fn staged(&self, object: ObjectKey) -> PathBuf {
        self.stage.join(object.to_string())
    }

    fn holds(&self, object: ObjectKey, size: u64) -> bool {
        self.layout.holds(object, size)
    }

    /// Stages a content, unless the same content is staged already.
    fn stage_small(&self, object: ObjectKey, content: &[u8]) -> Result<bool> {
        let path = self.staged(object);
        let mode = object.mode().as_raw_mode();
        let mut options = fs_err::OpenOptions::new();
        match options.write(true).create_new(true).mode(mode).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(writing(&path)(error)),
            Ok(mut file) => {
                file.write_all(content).map_err(writing(&path))?;
                settle(&file, object).map_err(writing(&path))?;
                Ok(true)
            }
        }
    }
}

/// Gives a file the mode and the times that all objects have. Clears a set-uid bit with it.
pub(crate) fn settle(file: &fs_err::File, object: ObjectKey) -> io::Result<()> {
    rustix::fs::fchmod(file, object.mode())?;
    Ok(rustix::fs::futimens(file, &FIXED_TIMES)?)
}

fn weigh(mut file: &fs_err::File) -> io::Result<u64> {
    file.rewind()?;
    weigh_stream(file)
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
fn fill(file: &mut fs_err::File, buffer: &mut [u8]) -> io::Result<usize> {
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
