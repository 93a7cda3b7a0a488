//! The bridge between releases: a page that was opened before a release asks the new one for files
//! of the old one. Which file of which slug that is, is decided here.

use std::collections::HashMap;

use crate::ledger::{Change, ChangeKind};
use crate::listing::{Item, Listing};
use crate::prove::Kind;
use crate::retention::Object;

/// The hash of a name has at least so many characters: webpack's short ones, and Vite's, have 8.
const SHORTEST: usize = 8;

/// Whether the last segment of a path has a hash of its content in its name, as `main.3f2a91bc.js`
/// has: it is written anew when it changes, so that whoever has it may keep it.
pub fn has_hash(url: &str) -> bool {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let Some((stem, _)) = name.rsplit_once('.') else { return false };
    stem.split('.').any(|part| {
        let last = part.rsplit(['-', '_']).next().unwrap_or_default();
        is_hash(last) || is_hash(part) || ends_in_hash(part)
    })
}

/// `index-C-x2_aB9`: Vite's hashes may have dashes in them.
fn ends_in_hash(part: &str) -> bool {
    let cut = part.len().checked_sub(SHORTEST).filter(|cut| part.is_char_boundary(*cut));
    cut.is_some_and(|cut| part[..cut].ends_with('-') && is_mixed(&part[cut..]))
}

fn is_hash(text: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || matches!(b, b'a'..=b'f');
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    // A date is all digits, and a word none.
    let mixed = digits > 0 && digits < text.len();
    let alike = text.bytes().all(hex) && (mixed || text.len() >= 20);
    (SHORTEST..=128).contains(&text.len()) && (alike || is_mixed(text))
}

/// Letters of both cases, digits among them or in an order that no word has.
fn is_mixed(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let upper = text.bytes().skip(1).filter(u8::is_ascii_uppercase).count();
    let lower = text.bytes().filter(u8::is_ascii_lowercase).count();
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let strange = (upper >= 1 && lower >= 1 && digits >= 1) || (upper >= 2 && lower >= 2);
    // esbuild's are base 32.
    let base32 = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    let base32 = base32 && digits >= 1 && digits < text.len();
    let sized = (SHORTEST..=64).contains(&text.len());
    sized && text.bytes().all(allowed) && (strange || base32)
}

/// A file of a slug that may be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its path below `/app`.
    pub path: String,
    /// Its content.
    pub content: Object,
    /// Its size (bytes).
    pub size: u64,
}

/// The static files of a slug with a hash in their names, by name.
#[derive(Debug, Clone, Default)]
pub struct Index(HashMap<String, Vec<Kept>>);

impl Index {
    /// The index of what a slug holds.
    pub fn of(listing: &Listing) -> Self {
        let mut index = Self::default();
        for (path, item) in &listing.items {
            let (Ok(path), Item::File { content, executable, size }) =
                (std::str::from_utf8(path), item)
            else {
                continue;
            };
            if is_public(path) {
                let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                let content = (*content, *executable);
                let kept = Kept { path: path.to_owned(), content, size: *size };
                index.0.entry(name).or_default().push(kept);
            }
        }
        index
    }

    /// The file that a URL's path asks for: of those with its name the one whose path agrees with
    /// it for longest from the end.
    pub fn find(&self, url: &str) -> Option<&Kept> {
        let path = url.split('?').next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        if !has_hash(name) {
            return None;
        }
        self.0
            .get(name)?
            .iter()
            .max_by_key(|kept| (common_tail(&kept.path, path), std::cmp::Reverse(kept.path.len())))
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The file that one dyno wrote and another one was asked for: the URL's whole path is the end of
/// the file's, or two segments and more of it are.
pub fn written_elsewhere<'a>(url: &str, changes: &'a [Change]) -> Option<&'a Change> {
    let path = url.split('?').next().unwrap_or_default();
    let segments = path.split('/').filter(|segment| !segment.is_empty()).count();
    let fits = |change: &&Change| {
        let common = common_tail(&change.path, path);
        change.kind != ChangeKind::Deleted && common > 0 && (common >= 2 || common == segments)
    };
    changes.iter().filter(fits).max_by_key(|change| common_tail(&change.path, path))
}

/// Segments that two paths have in common from the end.
pub fn common_tail(a: &str, b: &str) -> usize {
    let pairs = a.rsplit('/').zip(b.rsplit('/'));
    pairs.take_while(|(a, b)| a == b && !a.is_empty()).count()
}

