//! A version of Python as apps ask for it.

use std::fmt;

/// The series that can be asked for: 3.10 to 3.14.
pub(crate) const SUPPORTED: std::ops::RangeInclusive<u32> = 10..=14;

/// The series of an app that asks for none, where it can be had.
pub(crate) const DEFAULT: Version = Version { major: 3, minor: 13, patch: None };

/// The oldest of them, which gets no fixes after October 2026.
pub(crate) const NEXT_END_OF_LIFE: Version = Version { major: 3, minor: 10, patch: None };

/// The newest releases of each series as of August 2026: an app that pins an older one misses fixes.
const LATEST_PATCHES: [(u32, u32); 5] = [(10, 21), (11, 16), (12, 14), (13, 15), (14, 7)];

/// The newest release of a version's series that is known here.
pub(crate) fn latest_patch(version: Version) -> Option<u32> {
    LATEST_PATCHES.iter().find(|(minor, _)| *minor == version.minor).map(|(_, patch)| *patch)
}

/// A Python as asked for, or as found: with a patch number or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    /// The first number: nothing but 3 is supported.
    pub(crate) major: u32,
    /// The 13 of 3.13.
    pub(crate) minor: u32,
    /// The 2 of 3.13.2.
    pub(crate) patch: Option<u32>,
}

/// Why a version cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsupported {
    /// It gets no security fixes any more.
    EndOfLife,
    /// It is newer than what this program knows of, or no Python at all.
    Unknown,
}

impl Version {
    /// `3.13` of 3.13.2.
    pub(crate) fn series(self) -> Version {
        Version { patch: None, ..self }
    }

    /// Whether this is what was asked for: of a series any.
    pub(crate) fn satisfies(self, wanted: Version) -> bool {
        self.series() == wanted.series() && (wanted.patch.is_none() || self.patch == wanted.patch)
    }

    /// Whether apps can ask for it.
    pub(crate) fn check(self) -> Result<(), Unsupported> {
        let series = (self.major, self.minor);
        if series < (3, *SUPPORTED.start()) {
            Err(Unsupported::EndOfLife)
        } else if series > (3, *SUPPORTED.end()) {
            Err(Unsupported::Unknown)
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        self.patch.map_or(Ok(()), |patch| write!(f, ".{patch}"))
    }
}

/// `3.12` or `3.12.4`: numbers without leading zeros, as on Heroku.
pub(crate) fn parse(text: &str) -> Option<Version> {
    let numbers: Option<Vec<u32>> = text.split('.').map(number).collect();
    match *numbers?.as_slice() {
        [major, minor] => Some(Version { major, minor, patch: None }),
        [major, minor, patch] => Some(Version { major, minor, patch: Some(patch) }),
        _ => None,
    }
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    (digits && !leading_zero).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_two_or_three_numbers() {
        for text in ["3.12", "3.12.4", "2.7.18", "3.0"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        for text in ["", "3", "3.x", "3.12.1.1", "pypy3.10", "3.-1", "3.+2", "3.012", "python-3.12"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn versions_are_supported_old_or_unknown() {
        let check = |text: &str| parse(text).unwrap().check();
        assert_eq!(check("3.10.1"), Ok(()));
        assert_eq!(check("3.9"), Err(Unsupported::EndOfLife));
        assert_eq!(check("2.7.18"), Err(Unsupported::EndOfLife));
        assert_eq!(check("3.15"), Err(Unsupported::Unknown));
        assert_eq!(check("12.1"), Err(Unsupported::Unknown));
    }

    #[test]
    fn a_series_is_satisfied_by_any_of_it() {
        let check =
            |found: &str, wanted: &str| parse(found).unwrap().satisfies(parse(wanted).unwrap());
        assert!(check("3.12.4", "3.12") && check("3.12.4", "3.12.4"));
        assert!(!check("3.12.4", "3.12.5") && !check("3.12.4", "3.13"));
    }
}
