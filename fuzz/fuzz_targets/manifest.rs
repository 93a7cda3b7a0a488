//! Heads and pages of manifests, whose text is canonical: what is read is written again the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use slugline_store::manifest::{Head, Manifest};
use slugline_store::page::{Page, PageId};

fuzz_target!(|bytes: &[u8]| {
    let _ = Head::decode(bytes);
    let _ = Page::from_squeezed(PageId([0; 32]), bytes);
    // A head that names what follows it as its pages; lines of equal signs part them.
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split("====\n").map(|part| part.as_bytes().to_vec());
    let lines = parts.next().unwrap_or_default();
    let pages: Vec<Vec<u8>> = parts.collect();
    for head in [lines.clone(), slugline_store::fuzzing::head(&lines, &pages)] {
        if let Ok(manifest) = Manifest::decode(&head, &pages) {
            let again = manifest.encode();
            let texts: Vec<Vec<u8>> = again.pages.iter().map(|page| page.text.clone()).collect();
            assert_eq!(Manifest::decode(&again.head, &texts), Ok(manifest));
            for page in &again.pages {
                let squeezed = zstd::bulk::compress(&page.text, 1).expect("it fits into memory");
                assert_eq!(Page::from_squeezed(page.id, &squeezed).as_ref(), Some(page));
            }
        }
    }
});
