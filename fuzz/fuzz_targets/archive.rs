//! Archives of slugs and of layers, which anyone may have made: what comes out of one is bounded,
//! lies below the root, and is the same however the archive is packed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use slugline_model::limits::Limits;
use slugline_store::archive::place;
use slugline_store::archive::read::{self, ArchiveError, Bounds, Kind};
use slugline_store::tgz;

const BOUNDS: Bounds = Bounds { entries: 100, bytes: 1 << 20 };

fuzz_target!(|bytes: &[u8]| {
    entries(bytes);
    // No fuzzer meets the sums of headers: the same with the right ones.
    let mended = mended(bytes);
    let packed = zstd::bulk::compress(&mended, 1).expect("it fits into memory");
    if !mended.starts_with(&[0x1f, 0x8b]) && !mended.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        assert_eq!(entries(&mended), entries(&packed));
    }
    let limits = Limits { slug_hard: 1 << 16, source_entries: 100, ..Limits::default() };
    if let Ok(Some(text)) = tgz::procfile(&mended[..], &limits) {
        assert!(text.len() <= mended.len());
    }
});

/// What is in an archive, entry by entry, and how its reading ended.
fn entries(bytes: &[u8]) -> (Vec<(Vec<u8>, Kind, Vec<u8>)>, Option<String>) {
    let (mut found, mut total) = (Vec::new(), 0);
    let read = read::each(bytes, BOUNDS, |item| {
        assert!(!item.path.ends_with(b"/"));
        if let Ok(path) = place::normal(&item.path) {
            assert_eq!(place::normal(&path).as_deref(), Ok(&path[..]));
            assert!(!path.split(|b| *b == b'/').any(|name| name == b".." || name == b"."));
        }
        let mut content = Vec::new();
        if item.content.read_to_end(&mut content).is_ok() {
            assert_eq!(content.len() as u64, item.size);
        }
        total += content.len() as u64;
        found.push((item.path, item.kind, content));
        Ok::<_, ArchiveError>(())
    });
    assert!(found.len() as u64 <= BOUNDS.entries && total <= BOUNDS.bytes);
    (found, read.err().map(|error| error.to_string()))
}

/// The archive with the right sum in each block that looks like a header.
fn mended(bytes: &[u8]) -> Vec<u8> {
    let mut mended = bytes.to_vec();
    for block in mended.chunks_exact_mut(512).filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
    mended
}
