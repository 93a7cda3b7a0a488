//! What the last tree of a series held, so that a file that nobody touched since is not read again.
//!
//! A series is one app's builds, whose trees are largely the same files: not equal ones, the same
//! inodes. The kernel gives an inode a new change time with each change, and nobody can set that
//! time, so an inode with the same identity, size and times has the same content. The file only
//! saves time: what it does not know is read.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io::{Read as _, Write as _};
use std::path::Path;

use rustix::fs::Stat;
use slugline_model::slug::SlugId;

use crate::error::{Result, writing};
use crate::object::ObjectKey;
use crate::pack::Packed;
use crate::tree::Listed;

const HEADER: &[u8; 16] = b"slugline-seen 2\n";
const CHECK: usize = 32;

/// Files that were changed this short before an ingest are not remembered (nanoseconds): the
/// kernel's clock for change times ticks every few milliseconds, and a second change within a
/// tick would not be seen.
const TICK: i128 = 50_000_000;

/// What tells whether an inode is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    /// Nanoseconds since 1970.
    modified: i128,
    /// Nanoseconds since 1970.
    changed: i128,
}

impl Stamp {
    pub(crate) fn of(stat: &Stat) -> Self {
        let nanoseconds =
            |seconds: i64, rest| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size.cast_unsigned(),
            mode: stat.st_mode,
            modified: nanoseconds(stat.st_mtime, stat.st_mtime_nsec),
            changed: nanoseconds(stat.st_ctime, stat.st_ctime_nsec),
        }
    }

    /// Bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    fn is_settled(&self, now: i128) -> bool {
        self.changed < now - TICK
    }
}

/// What is known of one file.
#[derive(Debug, Clone, Copy)]
struct Known {
    stamp: Stamp,
    /// Of a compiled file: the time and size of its source, which are part of what is stored.
    source: Option<(i64, u64)>,
    packed: Packed,
}

/// What the last tree of a series held, by path. Entries are read where they lie, since most of
/// them are asked for once.
#[derive(Debug, Default)]
pub(crate) struct Series {
    bytes: Vec<u8>,
    /// Where entries begin, by the hash of their path.
    at: Places,
}

/// Where entries begin, by the hash of their path.
type Places = HashMap<u64, usize, BuildHasherDefault<Hashed>>;

/// Takes what is hashed already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = self.0.rotate_left(8) ^ number;
    }
}

/// Spreads paths: a path that shares its hash with another is read again, no more.
fn hash_of(path: &[u8]) -> u64 {
    let mut words = path.chunks_exact(8);
    let mix =
        |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let hash = words.by_ref().fold(path.len() as u64, |hash, word| {
        mix(hash, u64::from_le_bytes(word.try_into().unwrap_or_default()))
    });
    let hash = words.remainder().iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)));
    mix(hash, 0)
}

impl Series {
    /// Reads what is remembered. Nothing, where the slug that was made of it is not in the store
    /// any more, since then its objects may not be either.
    pub(crate) fn load(path: &Path, slug_is_there: impl Fn(&SlugId) -> bool) -> Self {
        let bytes = fs_err::read(path).unwrap_or_default();
        let known = decode(&bytes).filter(|(slug, _)| slug_is_there(slug));
        let at = known.map(|(_, at)| at).unwrap_or_default();
        Self { bytes, at }
    }

    /// What a file was packed as, if it is untouched since.
    pub(crate) fn find(
        &self,
        file: &Listed,
        source: impl FnOnce() -> Option<(i64, u64)>,
    ) -> Option<Packed> {
        let entry = self.bytes.get(*self.at.get(&hash_of(&file.path))?..)?;
        let (path, known) = Reader(entry).entry()?;
        let same = path == file.path && known.stamp == file.stamp;
        (same && known.source == source()).then_some(known.packed)
    }
}

/// What is to be remembered of a tree; [`save`] takes it.
#[derive(Debug, Default)]
pub(crate) struct Memory(Vec<u8>);

impl Memory {
    /// A file, unless it was changed so short before this time (nanoseconds since 1970) that a
    /// second change would not be seen.
    pub(crate) fn file(
        &mut self,
        file: &Listed,
        source: Option<(i64, u64)>,
        packed: Packed,
        now: i128,
    ) {
        if file.stamp.is_settled(now) {
            encode(&mut self.0, &file.path, &Known { stamp: file.stamp, source, packed });
        }
    }
}

/// The slug whose tree a file tells of.
pub(crate) fn slug_of(path: &Path) -> Option<SlugId> {
    let mut start = [0; HEADER.len() + 64];
    fs_err::File::open(path).ok()?.read_exact(&mut start).ok()?;
    str::from_utf8(start.strip_prefix(HEADER)?).ok()?.parse().ok()
}

