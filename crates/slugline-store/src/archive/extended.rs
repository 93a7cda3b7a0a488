//! Names and sizes that an archive tells before an entry, because they do not fit into its header.
//!
//! They are read here and not by the reader of archives, which would take each of them into memory
//! however long it is.

use std::io::{self, Read};

use tar::EntryType;

/// The longest of them (bytes): extended attributes are told there too, and are not kept.
const LONGEST: u64 = 1 << 20;

/// What was told for the next entry.
#[derive(Debug, Default)]
pub(crate) struct Extended {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    /// Whether its bytes are not its content, but parts of it and where they go.
    pub(crate) is_sparse: bool,
}

impl Extended {
    /// Takes in an entry that only tells of the next one; false for any other.
    pub(crate) fn take(&mut self, kind: EntryType, entry: &mut impl Read) -> io::Result<bool> {
        match kind {
            EntryType::GNULongName => self.path = Some(name(entry)?),
            EntryType::GNULongLink => self.link = Some(name(entry)?),
            EntryType::XHeader => self.records(&bounded(entry)?)?,
            // What is told for all of an archive is its commit, and nothing that we keep.
            EntryType::XGlobalHeader => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Each record is `LENGTH key=value\n`, where the length counts all of the record. The value
    /// may hold anything.
    fn records(&mut self, mut rest: &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            let (key, value, length) = record(rest)
                .ok_or_else(|| io::Error::other("what it tells of an entry does not parse"))?;
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number(value).unwrap_or(u64::MAX)),
                _ => self.is_sparse |= key.starts_with(b"GNU.sparse."),
            }
            rest = &rest[length..];
        }
        Ok(())
    }
}

fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(number(&bytes[..space])?).ok()?;
    let pair = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some((&pair[..equals], &pair[equals + 1..], length))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A name, which ends before the first zero.
fn name(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = bounded(entry)?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    Ok(bytes)
}

fn bounded(entry: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other("what it tells of an entry is longer than any name can be"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extended(records: &[u8]) -> io::Result<Extended> {
        let mut extended = Extended::default();
        assert!(extended.take(EntryType::XHeader, &mut &records[..])?);
        Ok(extended)
    }

    #[test]
    fn a_name_may_hold_newlines_and_equals_signs() {
        let found = extended(b"15 path=a\nb=c\n\n12 size=123\n").unwrap();
        assert_eq!(found.path.as_deref(), Some(&b"a\nb=c\n"[..]));
        assert_eq!(found.size, Some(123));
        assert!(!found.is_sparse);
        assert!(extended(b"22 GNU.sparse.major=1\n").unwrap().is_sparse);
    }

    #[test]
    fn what_does_not_parse_is_refused() {
        for odd in [&b"x"[..], b"5 a=b", b"99 a=b\n", b"0 a=b\n", b"6 abc\n", b"-1 a=b\n"] {
            assert!(extended(odd).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn a_name_that_has_no_end_takes_no_memory() {
        let mut endless = io::repeat(b'x');
        assert!(Extended::default().take(EntryType::GNULongName, &mut endless).is_err());
    }
}
