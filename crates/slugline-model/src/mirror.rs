//! Mirrors: where builds fetch from instead of an address that they were written for.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where a build finds the programs in whose place our binary stands, below this and by their own
/// paths.
pub const REAL_PROGRAMS: &str = "/.slugline/real";

/// Where a build finds what the operator configured: `mirrors.json`, `gitconfig`, and the
/// directories by number.
pub const CONFIGURED: &str = "/.slugline/mirrors";

/// An address whose place another one takes, during builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mirror {
    /// A URL prefix with a slash at its end: `https://nodejs.org/download/`.
    pub from: String,
    /// What takes its place.
    pub to: MirrorTarget,
}

/// What takes an address's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MirrorTarget {
    /// Another URL prefix, with a slash at its end.
    Url(String),
    /// A directory.
    Directory(PathBuf),
}

/// Which mirror covers a URL, by its index, and what of the URL lies behind the prefix. Of several
/// the most exact one.
pub fn covering<'a>(mirrors: &[Mirror], url: &'a str) -> Option<(usize, &'a str)> {
    let covers = |(index, mirror): (usize, &Mirror)| {
        url.strip_prefix(mirror.from.as_str()).map(|rest| (index, rest))
    };
    mirrors.iter().enumerate().filter_map(covers).min_by_key(|(_, rest)| rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_prefix_covers_a_url() {
        let mirror = |from: &str| Mirror {
            from: from.to_owned(),
            to: MirrorTarget::Directory(PathBuf::from("/srv")),
        };
        let mirrors = [mirror("https://a.example/"), mirror("https://a.example/dist/")];
        let covering = |url| covering(&mirrors, url);
        assert_eq!(covering("https://a.example/dist/v1/x.tgz"), Some((1, "v1/x.tgz")));
        assert_eq!(covering("https://a.example/distance"), Some((0, "distance")));
        assert_eq!(covering("https://a.example.org/dist/"), None);
    }
}
