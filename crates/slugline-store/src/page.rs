//! Pages: the parts that a manifest is kept in, each under the hash of its text.

use std::fmt;

use crate::manifest::write_hex;

/// How many entries a page has on average.
const USUAL: u32 = 512;

/// How many entries a page has at most, so that reading one takes bounded memory.
const MOST: usize = 8_192;

/// From which length of its text on a page ends (bytes).
const LONG: usize = 1 << 20;

/// How long a page's text can be (bytes): the last line holds a path and a target, both escaped.
const LONGEST: usize = LONG + (1 << 16);

/// Pages are squeezed as fast as can be: half of them is hashes, which nothing makes smaller.
const LEVEL: i32 = 1;

/// What a page is kept under: the BLAKE3 hash of its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PageId(pub [u8; 32]);

/// A page of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// What it is kept under.
    pub id: PageId,
    /// Its lines.
    pub text: Vec<u8>,
}

impl PageId {
    /// Reads an id as it prints: 64 lowercase hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let lowercase = text.bytes().all(|b| !b.is_ascii_uppercase());
        let hash = blake3::Hash::from_hex(text).ok().filter(|_| lowercase)?;
        Some(Self(*hash.as_bytes()))
    }
}

impl fmt::Display for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hex = Vec::with_capacity(64);
        write_hex(&mut hex, &self.0);
        f.write_str(&String::from_utf8_lossy(&hex))
    }
}

impl fmt::Debug for PageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Page {
    pub(crate) fn new(text: Vec<u8>) -> Self {
        Self { id: PageId(*blake3::hash(&text).as_bytes()), text }
    }

    /// As it lies on the disk.
    pub(crate) fn squeezed(&self) -> std::io::Result<Vec<u8>> {
        zstd::bulk::compress(&self.text, LEVEL)
    }

    /// Reads a page as it lies on the disk; none where it is not what its id says.
    pub fn from_squeezed(id: PageId, bytes: &[u8]) -> Option<Self> {
        let text = zstd::bulk::decompress(bytes, LONGEST.min(bound(bytes))).ok()?;
        Some(Self::new(text)).filter(|page| page.id == id)
    }
}

/// The size that a frame says it unpacks to; nothing is set aside for one that does not say.
fn bound(bytes: &[u8]) -> usize {
    let size = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(0)
}

/// Whether a page ends with this path, once it has so many entries in a text of so many bytes.
pub(crate) fn ends_page(path: &[u8], entries: usize, bytes: usize) -> bool {
    entries >= MOST || bytes >= LONG || mix(path).is_multiple_of(USUAL)
}

/// FNV-1a, with its bits mixed once more: nothing depends on it but where pages end.
fn mix(path: &[u8]) -> u32 {
    let hash = path
        .iter()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    (hash ^ (hash >> 15)).wrapping_mul(0x2c1b_3c6d) >> 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_squeezed_page_is_read_back_and_no_other() {
        let page = Page::new(b"d a\n".repeat(100));
        let squeezed = page.squeezed().unwrap();
        assert_eq!(Page::from_squeezed(page.id, &squeezed), Some(page.clone()));
        assert_eq!(Page::from_squeezed(PageId([0; 32]), &squeezed), None);
        for junk in [&squeezed[..squeezed.len() - 1], b"", b"junk"] {
            assert_eq!(Page::from_squeezed(page.id, junk), None);
        }
        assert_eq!(PageId::parse(&page.id.to_string()), Some(page.id));
    }
}