/// Remembers a tree for the next of its series.
pub(crate) fn save(path: &Path, slug: &SlugId, memory: &Memory) -> Result<()> {
    let head = [HEADER.as_slice(), slug.as_str().as_bytes()].concat();
    let check = *blake3::Hasher::new().update(&head).update(&memory.0).finalize().as_bytes();
    // Renamed, so that a reader meets the old one or the new one; not synced, since the check
    // tells a torn one.
    let new = path.with_extension(format!("{:?}", std::thread::current().id()));
    let mut file = fs_err::File::create(&new).map_err(writing(&new))?;
    for bytes in [head.as_slice(), &memory.0, &check] {
        file.write_all(bytes).map_err(writing(&new))?;
    }
    fs_err::rename(&new, path).map_err(writing(path))
}

fn encode(out: &mut Vec<u8>, path: &[u8], known: &Known) {
    let Known { stamp, source, packed } = known;
    let (time, size) = source.unwrap_or_default();
    out.extend_from_slice(&u32::try_from(path.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(path);
    let weight = packed.weight.unwrap_or(u64::MAX);
    for number in [stamp.device, stamp.inode, stamp.size, packed.size, weight, size] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for time in [stamp.modified, stamp.changed, i128::from(time)] {
        out.extend_from_slice(&time.to_le_bytes());
    }
    out.extend_from_slice(&stamp.mode.to_le_bytes());
    out.extend_from_slice(&[u8::from(source.is_some()), u8::from(packed.object.executable)]);
    out.extend_from_slice(&packed.object.hash);
}

/// The slug, and where entries begin in the bytes.
fn decode(bytes: &[u8]) -> Option<(SlugId, Places)> {
    let (checked, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK)?)?;
    if blake3::hash(checked).as_bytes() != check {
        return None;
    }
    let body = checked.strip_prefix(HEADER)?;
    let (slug, body) = body.split_at_checked(64)?;
    let slug = str::from_utf8(slug).ok()?.parse().ok()?;
    let mut at = Places::with_capacity_and_hasher(body.len() / 200, BuildHasherDefault::default());
    let mut reader = Reader(body);
    while !reader.0.is_empty() {
        let here = checked.len() - reader.0.len();
        let (path, _) = reader.entry()?;
        at.insert(hash_of(path), here);
    }
    Some((slug, at))
}

/// Whether these can be entries of the file.
pub(crate) fn makes_sense(entries: &[u8]) -> bool {
    let slug = [b'0'; 64];
    let mut bytes = [HEADER, &slug[..], entries].concat();
    bytes.extend_from_slice(blake3::hash(&bytes).as_bytes());
    decode(&bytes).is_some()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Option<i128> {
        self.take().map(i128::from_le_bytes)
    }

    fn entry(&mut self) -> Option<(&'a [u8], Known)> {
        let length = u32::from_le_bytes(self.take()?) as usize;
        let (path, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        let (device, inode, size) = (self.number()?, self.number()?, self.number()?);
        let (packed_size, weight, source_size) = (self.number()?, self.number()?, self.number()?);
        let (modified, changed, source_time) = (self.time()?, self.time()?, self.time()?);
        let mode = u32::from_le_bytes(self.take()?);
        let [has_source, executable] = self.take::<2>()?.map(|flag| flag != 0);
        let object = ObjectKey { hash: self.take()?, executable };
        let weight = Some(weight).filter(|weight| *weight != u64::MAX);
        let source = (i64::try_from(source_time).ok()?, source_size);
        let known = Known {
            stamp: Stamp { device, inode, size, mode, modified, changed },
            source: has_source.then_some(source),
            packed: Packed { object, size: packed_size, weight, weighed: false, new: false },
        };
        Some((path, known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(path: &str, changed: i128) -> Listed {
        let stamp = Stamp { device: 1, inode: 2, size: 3, mode: 4, modified: -5, changed };
        Listed { path: path.into(), stamp }
    }

    #[test]
    fn what_was_saved_is_found_unless_anything_differs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("library");
        let slug: SlugId = "ab".repeat(32).parse().unwrap();
        let object = ObjectKey { hash: [7; 32], executable: true };
        let packed = Packed { object, size: 3, weight: Some(2), weighed: true, new: true };
        let (old, recent) = (listed("a/b.pyc", 0), listed("recent", 1_000_000_000));
        let mut memory = Memory::default();
        memory.file(&old, Some((9, 8)), packed, 1_000_000_000);
        memory.file(&recent, None, packed, 1_000_000_000);
        save(&path, &slug, &memory).unwrap();
        let series = Series::load(&path, |id| *id == slug);
        let found = series.find(&old, || Some((9, 8))).unwrap();
        assert_eq!(
            (found.object, found.size, found.weight, found.new),
            (object, 3, Some(2), false)
        );
        assert!(series.find(&old, || Some((9, 9))).is_none());
        assert!(series.find(&listed("a/b.pyc", 1), || Some((9, 8))).is_none());
        assert!(series.find(&recent, || None).is_none(), "changed within a tick of the clock");
        assert!(Series::load(&path, |_| false).at.is_empty(), "its slug is gone");
        let mut bytes = fs_err::read(&path).unwrap();
        bytes[100] ^= 1;
        fs_err::write(&path, bytes).unwrap();
        assert!(Series::load(&path, |_| true).at.is_empty(), "torn");
    }
}
