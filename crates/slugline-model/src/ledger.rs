//! The ledger: what a dyno wrote, changed and deleted since it booted, and how to say it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::size;

/// What became of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// Not in the slug.
    Created,
    /// In the slug, with other content or another mode.
    Changed,
    /// In the slug, and gone.
    Deleted,
}

/// One path that differs from the slug.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Absolute in the dyno: `/app/media/a.png`. Bytes that are not UTF-8 and
    /// control characters are replaced.
    pub path: String,
    /// What became of it.
    pub kind: ChangeKind,
    /// Its size as it stood; 0 for a deleted one.
    pub bytes: u64,
}

/// Whether a change matters to anyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Somebody may miss it.
    Content,
    /// Bytecode, caches, sockets, temporary files, the runtime's own boot rewrites.
    Noise,
}

/// The ledger as it stood when a dyno stopped. Bounded: the largest changes are listed one by one,
/// all of them are counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Receipt {
    /// Files that somebody may miss, grouped by where they lie.
    pub groups: BTreeMap<String, Tally>,
    /// Such files one by one, largest first, at most [`LISTED`].
    pub largest: Vec<Change>,
    /// All of them.
    pub content: Tally,
    /// Files that nobody will miss.
    pub noise: Tally,
}

/// How many changes a receipt lists one by one.
pub const LISTED: usize = 1_000;

/// How many groups a receipt keeps apart.
const GROUPS: usize = 200;

/// Files and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// How many.
    pub files: u64,
    /// Their size as it stood.
    pub bytes: u64,
}

impl Tally {
    fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// Judges a path by where it lies and what it is called.
pub fn classify(path: &str) -> Class {
    if is_noise(path) { Class::Noise } else { Class::Content }
}

fn is_noise(path: &str) -> bool {
    const PLACES: [&str; 6] = ["/tmp/", "/var/tmp/", "/run/", "/etc/", "/app/.cache/", "/app/tmp/"];
    const PARTS: [&str; 4] =
        ["/__pycache__/", "/node_modules/.cache/", "/.npm/", "/.bundle/cache/"];
    const ENDINGS: [&str; 6] = [".pyc", ".pyo", ".pid", ".sock", ".lock", ".bash_history"];
    // Heroku's Python buildpack rewrites these at every boot.
    let boot_rewrite = path.contains("/.heroku/python/")
        && [".pth", ".egg-link", "__editable___"].iter().any(|part| path.contains(part));
    PLACES.iter().any(|place| path.starts_with(place))
        || PARTS.iter().any(|part| path.contains(part))
        || ENDINGS.iter().any(|ending| path.ends_with(ending))
        || boot_rewrite
}

/// The group that a path is counted in: its first directory below the app, or the file itself.
fn group(path: &str) -> String {
    let Some(rest) = path.strip_prefix("/app/") else {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        return format!("/{first}/");
    };
    match rest.split_once('/') {
        Some((directory, _)) => format!("{directory}/"),
        None => rest.to_owned(),
    }
}

impl Receipt {
    /// Counts one change.
    pub fn add(&mut self, change: Change) {
        if classify(&change.path) == Class::Noise {
            self.noise.add(change.bytes);
            return;
        }
        self.content.add(change.bytes);
        let mut name = group(&change.path);
        if self.groups.len() >= GROUPS && !self.groups.contains_key(&name) {
            "elsewhere".clone_into(&mut name);
        }
        self.groups.entry(name).or_default().add(change.bytes);
        self.largest.push(change);
        if self.largest.len() >= 2 * LISTED {
            self.keep_largest();
        }
    }

    /// Brings the list to its final, bounded form.
    #[must_use]
    pub fn finish(mut self) -> Self {
        self.keep_largest();
        self
    }

    fn keep_largest(&mut self) {
        self.largest.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.path.cmp(&b.path)));
        self.largest.truncate(LISTED);
    }

    /// One line for the log: `Discarded 3 files, 1.2MB: media/ (1, 1.1MB) db.sqlite3 (1, 132kB)`.
    pub fn headline(&self) -> String {
        const SHOWN: usize = 6;
        if self.content.files == 0 {
            return match self.noise.files {
                0 => "Discarded nothing: the dyno had written no files".to_owned(),
                n => format!(
                    "Discarded nothing of note ({} of caches and temporary data, {})",
                    size::files(n),
                    size::human(self.noise.bytes)
                ),
            };
        }
        let Tally { files, bytes } = self.content;
        let mut line = format!("Discarded {}, {}:", size::files(files), size::human(bytes));
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by(|a, b| b.1.bytes.cmp(&a.1.bytes).then_with(|| a.0.cmp(b.0)));
        for (name, tally) in groups.iter().take(SHOWN) {
            let _ = write!(line, " {name} ({}, {})", tally.files, size::human(tally.bytes));
        }
        if groups.len() > SHOWN {
            let _ = write!(line, " and {} more places", groups.len() - SHOWN);
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(changes: &[(&str, u64)]) -> Receipt {
        let mut receipt = Receipt::default();
        for (path, bytes) in changes {
            let path = (*path).to_owned();
            receipt.add(Change { path, kind: ChangeKind::Created, bytes: *bytes });
        }
        receipt.finish()
    }

    #[test]
    fn the_headline_names_what_somebody_may_miss() {
        let receipt = receipt(&[
            ("/app/db.sqlite3", 132_000),
            ("/app/media/covers/a.png", 1_100_000),
            ("/app/library/__pycache__/a.pyc", 50_000),
            ("/app/.heroku/python/lib/python3.11/site-packages/a.pth", 50),
            ("/tmp/x", 5),
        ]);
        assert_eq!(
            receipt.headline(),
            "Discarded 2 files, 1.2MB: media/ (1, 1.1MB) db.sqlite3 (1, 132kB)"
        );
        assert_eq!(receipt.noise.files, 3);
        assert_eq!(receipt.largest[0].path, "/app/media/covers/a.png");
    }

    #[test]
    fn an_app_that_behaves_has_an_empty_headline() {
        assert_eq!(receipt(&[]).headline(), "Discarded nothing: the dyno had written no files");
        assert_eq!(
            receipt(&[("/tmp/a", 2_000)]).headline(),
            "Discarded nothing of note (1 file of caches and temporary data, 2kB)"
        );
    }

    #[test]
    fn a_receipt_is_bounded_and_counts_everything() {
        let mut receipt = Receipt::default();
        for number in 0..5_000 {
            let path = format!("/app/d{number}/f");
            receipt.add(Change { path, kind: ChangeKind::Created, bytes: number });
        }
        let receipt = receipt.finish();
        assert_eq!((receipt.largest.len(), receipt.content.files), (LISTED, 5_000));
        assert_eq!(receipt.largest[0].bytes, 4_999);
        assert_eq!(receipt.groups.values().map(|t| t.files).sum::<u64>(), 5_000);
        assert!(receipt.groups.len() <= GROUPS + 1);
    }
}
