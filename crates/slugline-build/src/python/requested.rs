//! Which Python an app asks for, and where it says so.

use std::path::Path;

use serde_json::Value;

use super::error::PythonError;
use super::package_client::PackageClient;
use super::version::{self, DEFAULT, Version};

/// Where a version comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// `runtime.txt`, Heroku's own older file. It comes first there, and so here.
    RuntimeTxt,
    /// `.python-version`
    PythonVersionFile,
    /// `python_full_version` or `python_version` of Pipfile.lock.
    PipfileLock,
    /// Nobody asked, and the last build had one.
    Cache,
    /// Nobody asked.
    Default,
}

impl Origin {
    /// The file, as a person would open it.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::RuntimeTxt => "runtime.txt",
            Self::PythonVersionFile => ".python-version",
            Self::PipfileLock => "Pipfile.lock",
            Self::Cache => "the cache",
            Self::Default => "no file",
        }
    }

    /// Whether the app says which version it wants.
    pub(crate) fn is_asked(self) -> bool {
        !matches!(self, Self::Cache | Self::Default)
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

/// Reads the app's files; `last` is what the last build ran on.
pub(crate) fn read(
    root: &Path,
    client: PackageClient,
    last: Option<Version>,
) -> Result<Requested, PythonError> {
    let requested = find(root, client, last)?;
    requested.version.check().map_err(|why| PythonError::UnsupportedVersion { requested, why })?;
    match (client, requested.origin) {
        (PackageClient::Uv, Origin::RuntimeTxt) => Err(PythonError::RuntimeTxtForUvLock),
        (PackageClient::Uv, Origin::Cache | Origin::Default) => {
            Err(PythonError::NoVersionForUvLock)
        }
        _ => Ok(requested),
    }
}

fn find(
    root: &Path,
    client: PackageClient,
    last: Option<Version>,
) -> Result<Requested, PythonError> {
    for origin in [Origin::RuntimeTxt, Origin::PythonVersionFile] {
        let path = root.join(origin.file());
        if path.is_file() {
            let bytes = fs_err::read(&path).map_err(PythonError::io("read the Python version"))?;
            return Ok(Requested { version: parse_file(origin, &bytes)?, origin });
        }
    }
    if let Some(name) = misspelled(root) {
        return Err(PythonError::MisspelledVersionFile { name });
    }
    if client == PackageClient::Pipenv {
        let text = fs_err::read_to_string(root.join("Pipfile.lock"))
            .map_err(PythonError::io("read Pipfile.lock"))?;
        if let Some(version) = of_pipfile_lock(&text)? {
            return Ok(Requested { version, origin: Origin::PipfileLock });
        }
    }
    Ok(match last {
        Some(last) => Requested { version: last.series(), origin: Origin::Cache },
        None => Requested { version: DEFAULT, origin: Origin::Default },
    })
}

fn parse_file(origin: Origin, bytes: &[u8]) -> Result<Version, PythonError> {
    let file = origin.file();
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(PythonError::VersionFile { file, found: "text in UTF-16".to_owned() });
    }
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let lines = text.lines().map(str::trim);
    let lines: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let number = |line: &&str| match origin {
        Origin::RuntimeTxt => line.strip_prefix("python-").and_then(version::parse),
        _ => version::parse(line.strip_prefix("python-").unwrap_or(line)),
    };
    let versions: Option<Vec<Version>> = lines.iter().map(number).collect();
    match versions.as_deref() {
        Some([one]) => Ok(*one),
        Some([_, _, ..]) => Err(PythonError::SeveralVersions { file, found: lines.join(", ") }),
        _ => Err(PythonError::VersionFile { file, found: lines.join(", ") }),
    }
}

/// Both fields are optional; the full one comes first. Pipenv does not tell their forms apart.
fn of_pipfile_lock(text: &str) -> Result<Option<Version>, PythonError> {
    let lock: Value = serde_json::from_str(text).map_err(PythonError::PipfileLock)?;
    let requires = &lock["_meta"]["requires"];
    let fields = ["python_full_version", "python_version"];
    let Some(found) = fields.iter().find_map(|field| requires[field].as_str()) else {
        return Ok(None);
    };
    let wrong = || PythonError::VersionFile { file: "Pipfile.lock", found: found.to_owned() };
    version::parse(found).map(Some).ok_or_else(wrong)
}

