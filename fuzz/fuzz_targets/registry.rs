//! What images in registries are called, what registries ask for, and files of logins.

#![no_main]

use libfuzzer_sys::fuzz_target;
use slugline_store::registry::auth::{Challenge, parse_challenge, parse_logins};
use slugline_store::registry::reference::Reference;

fuzz_target!(|bytes: &[u8]| {
    let _ = parse_logins(bytes, "registry.example");
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string(), text);
        let _ = reference.is_loopback();
        // It becomes part of a URL.
        let marks = |b: u8| b.is_ascii_alphanumeric() || b"._-/".contains(&b);
        let tag = reference.tag.unwrap_or_default();
        assert!(reference.repository.bytes().chain(tag.bytes()).all(marks));
        assert!(!reference.repository.split('/').any(|part| matches!(part, "" | "." | "..")));
        assert!(!tag.contains('/') && !tag.starts_with('.'));
        assert!(reference.host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b)));
    }
    if let Some(Challenge::Bearer { realm, .. }) = parse_challenge(text) {
        assert!(text.contains(&realm));
    }
});
