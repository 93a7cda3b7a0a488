//! What a tar archive tells of an entry before it: names and sizes that do not fit into its header.

/// How long what is told may be (bytes): extended attributes are told there too, and are not kept.
pub const LONGEST: u64 = 1 << 20;

/// What was told for the next entry.
#[derive(Debug, Default)]
pub struct Extended {
    /// Its path.
    pub path: Option<Vec<u8>>,
    /// What it links to.
    pub link: Option<Vec<u8>>,
    /// The size of its content (bytes).
    pub size: Option<u64>,
    /// Whether its bytes are not its content, but parts of it and where they go.
    pub is_sparse: bool,
}

/// Records that are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what it tells of an entry does not parse")]
pub struct ExtendedError;

impl Extended {
    /// Takes in records of the pax format. Each is `LENGTH key=value\n`, where the length counts all
    /// of the record. The value may hold anything.
    pub fn records(&mut self, mut rest: &[u8]) -> Result<(), ExtendedError> {
        while !rest.is_empty() {
            let (key, value, length) = record(rest).ok_or(ExtendedError)?;
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

/// A name of GNU's format, which ends before the first zero.
pub fn name(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
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

#[cfg(test)]
mod tests {
    use super::*;

    fn extended(records: &[u8]) -> Result<Extended, ExtendedError> {
        let mut extended = Extended::default();
        extended.records(records).map(|()| extended)
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
}
