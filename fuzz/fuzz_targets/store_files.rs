//! What the store remembers of packed sizes and of trees, as it lies on a disk that may fail.

#![no_main]

use libfuzzer_sys::fuzz_target;
use slugline_store::ObjectKey;

fuzz_target!(|bytes: &[u8]| {
    slugline_store::fuzzing::packed_sizes(bytes);
    slugline_store::fuzzing::series(bytes);
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some(key) = ObjectKey::parse(text)
    {
        assert_eq!(key.to_string(), text);
    }
});
