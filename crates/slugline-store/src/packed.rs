//! How large objects are when packed, remembered so that a known file is never packed again.
//!
//! The file `packed` only saves time: what it does not know is packed and measured once more. It
//! grows at its end, and each record carries its own check, so a torn one is passed over.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Result, reading, writing};

/// A record: 32 bytes of hash, 8 of size (little endian), 8 of check.
const RECORD: usize = 48;

type Hash = [u8; 32];

/// Packed sizes (bytes) by content.
#[derive(Debug, Default, Clone)]
pub(crate) struct PackedSizes {
    known: HashMap<Hash, u64>,
}

impl PackedSizes {
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let bytes = match fs_err::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(reading(path)(error)),
        };
        Ok(Self { known: decode(&bytes).collect() })
    }

    pub(crate) fn get(&self, hash: &Hash) -> Option<u64> {
        self.known.get(hash).copied()
    }

    /// Remembers more sizes, in memory and at the end of the file.
    pub(crate) fn extend(&mut self, path: &Path, sizes: &[(Hash, u64)]) -> Result<()> {
        let new: BTreeMap<Hash, u64> =
            sizes.iter().filter(|(hash, _)| !self.known.contains_key(hash)).copied().collect();
        let mut file = fs_err::OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .map_err(writing(path))?;
        // A torn record at the end would shift all that follow it.
        let size = file.metadata().map_err(reading(path))?.len();
        file.set_len(size - size % RECORD as u64).map_err(writing(path))?;
        file.write_all(
            &new.iter().flat_map(|(hash, size)| record(&(*hash, *size))).collect::<Vec<u8>>(),
        )
        .map_err(writing(path))?;
        self.known.extend(new);
        Ok(())
    }

    /// Forgets all sizes but these, in memory and in the file.
    pub(crate) fn retain(&mut self, path: &Path, live: impl Fn(&Hash) -> bool) -> Result<()> {
        self.known.retain(|hash, _| live(hash));
        let bytes: Vec<u8> = self.known.iter().flat_map(|(h, s)| record(&(*h, *s))).collect();
        let new = path.with_extension("new");
        fs_err::write(&new, bytes).map_err(writing(&new))?;
        fs_err::rename(&new, path).map_err(writing(path))
    }
}

fn record((hash, size): &(Hash, u64)) -> Vec<u8> {
    let mut out = [hash.as_slice(), &size.to_le_bytes()].concat();
    let check = blake3::hash(&out);
    out.extend_from_slice(&check.as_bytes()[..8]);
    out
}

/// The whole records of a file.
pub(crate) fn decode(bytes: &[u8]) -> impl Iterator<Item = (Hash, u64)> {
    bytes.chunks_exact(RECORD).filter_map(parse)
}

fn parse(bytes: &[u8]) -> Option<(Hash, u64)> {
    let hash: Hash = bytes[..32].try_into().ok()?;
    let size = u64::from_le_bytes(bytes[32..40].try_into().ok()?);
    (record(&(hash, size)) == bytes).then_some((hash, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_or_changed_record_is_forgotten_and_the_rest_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("packed");
        let mut sizes = PackedSizes::default();
        sizes.extend(&path, &[([1; 32], 10), ([2; 32], 20)]).unwrap();
        let mut bytes = fs_err::read(&path).unwrap();
        bytes[40] ^= 1;
        bytes.extend_from_slice(b"torn");
        fs_err::write(&path, bytes).unwrap();
        let mut sizes = PackedSizes::load(&path).unwrap();
        sizes.extend(&path, &[([3; 32], 30)]).unwrap();
        let sizes = PackedSizes::load(&path).unwrap();
        assert_eq!([1, 2, 3].map(|n| sizes.get(&[n; 32])), [None, Some(20), Some(30)]);
    }
}
