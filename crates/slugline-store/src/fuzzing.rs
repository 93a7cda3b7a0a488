//! What fuzz targets reach that callers do not: each takes whatever bytes there are.

use serde::Serialize;

use crate::oci::document::{self, DocumentError};
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

/// Reads a document of an image as each of its kinds; what is read must be written again the same.
pub fn image_document(bytes: &[u8]) {
    written_again(bytes, document::parse_index);
    written_again(bytes, document::parse_manifest);
    written_again(bytes, document::parse_docker_images);
    // What others note in it may hold numbers that are written again in another way.
    let _ = document::parse_config(bytes);
    let top = document::parse_top(bytes);
    if bytes.trim_ascii_start().starts_with(b"{") && document::parse_index(bytes).is_ok() {
        assert!(matches!(top, Ok(document::Top::Index(_))), "an index is one at the top too");
    }
}

fn written_again<T>(bytes: &[u8], parse: impl Fn(&[u8]) -> Result<T, DocumentError>)
where
    T: Serialize + PartialEq + std::fmt::Debug,
{
    let Ok(read) = parse(bytes) else { return };
    let written = serde_json::to_vec(&read).unwrap_or_default();
    // It may be larger than the limit only by what was left out and is written.
    if written.len() as u64 <= document::LARGEST {
        assert_eq!(parse(&written).ok().as_ref(), Some(&read));
    }
}
