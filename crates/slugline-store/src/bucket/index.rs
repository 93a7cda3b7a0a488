//! What a pack in the bucket holds, and where in it: text, squeezed, under the hash of its bytes.
//!
//! ```text
//! slugline-index 1
//! pack 9f86d0…-17c03e… 8388608
//! o 3c1a0f…x 0 512 2048
//! p 77aa01… 512 300 300
//! r 01ce44… 0 104857600 104857600
//! ```
//!
//! A line has a key, the offset and the length in the pack, and the size of the content (all in
//! bytes). `o` is an object as a zstd frame of its own, `r` one as it is, `p` a page as the local
//! store keeps it. Lines follow each other in the pack without a gap.

use std::fmt::Write as _;
use std::io::Read as _;

use crate::object::ObjectKey;
use crate::page::PageId;

const HEADER: &str = "slugline-index 1";
const LEVEL: i32 = 3;

/// How many entries a pack has at most, so that reading its index takes bounded memory.
pub(crate) const MOST: usize = 1 << 16;

/// How long an index's text can be (bytes): the longest line, [`MOST`] times.
const LONGEST: u64 = (MOST as u64) * 160;

/// How long an index can be as it lies in the bucket (bytes).
pub(crate) const SQUEEZED: u64 = LONGEST;

/// The largest content that an index may name (bytes): an S3 object's.
const LARGEST: u64 = 5 << 40;

/// What a pack can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Thing {
    /// A file.
    Object(ObjectKey),
    /// A page of a manifest.
    Page(PageId),
}

/// Where a thing lies in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub thing: Thing,
    /// Whether it is a zstd frame; else it is as it is.
    pub squeezed: bool,
    /// Where it starts (bytes).
    pub offset: u64,
    /// How long it is in the pack (bytes).
    pub length: u64,
    /// How long it is unpacked (bytes).
    pub size: u64,
}

/// A pack's table of contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The pack's name.
    pub pack: String,
    /// The pack's size (bytes).
    pub size: u64,
    /// What it holds, without a gap.
    pub entries: Vec<Entry>,
}

impl Index {
    /// The index as it lies in the bucket, and its name there.
    pub fn encode(&self) -> std::io::Result<(String, Vec<u8>)> {
        let mut text = format!("{HEADER}\npack {} {}\n", self.pack, self.size);
        for Entry { thing, squeezed, offset, length, size } in &self.entries {
            let _ = match thing {
                Thing::Object(key) if *squeezed => write!(text, "o {key}"),
                Thing::Object(key) => write!(text, "r {key}"),
                Thing::Page(page) => write!(text, "p {page}"),
            };
            let _ = writeln!(text, " {offset} {length} {size}");
        }
        let bytes = zstd::bulk::compress(text.as_bytes(), LEVEL)?;
        Ok((blake3::hash(&bytes).to_string(), bytes))
    }

    /// Reads an index as it lies in the bucket under a name. None where it is not what its name
    /// says, or makes no sense.
    pub fn decode(name: &str, bytes: &[u8]) -> Option<Self> {
        if blake3::hash(bytes).to_string() != name {
            return None;
        }
        Self::parse(&unpack(bytes)?)
    }

    /// Reads an index's text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        lines.next().filter(|line| *line == HEADER)?;
        let (pack, size) = lines.next()?.strip_prefix("pack ")?.split_once(' ')?;
        let (size, pack) = (number(size)?, Some(pack).filter(|pack| is_pack(pack))?.to_owned());
        let (mut entries, mut end) = (Vec::new(), 0);
        for line in lines {
            let entry = entry(line)?;
            if entry.offset != end || entries.len() == MOST {
                return None;
            }
            end += entry.length;
            entries.push(entry);
        }
        (end == size).then_some(Self { pack, size, entries })
    }
}

/// Whether this can be the name of a pack: a hash and what tells it from others with that hash.
pub(crate) fn is_pack(name: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    name.split_once('-')
        .is_some_and(|(hash, mark)| hash.len() == 64 && mark.len() == 16 && hex(hash) && hex(mark))
}

fn unpack(bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    let reader = zstd::Decoder::with_buffer(bytes).ok()?;
    reader.take(LONGEST + 1).read_to_string(&mut text).ok()?;
    (text.len() as u64 <= LONGEST).then_some(text)
}

fn entry(line: &str) -> Option<Entry> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [kind, key, offset, length, size] = fields.as_slice() else { return None };
    let (thing, squeezed) = match *kind {
        "o" => (Thing::Object(ObjectKey::parse(key)?), true),
        "r" => (Thing::Object(ObjectKey::parse(key)?), false),
        "p" => (Thing::Page(PageId::parse(key)?), false),
        _ => return None,
    };
    let [offset, length, size] = [number(offset)?, number(length)?, number(size)?];
    (squeezed || length == size).then_some(Entry { thing, squeezed, offset, length, size })
}

/// A number as it is written here, and no other way.
fn number(text: &str) -> Option<u64> {
    let number = text.parse().ok().filter(|number: &u64| *number <= LARGEST)?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let key = |byte, executable| Thing::Object(ObjectKey { hash: [byte; 32], executable });
        let entry =
            |thing, squeezed, offset, length, size| Entry { thing, squeezed, offset, length, size };
        Index {
            pack: format!("{}-{}", "0a".repeat(32), "1b".repeat(8)),
            size: 60,
            entries: vec![
                entry(key(1, true), true, 0, 10, 100),
                entry(Thing::Page(PageId([2; 32])), false, 10, 20, 20),
                entry(key(3, false), false, 30, 30, 30),
            ],
        }
    }

    #[test]
    fn an_index_is_read_back_and_a_changed_one_is_refused() {
        let (name, bytes) = index().encode().unwrap();
        assert_eq!(Index::decode(&name, &bytes), Some(index()));
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 1;
        assert_eq!(Index::decode(&name, &flipped), None);
        assert_eq!(Index::decode(&name, &bytes[..bytes.len() - 1]), None);
        assert_eq!(Index::decode(&"0".repeat(64), &bytes), None);
    }

    #[test]
    fn entries_fill_the_pack_without_a_gap_and_names_lead_nowhere_else() {
        let text = |bytes: &[u8]| unpack(bytes).unwrap();
        let whole = text(&index().encode().unwrap().1);
        assert_eq!(Index::parse(&whole), Some(index()));
        for (from, to) in [
            (" 10 20 20", " 11 20 20"),
            (" 60\n", " 61\n"),
            (" 30 30\n", " 30 31\n"),
            ("pack 0a", "pack ../"),
            (" 100\n", " 0100\n"),
            (" 100\n", " 99999999999999\n"),
            ("o 01", "q 01"),
            (HEADER, "slugline-index 2"),
        ] {
            assert_ne!(whole.replace(from, to), whole, "{from}");
            assert_eq!(Index::parse(&whole.replace(from, to)), None, "{from}");
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let bytes = zstd::bulk::compress(&vec![b'x'; 64 << 20], 3).unwrap();
        assert_eq!(Index::decode(&blake3::hash(&bytes).to_string(), &bytes), None);
    }
}