/// Whether a file may be one that pages load. What is hidden, or is a source, is not.
fn is_public(path: &str) -> bool {
    let kind = Kind::of_path(path);
    let loads = matches!(kind, Kind::Style | Kind::Script | Kind::Image | Kind::Font)
        || (kind == Kind::Other && crate::prove::looks_static(path));
    let closed = |segment: &str| segment.starts_with('.') || segment == "node_modules";
    loads && has_hash(path) && !path.split('/').any(closed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::samples::listing;

    #[test]
    fn a_hash_is_told_from_a_word_a_date_and_a_version() {
        for name in [
            "main.3f2a91bc.js",
            "main.eda2d5fe360578eb.css",
            "/static/css/base.0c18d5c0f1f4.css",
            "2.8c1f0d3a.chunk.js",
            "index-BfVhq3Dk.js",
            "index-DiwrgTda.css",
            "index-C-x2_aB9.js",
            "chunk-5XZGMRNB.js",
            "application-5b1c9b5e6f0a8e8d2f4b6f5f0a5d8c7e9b1a2c3d.css",
            "lora-latin.0a1b2c3d4e5f6071.woff2?v=1",
            "16.1f9d3e2a.png",
        ] {
            assert!(has_hash(name), "{name}");
        }
        for name in [
            "main.js",
            "jquery-3.7.1.min.js",
            "bootstrap.bundle.min.js",
            "photo-20240101.png",
            "application.css",
            "settings.defaults.json",
            "no-extension-3f2a91bc",
            "",
            "deadbeef/main.js",
            "UPPERCASE.js",
            "facade-effaced.css",
        ] {
            assert!(!has_hash(name), "{name}");
        }
    }

    #[test]
    fn the_file_whose_path_agrees_for_longest_is_meant() {
        let index = Index::of(&listing(&[
            ("staticfiles/admin/base.0c18d5c0f1f4.css", 1),
            ("staticfiles/shop/base.0c18d5c0f1f4.css", 2),
            ("staticfiles/main.css", 3),
            (".heroku/base.0c18d5c0f1f5.css", 4),
            ("app/models-3f2a91bc.py", 5),
        ]));
        assert_eq!(index.len(), 2);
        let found = |url| index.find(url).map(|kept| kept.path.as_str());
        assert_eq!(
            found("/static/shop/base.0c18d5c0f1f4.css?x=1"),
            Some("staticfiles/shop/base.0c18d5c0f1f4.css")
        );
        assert_eq!(
            found("/assets/admin/base.0c18d5c0f1f4.css"),
            Some("staticfiles/admin/base.0c18d5c0f1f4.css")
        );
        for url in ["/static/main.css", "/base.0c18d5c0f1f5.css", "/models-3f2a91bc.py", "/", ""] {
            assert_eq!(found(url), None, "{url}");
        }
    }

    #[test]
    fn what_another_dyno_wrote_is_told_by_the_end_of_its_path() {
        let change = |path: &str, kind| {
            let (class, path) = (crate::ledger::Class::Other, path.to_owned());
            Change { path, kind, bytes: 1, class, time: 0, hash: None, by: None }
        };
        let changes = [
            change("/app/media/a.png", ChangeKind::Created),
            change("/app/uploads/b/c.png", ChangeKind::Changed),
            change("/app/media/gone.png", ChangeKind::Deleted),
            change("/app/x/robots.txt", ChangeKind::Created),
        ];
        let found = |url| written_elsewhere(url, &changes).map(|change| change.path.as_str());
        assert_eq!(found("/media/a.png?x=1"), Some("/app/media/a.png"));
        assert_eq!(found("/files/b/c.png"), Some("/app/uploads/b/c.png"));
        assert_eq!(found("/robots.txt"), Some("/app/x/robots.txt"));
        for url in ["/other/a.png", "/media/gone.png", "/", "", "/media/", "/media/b.png"] {
            assert_eq!(found(url), None, "{url}");
        }
    }

    proptest::proptest! {
        #[test]
        fn only_what_has_the_name_is_found(url in "[a-zA-Z0-9./_-]{0,40}") {
            let index = Index::of(&listing(&[("dist/assets/index-BfVhq3Dk.js", 1)]));
            let found = index.find(&url);
            assert_eq!(found.is_some(), url.rsplit('/').next() == Some("index-BfVhq3Dk.js"));
        }
    }
}
