//! What a proof reads of an app's answers: pages, styles, scripts, lists of files, sitemaps.

#![no_main]

use libfuzzer_sys::fuzz_target;
use slugline_model::bridge::has_hash;
use slugline_model::prove::{Base, Kind, references};

/// What may stand for an app's answer.
const KINDS: [(Kind, &str); 5] = [
    (Kind::Page, "text/html"),
    (Kind::Style, "text/css"),
    (Kind::Script, "text/javascript"),
    (Kind::Manifest, "application/json"),
    (Kind::Sitemap, "text/xml"),
];

fuzz_target!(|text: &str| {
    let base = Base::new("owl.localhost", "/shop/page?x=1");
    for (kind, media_type) in KINDS {
        for found in references(kind, media_type, text, &base) {
            assert!(found.url.starts_with('/') && found.url.bytes().all(|b| b.is_ascii_graphic()));
            let _ = has_hash(&found.url);
        }
    }
});
