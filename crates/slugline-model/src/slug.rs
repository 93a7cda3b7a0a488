//! The slug: its identity, its manifest, and how large it may be.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::procfile::ProcessTypes;
use crate::size;

/// A slug's identity: the BLAKE3 hash of its manifest, in hexadecimal. The same tree has the same
/// identity whatever its times and order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SlugId(String);

impl SlugId {
    /// The 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is not a slug's identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a slug's identity: it must be 64 lowercase hexadecimal digits")]
pub struct SlugIdError(String);

impl FromStr for SlugId {
    type Err = SlugIdError;
    fn from_str(text: &str) -> Result<Self, SlugIdError> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 64 && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(SlugIdError(text.to_owned()))
        }
    }
}

impl fmt::Display for SlugId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SlugId {
    type Error = SlugIdError;
    fn try_from(text: String) -> Result<Self, SlugIdError> {
        text.parse()
    }
}

impl From<SlugId> for String {
    fn from(id: SlugId) -> String {
        id.0
    }
}

/// Where the tree of a slug is, with the slug's files in its `app`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlugView {
    /// In a directory that nobody may write to.
    Tree(PathBuf),
    /// In a file system image of names, which is mounted over a directory of contents.
    Image {
        /// An EROFS image. Its files name their contents as a data-only layer of an overlay is
        /// asked for them.
        image: PathBuf,
        /// The contents.
        objects: PathBuf,
    },
}

/// What the store says of a slug it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlugSummary {
    /// Its identity.
    pub id: SlugId,
    /// The process types that came with its source or its buildpacks.
    pub process_types: ProcessTypes,
    /// Regular files in it.
    pub files: u64,
    /// Their bytes, unpacked.
    pub bytes: u64,
    /// Their bytes, packed: the size that the limits speak of.
    pub packed_bytes: u64,
    /// Files that the store did not hold yet.
    pub new_files: u64,
}

/// What the limits say of a slug's packed size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SizeVerdict {
    /// Small enough.
    Fits,
    /// Released, with this warning.
    Large(String),
    /// Refused, with these lines.
    TooLarge(Vec<String>),
}

/// Judges a packed size (bytes) by the limits, in Heroku's words.
pub fn judge_size(packed_bytes: u64, limits: &Limits) -> SizeVerdict {
    let megabytes = |bytes: u64| bytes >> 20;
    if packed_bytes > limits.slug_hard {
        SizeVerdict::TooLarge(vec![
            format!(
                "Compiled slug size: {} is too large (max is {}M).",
                size::slug_size(packed_bytes),
                megabytes(limits.slug_hard)
            ),
            "See: http://devcenter.heroku.com/articles/slug-size".to_owned(),
            "Push failed".to_owned(),
        ])
    } else if packed_bytes > limits.slug_soft {
        SizeVerdict::Large(format!(
            "Warning: Your slug size ({} MB) exceeds our soft limit ({} MB) which may affect boot \
             time.",
            megabytes(packed_bytes),
            megabytes(limits.slug_soft)
        ))
    } else {
        SizeVerdict::Fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_judged_in_herokus_words() {
        let limits = Limits::default();
        assert_eq!(judge_size(300 << 20, &limits), SizeVerdict::Fits);
        assert_eq!(
            judge_size(364 << 20, &limits),
            SizeVerdict::Large(
                "Warning: Your slug size (364 MB) exceeds our soft limit (300 MB) which may \
                 affect boot time."
                    .into()
            )
        );
        let SizeVerdict::TooLarge(lines) = judge_size(606_181_786, &limits) else { panic!() };
        assert_eq!(lines[0], "Compiled slug size: 578.1M is too large (max is 500M).");
    }
}
