//! A slug put together from streams: what comes out of an archive, or from another store.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use fs_err::os::unix::fs::OpenOptionsExt;
use slugline_model::limits::Limits;
use slugline_model::slug::SlugSummary;

use crate::Store;
use crate::commit::Draft;
use crate::error::{Result, StoreError, reading, writing};
use crate::ingest::IngestRequest;
use crate::lock::Lock;
use crate::manifest::{Entry, is_name, split};
use crate::object::ObjectKey;
use crate::pack::{Packed, settle};
use crate::staging::Staging;
use crate::tree::as_path;
use crate::weight::{Scale, is_sample};

/// Names longer than this are none to the kernel (bytes).
const LONGEST_NAME: usize = 255;
/// Paths longer than this are none to the kernel, with `/app/` before them (bytes).
const LONGEST_PATH: usize = 4_090;

/// A slug that is put together. Nothing of it is visible before [`Assembly::finish`]; what is
/// dropped leaves nothing.
#[derive(Debug)]
pub struct Assembly<'a> {
    store: &'a Store,
    staging: Staging,
    draft: Draft,
    /// What the samples weigh when packed (bytes), of objects that are in the draft or were.
    weights: HashMap<ObjectKey, u64>,
    limits: Limits,
    /// Unpacked (bytes), of what came in.
    taken: u64,
    staged: usize,
    buffer: Vec<u8>,
    scale: Scale,
    _lock: Lock,
}

impl Store {
    /// Begins to put a slug together. The request's series plays no part.
    pub fn assemble(&self, request: &IngestRequest) -> Result<Assembly<'_>> {
        let lock = self.lock_shared()?;
        Ok(Assembly {
            store: self,
            staging: Staging::new(&self.layout)?,
            draft: Draft::new(request.process_types.clone()),
            weights: HashMap::new(),
            limits: request.limits.clone(),
            taken: 0,
            staged: 0,
            buffer: vec![0; 1 << 16],
            scale: Scale::new().map_err(reading(self.layout.root()))?,
            _lock: lock,
        })
    }
}

