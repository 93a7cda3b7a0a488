//! Which Python an app asks for, and where it says so.

use std::fmt;
use std::path::Path;

use super::error::PythonError;

/// The versions that can be asked for: 3.10 to 3.14.
pub(crate) const SUPPORTED: std::ops::RangeInclusive<u32> = 10..=14;

/// The version of an app that asks for none, where it can be had.
pub(crate) const DEFAULT: u32 = 13;

/// A Python 3 as asked for: with a patch number or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    /// The 13 of 3.13.
    pub(crate) minor: u32,
    /// The 2 of 3.13.2.
    pub(crate) patch: Option<u32>,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "3.{}", self.minor)?;
        self.patch.map_or(Ok(()), |patch| write!(f, ".{patch}"))
    }
}

/// Where a version comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `.python-version`
    PythonVersionFile,
    /// `runtime.txt`, Heroku's own older file.
    RuntimeTxt,
    /// Nobody asked.
    Default,
}

impl Origin {
    /// The file, as a person would open it.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::PythonVersionFile => ".python-version",
            Self::RuntimeTxt => "runtime.txt",
            Self::Default => "no file",
        }
    }
}

/// A version, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Requested {
    /// The version.
    pub(crate) version: Version,
    /// Its origin.
    pub(crate) origin: Origin,
}

/// Reads the app's files.
pub(crate) fn requested(root: &Path) -> Result<Requested, PythonError> {
    for origin in [Origin::PythonVersionFile, Origin::RuntimeTxt] {
        let path = root.join(origin.file());
        if path.is_file() {
            let bytes = fs_err::read(&path).map_err(PythonError::io("read the Python version"))?;
            let version = parse_file(origin, &String::from_utf8_lossy(&bytes))?;
            return Ok(Requested { version, origin });
        }
    }
    let version = Version { minor: DEFAULT, patch: None };
    Ok(Requested { version, origin: Origin::Default })
}

fn parse_file(origin: Origin, text: &str) -> Result<Version, PythonError> {
    let file = origin.file();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let lines: Vec<&str> = lines.collect();
    let [line] = lines.as_slice() else {
        return Err(PythonError::VersionFile { file, found: lines.join(", ") });
    };
    let number = match origin {
        Origin::RuntimeTxt => line.strip_prefix("python-"),
        _ => Some(line.strip_prefix("python-").unwrap_or(line)),
    };
    let version = number.and_then(parse);
    let version =
        version.ok_or_else(|| PythonError::VersionFile { file, found: (*line).to_owned() })?;
    if SUPPORTED.contains(&version.minor) {
        Ok(version)
    } else {
        Err(PythonError::UnsupportedVersion { file, version })
    }
}

/// `3.12` or `3.12.4`.
pub(crate) fn parse(text: &str) -> Option<Version> {
    let mut numbers = text.strip_prefix("3.")?.split('.');
    let digits = |part: &str| {
        (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?
    };
    let minor = digits(numbers.next()?)?;
    let patch = match numbers.next() {
        Some(part) => Some(digits(part)?),
        None => None,
    };
    numbers.next().is_none().then_some(Version { minor, patch })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(origin: Origin, text: &str, expect: &str) {
        assert_eq!(parse_file(origin, text).unwrap().to_string(), expect);
    }

    #[test]
    fn both_files_name_a_version() {
        check(Origin::PythonVersionFile, "3.12\n", "3.12");
        check(Origin::PythonVersionFile, "# ours\r\n\r\n 3.11.4 \r\n", "3.11.4");
        check(Origin::RuntimeTxt, "python-3.10.13", "3.10.13");
    }

    #[test]
    fn what_is_no_version_is_quoted_with_its_file() {
        for text in ["", "3", "3.x", "3.12.1.1", "3.12\n3.13", "pypy3.10", "3.-1", "3.+2"] {
            let result = parse_file(Origin::PythonVersionFile, text);
            assert!(matches!(result, Err(PythonError::VersionFile { .. })), "{text}");
        }
        assert!(parse_file(Origin::RuntimeTxt, "3.12").is_err());
        let old = parse_file(Origin::PythonVersionFile, "3.8");
        assert!(matches!(old, Err(PythonError::UnsupportedVersion { .. })));
    }
}
