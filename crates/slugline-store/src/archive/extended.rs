//! Reads what an archive tells of an entry before it.
//!
//! It is read here and not by the reader of archives, which would take each name into memory
//! however long it is.

use std::io::{self, Read};

pub(crate) use slugline_model::tar_extended::Extended;
use slugline_model::tar_extended::{LONGEST, name};
use tar::EntryType;

/// Takes in an entry that only tells of the next one; false for any other.
pub(crate) fn take(
    told: &mut Extended,
    kind: EntryType,
    entry: &mut impl Read,
) -> io::Result<bool> {
    match kind {
        EntryType::GNULongName => told.path = Some(name(bounded(entry)?)),
        EntryType::GNULongLink => told.link = Some(name(bounded(entry)?)),
        EntryType::XHeader => told.records(&bounded(entry)?).map_err(io::Error::other)?,
        // What is told for all of an archive is its commit, and nothing that we keep.
        EntryType::XGlobalHeader => {}
        _ => return Ok(false),
    }
    Ok(true)
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

    #[test]
    fn a_name_that_has_no_end_takes_no_memory() {
        let mut endless = io::repeat(b'x');
        let mut told = Extended::default();
        assert!(take(&mut told, EntryType::GNULongName, &mut endless).is_err());
    }
}