impl Assembly<'_> {
    /// Makes a directory, and those above it. One that is there already stays.
    pub fn directory(&mut self, path: &[u8]) -> Result<()> {
        check(path)?;
        let ends = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            self.one_directory(&path[..end])?;
        }
        Ok(())
    }

    /// Takes in a regular file's content to its end.
    pub fn file(&mut self, path: &[u8], executable: bool, content: &mut dyn Read) -> Result<()> {
        self.make_room(path)?;
        let (packed, staged) = self.stage(path, executable, content)?;
        if packed.new {
            self.staging.take(&staged, packed.object)?;
        } else {
            fs_err::remove_file(&staged).map_err(writing(&staged))?;
        }
        self.put(path, packed);
        Ok(())
    }

    /// Puts a file at a path whose content the store holds already.
    pub fn known_file(&mut self, path: &[u8], object: ObjectKey, size: u64) -> Result<()> {
        self.make_room(path)?;
        self.count(size)?;
        let known = self.store.packed_sizes()?.get(&object.hash);
        let weight = match known {
            None if is_sample(object, size) => Some(self.store.weigh_sample(object, size)?),
            known => known,
        };
        let weighed = known.is_none() && weight.is_some();
        self.put(path, Packed { object, size, weight, weighed, new: false });
        Ok(())
    }

    /// Makes a symbolic link. Its target may point anywhere: nothing here follows it.
    pub fn symlink(&mut self, path: &[u8], target: &[u8]) -> Result<()> {
        if target.is_empty() || target.contains(&0) || target.len() > LONGEST_PATH {
            return Err(bad(path, "it is a link to what is no path"));
        }
        self.make_room(path)?;
        let link = Entry::Symlink { target: target.to_vec() };
        self.draft.manifest.entries.insert(path.to_vec(), link);
        Ok(())
    }

    /// Gives a file of the slug another name.
    pub fn hard_link(&mut self, path: &[u8], existing: &[u8]) -> Result<()> {
        match self.draft.manifest.entries.get(existing) {
            Some(Entry::File { object, size }) => {
                let (object, size) = (*object, *size);
                self.make_room(path)?;
                self.count(size)?;
                let weight = self.weights.get(&object).copied();
                self.put(path, Packed { object, size, weight, weighed: false, new: false });
                Ok(())
            }
            Some(Entry::Symlink { target }) => {
                let target = target.clone();
                self.symlink(path, &target)
            }
            _ => Err(bad(path, "it is a hard link to a file that did not come before it")),
        }
    }

    /// Takes a path away, with what is below it. Nothing there is fine.
    pub fn remove(&mut self, path: &[u8]) {
        self.clear(path);
        self.take(path);
    }

    /// Takes away what is below a path; all there is, below the empty one.
    pub fn clear(&mut self, path: &[u8]) {
        let below = if path.is_empty() { Vec::new() } else { [path, b"/"].concat() };
        let entries = self.draft.manifest.entries.range(below.clone()..);
        let gone = entries.map(|(path, _)| path).take_while(|path| path.starts_with(&below));
        for path in gone.cloned().collect::<Vec<_>>() {
            self.take(&path);
        }
    }

    /// Puts a directory or a link at a path, as another slug has it.
    pub(crate) fn put_entry(&mut self, path: Vec<u8>, entry: Entry) {
        self.draft.manifest.entries.insert(path, entry);
    }

    /// Puts a file at a path where there is nothing yet, as another slug has it.
    pub(crate) fn put_known(&mut self, path: &[u8], packed: Packed) -> Result<()> {
        self.count_entry()?;
        self.count(packed.size)?;
        self.put(path, packed);
        Ok(())
    }

    /// Takes away what is no directory and lies where one is to be.
    pub(crate) fn make_way(&mut self, path: &[u8]) {
        if !matches!(self.draft.manifest.entries.get(path), None | Some(Entry::Directory)) {
            self.remove(path);
        }
    }

    /// Stores the slug. When it returns, the slug survives power loss.
    pub fn finish(mut self) -> Result<SlugSummary> {
        self.draft.forget_unused();
        self.store.judge(&mut self.draft, &self.limits, &self.staging)?;
        let Self { store, staging, draft, .. } = self;
        let id = store.commit(&draft, &staging)?;
        Ok(draft.summary(id))
    }

    fn put(&mut self, path: &[u8], packed: Packed) {
        self.weights.extend(packed.weight.map(|weight| (packed.object, weight)));
        self.draft.file(path.to_vec(), packed);
    }

    fn take(&mut self, path: &[u8]) {
        let weights = &self.weights;
        self.draft.take(path, |object| weights.get(&object).copied());
    }

    fn one_directory(&mut self, path: &[u8]) -> Result<()> {
        match self.draft.manifest.entries.get(path) {
            Some(Entry::Directory) => Ok(()),
            Some(_) => Err(bad(path, "there is a file or a link where it needs a directory")),
            None => {
                self.count_entry()?;
                self.draft.manifest.entries.insert(path.to_vec(), Entry::Directory);
                Ok(())
            }
        }
    }

    /// Makes sure that an entry that is no directory can be put at a path.
    fn make_room(&mut self, path: &[u8]) -> Result<()> {
        check(path)?;
        if let (Some(parent), _) = split(path) {
            self.directory(parent)?;
        }
        self.remove(path);
        self.count_entry()
    }

    fn count_entry(&self) -> Result<()> {
        let limit = usize::try_from(self.limits.source_entries).unwrap_or(usize::MAX);
        if self.draft.manifest.entries.len() < limit {
            Ok(())
        } else {
            Err(StoreError::TooMany { limit })
        }
    }

    fn count(&mut self, bytes: u64) -> Result<()> {
        self.taken = self.taken.saturating_add(bytes);
        let limit = self.limits.build_disk;
        if self.taken > limit { Err(StoreError::TooMuch { limit }) } else { Ok(()) }
    }

    /// Writes a content to a file of the staging directory, and looks whether it is new.
    fn stage(
        &mut self,
        path: &[u8],
        executable: bool,
        content: &mut dyn Read,
    ) -> Result<(Packed, PathBuf)> {
        self.staged += 1;
        let staged = self.staging.path().join(format!("incoming-{}", self.staged));
        let mut options = fs_err::OpenOptions::new();
        let options = options.read(true).write(true).create_new(true).mode(0o644);
        let mut file = options.open(&staged).map_err(writing(&staged))?;
        let (hash, size) = self.copy(path, content, &mut file)?;
        let object = ObjectKey { hash, executable };
        settle(&file, object).map_err(writing(&staged))?;
        let known = self.store.packed_sizes()?.get(&hash);
        let weight = match known {
            None if is_sample(object, size) => {
                Some(self.scale.weigh_any(&mut file, size).map_err(reading(&staged))?)
            }
            known => known,
        };
        let new = !self.store.layout.holds(object, size) && !self.staging.has(object);
        let weighed = known.is_none() && weight.is_some();
        Ok((Packed { object, size, weight, weighed, new }, staged))
    }

    fn copy(
        &mut self,
        path: &[u8],
        content: &mut dyn Read,
        file: &mut fs_err::File,
    ) -> Result<([u8; 32], u64)> {
        let (mut hasher, mut size) = (blake3::Hasher::new(), 0);
        loop {
            let read = match content.read(&mut self.buffer) {
                Ok(0) => return Ok((*hasher.finalize().as_bytes(), size)),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(reading(as_path(path))(error)),
            };
            self.count(read as u64)?;
            size += read as u64;
            hasher.update(&self.buffer[..read]);
            file.write_all(&self.buffer[..read]).map_err(|error| {
                let path = file.path().to_owned();
                writing(path)(error)
            })?;
        }
    }
}

fn bad(path: &[u8], problem: &'static str) -> StoreError {
    StoreError::BadPath { path: as_path(path), problem }
}

/// Whether a path stays in the slug, and the kernel can name it.
fn check(path: &[u8]) -> Result<()> {
    if path.len() > LONGEST_PATH {
        return Err(bad(path, "the path is too long"));
    }
    for segment in path.split(|b| *b == b'/') {
        if !is_name(segment) {
            return Err(bad(path, "the path leaves the slug, or has an empty part"));
        }
        if segment.len() > LONGEST_NAME {
            return Err(bad(path, "a name in it is longer than 255 bytes"));
        }
    }
    Ok(())
}
