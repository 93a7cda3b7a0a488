//! The documents of images, which registries and archives give, and digests.

#![no_main]

use libfuzzer_sys::fuzz_target;
use slugline_store::oci::digest::Digest;

fuzz_target!(|bytes: &[u8]| {
    slugline_store::fuzzing::image_document(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text);
        assert_eq!(digest.hex().len(), 64);
    }
});
