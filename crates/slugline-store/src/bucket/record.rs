//! A slug in the bucket: its head, and the indexes by which all that it needs can be found.
//!
//! ```text
//! slugline-slug-record 1
//! index 5d41ab…
//! check 91e30c…
//! slugline-slug 2
//! …
//! ```
//!
//! The check is the BLAKE3 hash of the lines above it; the slug's identity is the hash of what
//! follows it. Packs may be put together anew, which changes the lines and not the slug.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use slugline_model::slug::SlugId;

use crate::manifest;

const HEADER: &str = "slugline-slug-record 1\n";

/// How long a record can be (bytes).
pub(crate) const LONGEST: u64 = 16 << 20;

/// A slug as the bucket tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Names of indexes.
    pub indexes: BTreeSet<String>,
    /// The slug's head.
    pub head: Vec<u8>,
}

impl Record {
    /// The record as it lies in the bucket.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = HEADER.to_owned();
        for index in &self.indexes {
            let _ = writeln!(text, "index {index}");
        }
        let check = blake3::hash(text.as_bytes());
        let _ = writeln!(text, "check {check}");
        [text.as_bytes(), &self.head].concat()
    }

    /// Reads the record of a slug. None where it is not whole.
    pub fn decode(id: &SlugId, bytes: &[u8]) -> Option<Self> {
        let record = Self::parse(bytes)?;
        (manifest::identity(&record.head) == *id).then_some(record)
    }

    /// Reads a record of whatever slug. None where it is not whole.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(HEADER.as_bytes())?;
        let mut indexes = BTreeSet::new();
        loop {
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            let line = str::from_utf8(&rest[..end]).ok()?;
            let above = bytes.len() - rest.len();
            rest = &rest[end + 1..];
            if let Some(index) = line.strip_prefix("index ") {
                indexes.insert(Some(index).filter(|index| is_hash(index))?.to_owned());
            } else {
                let check = line.strip_prefix("check ")?;
                let whole = blake3::hash(&bytes[..above]).to_string() == check;
                return whole.then(|| Self { indexes, head: rest.to_vec() });
            }
        }
    }
}

/// Whether this is a hash as it prints.
pub(crate) fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_no_flipped_bit_goes_unseen() {
        let head = b"slugline-slug 2\n".to_vec();
        let id = manifest::identity(&head);
        let indexes = [1, 2].map(|n: u8| blake3::hash(&[n]).to_string()).into();
        let record = Record { indexes, head };
        let bytes = record.encode();
        assert_eq!(Record::decode(&id, &bytes), Some(record));
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1;
            assert_eq!(Record::decode(&id, &flipped), None, "byte {place}");
            assert_eq!(Record::decode(&id, &bytes[..place]), None, "cut at {place}");
        }
    }
}
