//! What fuzz targets reach that callers do not: each takes whatever bytes there are.

use crate::{packed, series};

/// Reads a file of packed sizes; gives how many it knows.
pub fn packed_sizes(bytes: &[u8]) -> usize {
    packed::decode(bytes).count()
}

/// Reads what is remembered of a tree, of which these are the entries; whether they make sense.
pub fn series(entries: &[u8]) -> bool {
    series::makes_sense(entries)
}

/// A hash as names have it.
pub fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_string()
}

/// A head of these lines, that names these pages.
pub fn head(lines: &[u8], pages: &[Vec<u8>]) -> Vec<u8> {
    let mut head = lines.to_vec();
    for page in pages {
        head.extend_from_slice(format!("page {}\n", hash(page)).as_bytes());
    }
    head
}
