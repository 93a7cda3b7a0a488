//! npm's version ranges: `20.x`, `>=18 <21`, `^18 || ^20`, `18 - 20`.

use semver::{Version, VersionReq};

/// A range: a version is in it if any of its alternatives takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Range(Vec<VersionReq>);

impl Range {
    /// Reads a range as npm writes it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.split("||").map(alternative).collect::<Option<_>>().map(Self)
    }

    /// Whether a version is in the range.
    pub(crate) fn contains(&self, version: &Version) -> bool {
        self.0.iter().any(|requirement| requirement.matches(version))
    }

    /// The highest major version of which the range takes the newest, looking down from a ceiling.
    pub(crate) fn major_below(&self, ceiling: u64) -> Option<u64> {
        let newest_of = |major: &u64| self.contains(&Version::new(*major, u64::MAX, u64::MAX));
        // Even majors are the ones with long-term support.
        let even = (0..=ceiling).rev().filter(|major| major % 2 == 0);
        even.chain((0..=ceiling).rev()).find(newest_of)
    }
}

fn alternative(text: &str) -> Option<VersionReq> {
    let text = text.trim();
    if let Some((low, high)) = text.split_once(" - ") {
        return VersionReq::parse(&format!(">={}, <={}", plain(low), plain(high))).ok();
    }
    // `>= 18` is one comparator, `>=18 <21` are two.
    let mut words: Vec<String> = Vec::new();
    let mut operator = String::new();
    for word in text.split_whitespace() {
        operator.push_str(word);
        if word.chars().any(|c| c.is_ascii_alphanumeric() || c == '*') {
            words.push(comparator(&std::mem::take(&mut operator)));
        }
    }
    let joined = if words.is_empty() { "*".to_owned() } else { words.join(", ") };
    VersionReq::parse(&joined).ok()
}

/// A bare `18.2` means any 18.2 for npm, and a bare `18.2.1` exactly that.
fn comparator(word: &str) -> String {
    let version = plain(word.trim_start_matches(['<', '>', '=', '~', '^']));
    let operator = &word[..word.len() - word.trim_start_matches(['<', '>', '=', '~', '^']).len()];
    match (operator, version.as_str()) {
        (_, "*") => "*".to_owned(),
        ("" | "=", _) => format!("={version}"),
        ("~>", _) => format!("~{version}"),
        _ => format!("{operator}{version}"),
    }
}

/// `v18.x` and `18.*` are `18`; `latest` and `lts/*` are anything.
fn plain(version: &str) -> String {
    let version = version.trim().trim_start_matches('v');
    let is_number = |part: &&str| part.starts_with(|c: char| c.is_ascii_digit());
    let parts: Vec<&str> = version.split('.').take_while(is_number).collect();
    if parts.is_empty() { "*".to_owned() } else { parts.join(".") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(range: &str, inside: &[&str], outside: &[&str]) {
        let range = Range::parse(range).unwrap();
        let contains = |text: &&str| range.contains(&text.parse().unwrap());
        for version in inside {
            assert!(contains(version), "{range:?} should take {version}");
        }
        for version in outside {
            assert!(!contains(version), "{range:?} should not take {version}");
        }
    }

    #[test]
    fn ranges_mean_what_they_mean_to_npm() {
        check("20.x", &["20.0.0", "20.20.2"], &["21.0.0"]);
        check("20", &["20.1.0"], &["21.0.0"]);
        check("20.1", &["20.1.9"], &["20.2.0"]);
        check("20.1.2", &["20.1.2"], &["20.1.3"]);
        check(">=18 <21", &["18.0.0", "20.9.9"], &["21.0.0", "17.9.9"]);
        check(">= 18", &["18.0.0", "24.0.0"], &["17.0.0"]);
        check("^18.2 || ^20", &["18.3.0", "20.0.1"], &["18.1.0", "19.0.0"]);
        check("~20.1.2", &["20.1.9"], &["20.2.0"]);
        check("18 - 20", &["18.0.0", "20.5.0"], &["21.0.0"]);
        check("v20.1.2", &["20.1.2"], &["20.1.1"]);
        check("*", &["1.0.0"], &[]);
        check("", &["1.0.0"], &[]);
    }

    #[test]
    fn the_newest_supported_major_is_found() {
        let major = |range: &str| Range::parse(range).unwrap().major_below(26);
        assert_eq!(major(">=18 <21"), Some(20));
        assert_eq!(major("19.x"), Some(19));
        assert_eq!(major("*"), Some(26));
        assert_eq!(major("18.2.1"), None);
    }
}
