//! What comes from a bucket, and how one is configured: indexes, records, addresses, credentials.

#![no_main]

use libfuzzer_sys::fuzz_target;
use slugline_store::bucket::index::Index;
use slugline_store::bucket::record::Record;
use slugline_store::bucket::{self, Keys};

fuzz_target!(|bytes: &[u8]| {
    if let Some(record) = Record::parse(bytes) {
        assert_eq!(Record::parse(&record.encode()), Some(record));
    }
    // Its check can be met by no fuzzer: what stands before it, with the right one.
    let lines = [bytes, b"\n"].concat();
    let check = slugline_store::fuzzing::hash(&lines);
    let _ = Record::parse(&[&lines, &b"check "[..], check.as_bytes(), b"\nhead"].concat());
    let name = slugline_store::fuzzing::hash(bytes);
    let _ = Index::decode(&name, bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(index) = Index::parse(text) {
        let (name, squeezed) = index.encode().expect("it fits into memory");
        assert_eq!(Index::decode(&name, &squeezed), Some(index));
    }
    if let Ok((bucket, prefix)) = bucket::parse(text) {
        assert!(!prefix.contains("..") || !prefix.split('/').any(|part| part == ".."));
        assert!(!bucket.contains('/'));
    }
    let _ = Keys::parse(text);
});
