//! Large objects: in parts, beside each other, and only those that are not there yet.

use std::io::{Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use slugline_model::slug::SlugId;

use crate::Store;
use crate::bucket::fetch::SPAN;
use crate::bucket::index::{Entry, Index, Thing};
use crate::bucket::packing::{Need, NewIndex, pack_name};
use crate::bucket::trouble::Trouble;
use crate::bucket::upload::put_index;
use crate::bucket::{Home, crew, write_small};
use crate::error::{Result, StoreError, reading, writing};
use crate::object::{self, ObjectKey};
use crate::tree::as_path;

/// How large a part is that is sent (bytes). All but the last are equal, as some servers want it.
pub(crate) const PART: u64 = 8 << 20;

/// How far an upload came.
#[derive(Debug, Serialize, Deserialize)]
struct Upload {
    pack: String,
    /// By what the bucket knows it.
    id: String,
    /// By what the bucket knows the parts that it has.
    parts: Vec<Option<String>>,
}

impl Store {
    /// Sends an object that has a pack of its own.
    pub(crate) fn send_large(&self, home: &Home, id: &SlugId, need: &Need<'_>) -> Result<NewIndex> {
        let Thing::Object(object) = need.thing else { unreachable!("pages are small") };
        self.check_large(object, id, need.path)?;
        let state = home.cache.upload(object);
        let name = match self.send_parts(home, object, need.size, &state) {
            // The bucket has forgotten what was begun.
            Err(StoreError::Bucket(error)) if error.trouble == Trouble::Missing => {
                let _ = fs_err::remove_file(&state);
                self.send_parts(home, object, need.size, &state)?
            }
            other => other?,
        };
        let entry = Entry {
            thing: need.thing,
            squeezed: false,
            offset: 0,
            length: need.size,
            size: need.size,
        };
        let index = Index { pack: name, size: need.size, entries: vec![entry] };
        let index = NewIndex::new(&index).map_err(reading(&state))?;
        home.bucket.wait(put_index(&home.bucket.client, &index))?;
        home.cache.note_index(&index.name, &index.bytes)?;
        let _ = fs_err::remove_file(&state);
        Ok(index)
    }

    /// No damage goes to the bucket.
    fn check_large(&self, object: ObjectKey, id: &SlugId, path: &[u8]) -> Result<()> {
        let file = self.open_object(object)?;
        let (hash, _) =
            object::hash(file, &mut vec![0; 1 << 17]).map_err(reading(as_path(path)))?;
        let whole = hash == object.hash;
        let error = || StoreError::DamagedObject { object, path: as_path(path), id: id.clone() };
        if whole { Ok(()) } else { Err(error()) }
    }

    /// Sends the parts that the bucket lacks, and makes a pack of all. Gives its name.
    fn send_parts(
        &self,
        home: &Home,
        object: ObjectKey,
        size: u64,
        state: &Path,
    ) -> Result<String> {
        let client = &home.bucket.client;
        let mut upload = if let Some(begun) = load(state, size) {
            begun
        } else {
            let pack = pack_name(blake3::Hash::from_bytes(object.hash));
            let id = home.bucket.wait(client.start(&format!("packs/{pack}")))?;
            Upload { pack, id, parts: vec![None; count(size, PART)] }
        };
        save(state, &upload)?;
        let name = format!("packs/{}", upload.pack);
        let lacking: Vec<usize> =
            (0..upload.parts.len()).filter(|part| upload.parts[*part].is_none()).collect();
        let (place, started) = (self.layout.object(object), upload.id.clone());
        let jobs = lacking.into_iter().map(|part| {
            let content = read_part(&place, part, size).map_err(reading(&place))?;
            let (client, name, id) = (Arc::clone(client), name.clone(), started.clone());
            Ok(async move { Ok((part, client.put_part(&name, &id, part, content).await?)) })
        });
        crew::each(home.bucket.runtime(), jobs, |(part, tag): (usize, String)| {
            upload.parts[part] = Some(tag);
            save(state, &upload)
        })?;
        let parts = upload.parts.iter().flatten().cloned().collect();
        home.bucket.wait(client.finish(&name, &upload.id, parts))?;
        Ok(upload.pack)
    }

    /// Gets an object that has a pack of its own, part by part; parts that came stay when it fails.
    pub(crate) fn fetch_large(
        &self,
        home: &Home,
        object: ObjectKey,
        pack: &str,
        entry: &Entry,
    ) -> Result<()> {
        let directory = home.cache.parts_of(object);
        fs_err::create_dir_all(&directory).map_err(writing(&directory))?;
        let parts: Vec<PathBuf> =
            (0..count(entry.size, SPAN)).map(|part| directory.join(part.to_string())).collect();
        let lacking = (0..parts.len()).filter(|part| !parts[*part].exists());
        let jobs = lacking.map(|part| {
            let (client, name) = (Arc::clone(&home.bucket.client), format!("packs/{pack}"));
            let (start, end) = bounds(part, entry.size, SPAN);
            let range = entry.offset + start..entry.offset + end;
            Ok(async move { Ok((part, client.get_range(&name, range).await?)) })
        });
        crew::each(home.bucket.runtime(), jobs, |(part, bytes): (usize, Bytes)| {
            write_small(&parts[part], &bytes)
        })?;
        let outcome = self.put_object(object, &mut Chain { rest: parts.into_iter(), open: None });
        // Whether they made the object or one of them was damaged, they have served.
        fs_err::remove_dir_all(&directory).map_err(writing(&directory))?;
        outcome
    }
}

fn count(size: u64, part: u64) -> usize {
    usize::try_from(size.div_ceil(part)).expect("an object has fewer parts than memory has bytes")
}

/// Where a part starts and ends in its object (bytes).
fn bounds(number: usize, size: u64, part: u64) -> (u64, u64) {
    let start = number as u64 * part;
    (start, size.min(start + part))
}

fn read_part(object: &Path, part: usize, size: u64) -> std::io::Result<Bytes> {
    let (start, end) = bounds(part, size, PART);
    let mut file = fs_err::File::open(object)?;
    file.seek(SeekFrom::Start(start))?;
    let mut content = Vec::with_capacity(usize::try_from(end - start).unwrap_or(0));
    file.take(end - start).read_to_end(&mut content)?;
    Ok(content.into())
}

/// What an earlier upload of an object of this size left, if it makes sense.
fn load(state: &Path, size: u64) -> Option<Upload> {
    let upload: Upload = serde_json::from_slice(&fs_err::read(state).ok()?).ok()?;
    let fits = upload.parts.len() == count(size, PART) && super::index::is_pack(&upload.pack);
    fits.then_some(upload)
}

fn save(state: &Path, upload: &Upload) -> Result<()> {
    let text = serde_json::to_vec(upload).map_err(writing(state))?;
    write_small(state, &text)
}

/// Files one after another.
struct Chain {
    rest: std::vec::IntoIter<PathBuf>,
    open: Option<fs_err::File>,
}

impl Read for Chain {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            if let Some(file) = &mut self.open {
                let read = file.read(buffer)?;
                if read > 0 {
                    return Ok(read);
                }
            }
            let Some(next) = self.rest.next() else { return Ok(0) };
            self.open = Some(fs_err::File::open(next)?);
        }
    }
}
