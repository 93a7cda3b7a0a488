//! What fuzz targets reach that callers do not: each takes whatever bytes there are.

use crate::{packed, series};

/// Reads a file of packed sizes; gives how many it knows.
pub fn packed_sizes(bytes: &[u8]) -> usize {
    packed::decode(bytes).count()
}

/// Reads what is remembered of a tree; whether it makes sense.
pub fn series(bytes: &[u8]) -> bool {
    series::makes_sense(bytes)
}
