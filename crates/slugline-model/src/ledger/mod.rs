//! The ledger: what a dyno wrote, changed and deleted since it booted, and how to say it.

mod classes;
mod rules;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::size;

pub use classes::{Class, Classifier, Found, HEAD, classify};

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
    /// What it is for.
    #[serde(default)]
    pub class: Class,
    /// When it was written last (microseconds since 1970); 0 for a deleted one.
    #[serde(default)]
    pub time: i64,
    /// BLAKE3 of its content, in hex, where it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// What the process was started as that wrote it last, where the kernel told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// The ledger as it stands, or stood when a dyno stopped. Bounded: the largest changes are listed one by one,
/// all of them are counted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Receipt {
    /// Files that somebody may miss, grouped by where they lie.
    pub groups: BTreeMap<String, Group>,
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

/// Files that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Group {
    /// How many, and their size.
    #[serde(flatten)]
    pub tally: Tally,
    /// What the largest of them is for.
    #[serde(default)]
    pub class: Class,
    /// Its size (bytes).
    #[serde(skip)]
    largest: u64,
}

impl Group {
    fn add(&mut self, change: &Change) {
        if self.tally.files == 0 || change.bytes > self.largest {
            (self.class, self.largest) = (change.class, change.bytes);
        }
        self.tally.add(change.bytes);
    }
}

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

/// The group that a path is counted in: its first directory below the app, or the file itself.
fn group(path: &str) -> Cow<'_, str> {
    let Some(rest) = path.strip_prefix("/app/") else {
        let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        return format!("/{first}/").into();
    };
    rest.split_inclusive('/').next().unwrap_or_default().into()
}

impl Receipt {
    /// Counts one change.
    pub fn add(&mut self, change: Change) {
        if change.class.is_noise() {
            self.noise.add(change.bytes);
            return;
        }
        self.content.add(change.bytes);
        let name = group(&change.path);
        if let Some(group) = self.groups.get_mut(name.as_ref()) {
            group.add(&change);
        } else {
            let is_full = self.groups.len() >= GROUPS;
            let name = if is_full { "elsewhere".to_owned() } else { name.into_owned() };
            self.groups.entry(name).or_default().add(&change);
        }
        self.largest.push(change);
        if self.largest.len() >= 2 * LISTED {
            self.keep_largest();
        }
    }

    /// Brings the list to its final, bounded form.
    #[must_use]
    pub fn finish(mut self) -> Self {
        self.keep_largest();
        self.groups.values_mut().for_each(|group| group.largest = 0);
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
        let bytes = |group: &Group| group.tally.bytes;
        groups.sort_by(|a, b| bytes(b.1).cmp(&bytes(a.1)).then_with(|| a.0.cmp(b.0)));
        for (name, Group { tally, .. }) in groups.iter().take(SHOWN) {
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

    fn created(path: String, bytes: u64) -> Change {
        let kind = ChangeKind::Created;
        let class = classify(&Found { path: &path, kind, bytes, head: b"" }, &[]);
        Change { path, kind, bytes, class, time: 0, hash: None, by: None }
    }

    fn receipt(changes: &[(&str, u64)]) -> Receipt {
        let mut receipt = Receipt::default();
        for (path, bytes) in changes {
            let path = (*path).to_owned();
            receipt.add(created(path, *bytes));
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
            receipt.add(created(path, number));
        }
        let receipt = receipt.finish();
        assert_eq!((receipt.largest.len(), receipt.content.files), (LISTED, 5_000));
        assert_eq!(receipt.largest[0].bytes, 4_999);
        assert_eq!(receipt.groups.values().map(|g| g.tally.files).sum::<u64>(), 5_000);
        assert!(receipt.groups.len() <= GROUPS + 1);
    }
}
