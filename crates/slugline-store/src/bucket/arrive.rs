//! Objects that came together: unpacked, checked, and synced at once.

use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt as _;

use crate::bucket::fetch::Stretch;
use crate::bucket::index::{Entry, Thing};
use crate::error::{Result, StoreError, reading, writing};
use crate::object::{self, ObjectKey};
use crate::pack::settle;
use crate::page::Page;
use crate::staging::Staging;
use crate::{Store, parallel};

impl Store {
    /// Stores the entries of a stretch, whose bytes these are. Where one is damaged, no object of
    /// them is stored.
    pub(crate) fn arrive(&self, stretch: &Stretch, bytes: &[u8]) -> Result<()> {
        let staging = Staging::new(&self.layout)?;
        let stage = |buffer: &mut Vec<u8>, entry: &Entry| {
            let content = stretch.content(entry, bytes).ok_or_else(|| wrong(entry))?;
            match entry.thing {
                Thing::Object(object) => stage(staging.path(), object, entry, content, buffer),
                Thing::Page(_) => self.arrive_page(entry, content).map(|()| None),
            }
        };
        let mut staged: Vec<(PathBuf, ObjectKey)> = Vec::new();
        parallel::each(
            &stretch.entries,
            || Ok(vec![0; 1 << 17]),
            stage,
            |_, new| staged.extend(new),
        )?;
        if staged.is_empty() {
            return Ok(());
        }
        // A name always means the whole content, also after power loss.
        self.sync_all()?;
        for (path, object) in &staged {
            let place = self.layout.object(*object);
            fs_err::rename(path, &place).map_err(writing(&place))?;
        }
        self.note_verified(&staged.iter().map(|(_, object)| *object).collect::<Vec<_>>());
        Ok(())
    }
}

impl Entry {
    /// Whether these bytes of a pack are what the entry says.
    pub(crate) fn is_whole(&self, content: &[u8]) -> bool {
        match self.thing {
            Thing::Page(page) => Page::from_squeezed(page, content).is_some(),
            Thing::Object(object) => {
                let content: Box<dyn Read + '_> = match zstd::Decoder::with_buffer(content) {
                    Ok(unpacked) if self.squeezed => Box::new(unpacked.take(self.size + 1)),
                    _ => Box::new(content),
                };
                object::hash(content, &mut vec![0; 1 << 16])
                    .is_ok_and(|(hash, size)| hash == object.hash && size == self.size)
            }
        }
    }
}

fn wrong(entry: &Entry) -> StoreError {
    StoreError::WrongContent { name: format!("{:?}", entry.thing) }
}

/// Unpacks an object into the staging directory, never further than its size.
fn stage(
    staging: &Path,
    object: ObjectKey,
    entry: &Entry,
    content: &[u8],
    buffer: &mut [u8],
) -> Result<Option<(PathBuf, ObjectKey)>> {
    let path = staging.join(object.to_string());
    let mut options = fs_err::OpenOptions::new();
    let options = options.write(true).create_new(true).mode(object.mode().as_raw_mode());
    let mut file = options.open(&path).map_err(writing(&path))?;
    let mut reader: Box<dyn Read + '_> = if entry.squeezed {
        Box::new(zstd::Decoder::with_buffer(content).map_err(reading(&path))?)
    } else {
        Box::new(content)
    };
    let (mut hasher, mut size) = (blake3::Hasher::new(), 0);
    loop {
        // What cannot be unpacked is as wrong as what has another hash.
        let read = reader.read(buffer).map_err(|_| wrong(entry))?;
        size += read as u64;
        if size > entry.size {
            return Err(wrong(entry));
        }
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        file.write_all(&buffer[..read]).map_err(writing(&path))?;
    }
    if *hasher.finalize().as_bytes() != object.hash {
        return Err(wrong(entry));
    }
    settle(&file, object).map_err(writing(&path))?;
    Ok(Some((path, object)))
}
