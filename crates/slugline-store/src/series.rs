//! What the last tree of a series held, so that a file that nobody touched since is not read again.
//!
//! A series is one app's builds, whose trees are largely the same files: not equal ones, the same
//! inodes. The kernel gives an inode a new change time with each change, and nobody can set that
//! time, so an inode with the same identity, size and times has the same content. The file only
//! saves time: what it does not know is read.

use std::collections::HashMap;
use std::path::Path;

use rustix::fs::Stat;
use slugline_model::slug::SlugId;

use crate::error::{Result, writing};
use crate::object::ObjectKey;
use crate::pack::Packed;
use crate::tree::Listed;

const HEADER: &[u8; 16] = b"slugline-seen 1\n";
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

/// What the last tree of a series held, by path.
#[derive(Debug, Default)]
pub(crate) struct Series {
    files: HashMap<Vec<u8>, Known>,
}

impl Series {
    /// Reads what is remembered. Nothing, where the slug that was made of it is not in the store
    /// any more, since then its objects may not be either.
    pub(crate) fn load(path: &Path, slug_is_there: impl Fn(&SlugId) -> bool) -> Self {
        let bytes = fs_err::read(path).unwrap_or_default();
        let remembered = decode(&bytes).filter(|(slug, _)| slug_is_there(slug));
        Self { files: remembered.map(|(_, files)| files).unwrap_or_default() }
    }

    /// What a file was packed as, if it is untouched since.
    pub(crate) fn find(
        &self,
        file: &Listed,
        source: impl FnOnce() -> Option<(i64, u64)>,
    ) -> Option<Packed> {
        let known = self.files.get(&file.path)?;
        (known.stamp == file.stamp && known.source == source()).then_some(known.packed)
    }
}

/// Remembers a tree for the next of its series.
pub(crate) fn save<'a>(
    path: &Path,
    slug: &SlugId,
    now: i128,
    files: impl Iterator<Item = (&'a Listed, Option<(i64, u64)>, Packed)>,
) -> Result<()> {
    let mut out = HEADER.to_vec();
    out.extend_from_slice(slug.as_str().as_bytes());
    for (file, source, packed) in files.filter(|(file, ..)| file.stamp.is_settled(now)) {
        encode(&mut out, &file.path, &Known { stamp: file.stamp, source, packed });
    }
    let check = blake3::hash(&out);
    out.extend_from_slice(check.as_bytes());
    // Renamed, so that a reader meets the old one or the new one; not synced, since the check
    // tells a torn one.
    let new = path.with_extension(format!("{:?}", std::thread::current().id()));
    fs_err::write(&new, out).map_err(writing(&new))?;
    fs_err::rename(&new, path).map_err(writing(path))
}

fn encode(out: &mut Vec<u8>, path: &[u8], known: &Known) {
    let Known { stamp, source, packed } = known;
    let (time, size) = source.unwrap_or_default();
    out.extend_from_slice(&u32::try_from(path.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(path);
    for number in [stamp.device, stamp.inode, stamp.size, packed.size, packed.weight, size] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for time in [stamp.modified, stamp.changed, i128::from(time)] {
        out.extend_from_slice(&time.to_le_bytes());
    }
    out.extend_from_slice(&stamp.mode.to_le_bytes());
    out.extend_from_slice(&[u8::from(source.is_some()), u8::from(packed.object.executable)]);
    out.extend_from_slice(&packed.object.hash);
}

fn decode(bytes: &[u8]) -> Option<(SlugId, HashMap<Vec<u8>, Known>)> {
    let (body, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK)?)?;
    if blake3::hash(body).as_bytes() != check {
        return None;
    }
    let body = body.strip_prefix(HEADER)?;
    let (slug, body) = body.split_at_checked(64)?;
    let slug = str::from_utf8(slug).ok()?.parse().ok()?;
    let (mut reader, mut files) = (Reader(body), HashMap::new());
    while !reader.0.is_empty() {
        let (path, known) = reader.entry()?;
        files.insert(path, known);
    }
    Some((slug, files))
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
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

    fn entry(&mut self) -> Option<(Vec<u8>, Known)> {
        let length = u32::from_le_bytes(self.take()?) as usize;
        let (path, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        let (device, inode, size) = (self.number()?, self.number()?, self.number()?);
        let (packed_size, weight, source_size) = (self.number()?, self.number()?, self.number()?);
        let (modified, changed, source_time) = (self.time()?, self.time()?, self.time()?);
        let mode = u32::from_le_bytes(self.take()?);
        let [has_source, executable] = self.take::<2>()?.map(|flag| flag != 0);
        let object = ObjectKey { hash: self.take()?, executable };
        let source = (i64::try_from(source_time).ok()?, source_size);
        let known = Known {
            stamp: Stamp { device, inode, size, mode, modified, changed },
            source: has_source.then_some(source),
            packed: Packed { object, size: packed_size, weight, weighed: false, new: false },
        };
        Some((path.to_vec(), known))
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
        let packed = Packed { object, size: 3, weight: 2, weighed: true, new: true };
        let (old, recent) = (listed("a/b.pyc", 0), listed("recent", 1_000_000_000));
        let files = [(&old, Some((9, 8)), packed), (&recent, None, packed)];
        save(&path, &slug, 1_000_000_000, files.into_iter()).unwrap();
        let series = Series::load(&path, |id| *id == slug);
        let found = series.find(&old, || Some((9, 8))).unwrap();
        assert_eq!((found.object, found.size, found.weight, found.new), (object, 3, 2, false));
        assert!(series.find(&old, || Some((9, 9))).is_none());
        assert!(series.find(&listed("a/b.pyc", 1), || Some((9, 8))).is_none());
        assert!(series.find(&recent, || None).is_none(), "changed within a tick of the clock");
        assert!(Series::load(&path, |_| false).files.is_empty(), "its slug is gone");
        let mut bytes = fs_err::read(&path).unwrap();
        bytes[100] ^= 1;
        fs_err::write(&path, bytes).unwrap();
        assert!(Series::load(&path, |_| true).files.is_empty(), "torn");
    }
}