/// A file that was probably meant to be `.python-version`.
fn misspelled(root: &Path) -> Option<String> {
    let letters = |name: &str| -> String {
        let lower = name.to_ascii_lowercase();
        let stem = lower.strip_suffix(".txt").unwrap_or(&lower);
        stem.chars().filter(char::is_ascii_alphanumeric).collect()
    };
    let names = fs_err::read_dir(root).ok()?.flatten();
    let mut names: Vec<String> = names
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| letters(name) == "pythonversion")
        .collect();
    names.sort();
    names.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_in(
        files: &[(&str, &str)],
        client: PackageClient,
        last: Option<&str>,
    ) -> Result<String, PythonError> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs_err::write(root.path().join(name), text).unwrap();
        }
        let last = last.map(|text| version::parse(text).unwrap());
        read(root.path(), client, last).map(|r| format!("{} {}", r.version, r.origin.file()))
    }

    #[test]
    fn each_file_names_a_version_and_the_first_one_counts() {
        let check = |files: &[(&str, &str)], expect: &str| {
            assert_eq!(read_in(files, PackageClient::Pipenv, None).unwrap(), expect);
        };
        let pipfile = ("Pipfile.lock", r#"{"_meta": {"requires": {"python_version": "3.11"}}}"#);
        check(&[(".python-version", "3.12\n"), pipfile], "3.12 .python-version");
        check(&[(".python-version", "# ours\r\n\r\n 3.11.4 \r\n")], "3.11.4 .python-version");
        check(&[(".python-version", "\u{feff}3.11")], "3.11 .python-version");
        let both = [("runtime.txt", "python-3.10.13"), (".python-version", "3.12")];
        check(&both, "3.10.13 runtime.txt");
        check(&[pipfile], "3.11 Pipfile.lock");
        let full = r#"{"_meta": {"requires": {"python_version": "3.11", "python_full_version": "3.12.1"}}}"#;
        check(&[("Pipfile.lock", full)], "3.12.1 Pipfile.lock");
        check(&[("Pipfile.lock", "{}")], "3.13 no file");
    }

    #[test]
    fn who_asks_for_nothing_stays_on_the_series_of_the_last_build() {
        let check = |last, expect: &str| {
            assert_eq!(read_in(&[], PackageClient::Pip, last).unwrap(), expect);
        };
        check(None, "3.13 no file");
        check(Some("3.11.4"), "3.11 the cache");
        let old = read_in(&[], PackageClient::Pip, Some("3.9.1"));
        assert!(matches!(old, Err(PythonError::UnsupportedVersion { .. })));
    }

    #[test]
    fn what_is_no_version_is_quoted_with_its_file() {
        let of = |name: &str, text: &str| read_in(&[(name, text)], PackageClient::Pip, None);
        for text in ["", "3", "3.x", "# 3.12", "\"3.12\"", "3.12 # ours"] {
            let result = of(".python-version", text);
            assert!(matches!(result, Err(PythonError::VersionFile { .. })), "{text}");
        }
        assert!(of("runtime.txt", "3.12").is_err());
        let several = of(".python-version", "3.12\n3.13");
        assert!(matches!(several, Err(PythonError::SeveralVersions { .. })));
        let misspelled = of("python_version.txt", "3.12");
        assert!(matches!(misspelled, Err(PythonError::MisspelledVersionFile { .. })));
        assert!(of("python_version.py", "").is_ok());
    }

    #[test]
    fn uv_wants_its_own_file() {
        let none = read_in(&[], PackageClient::Uv, Some("3.12.1"));
        assert!(matches!(none, Err(PythonError::NoVersionForUvLock)));
        let old = read_in(&[("runtime.txt", "python-3.12.1")], PackageClient::Uv, None);
        assert!(matches!(old, Err(PythonError::RuntimeTxtForUvLock)));
    }
}
