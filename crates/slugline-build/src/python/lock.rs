//! uv.lock, poetry.lock and the pyproject.toml beside them, as far as a build reads them.

use std::path::Path;

use toml::{Table, Value};

use super::error::PythonError;
use super::requirements::normalized;
use crate::difference::Packages;

/// A lock file with its pyproject.toml.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lock {
    /// The hash of both.
    pub(crate) fingerprint: String,
    /// What is locked.
    pub(crate) packages: Packages,
    /// Whether a directory of the app is one of the packages, the app's own root for example. Then
    /// unchanged files here do not mean unchanged packages.
    pub(crate) installs_directories: bool,
    /// `requires-python`.
    pub(crate) requires_python: Option<String>,
}

/// Reads `uv.lock` or `poetry.lock`.
pub(crate) fn read(root: &Path, file: &'static str) -> Result<Lock, PythonError> {
    let mut hasher = blake3::Hasher::new();
    let mut table = |name: &'static str| {
        let text = fs_err::read_to_string(root.join(name)).map_err(|source| {
            let missing = name == "pyproject.toml" && source.kind() == std::io::ErrorKind::NotFound;
            if missing {
                PythonError::NoPyproject { file }
            } else {
                PythonError::Io { operation: "read the lock file", source }
            }
        })?;
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        text.parse::<Table>()
            .map_err(|error| PythonError::Toml { file: name, source: error.into() })
    };
    let (lock, pyproject) = (table(file)?, table("pyproject.toml")?);
    let root_is_installed = file == "poetry.lock" && poetry_installs_root(&pyproject);
    let packages = lock.get("package").and_then(Value::as_array);
    let packages: Vec<&Table> =
        packages.into_iter().flatten().filter_map(Value::as_table).collect();
    let requires = lookup(&pyproject, &["project", "requires-python"]).and_then(Value::as_str);
    Ok(Lock {
        packages: packages.iter().filter_map(|package| named(package)).collect(),
        installs_directories: root_is_installed || packages.iter().any(|p| is_directory(p)),
        requires_python: requires.map(str::to_owned),
        fingerprint: hasher.finalize().to_hex().to_string(),
    })
}

fn named(package: &Table) -> Option<(String, String)> {
    let name = package.get("name")?.as_str()?;
    let version = package.get("version").and_then(Value::as_str).unwrap_or_default();
    Some((normalized(name), version.to_owned()))
}

/// uv writes `source = { editable = "." }`, Poetry `[package.source] type = "directory"`.
fn is_directory(package: &Table) -> bool {
    let Some(source) = package.get("source").and_then(Value::as_table) else { return false };
    let kind = source.get("type").and_then(Value::as_str);
    ["editable", "directory", "path"].iter().any(|key| source.contains_key(*key))
        || matches!(kind, Some("directory" | "file"))
}

/// Poetry installs the app itself unless it is told not to.
fn poetry_installs_root(pyproject: &Table) -> bool {
    let mode = lookup(pyproject, &["tool", "poetry", "package-mode"]);
    mode.and_then(Value::as_bool).unwrap_or(true)
}

fn lookup<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (last, tables) = path.split_last()?;
    let mut table = table;
    for name in tables {
        table = table.get(*name)?.as_table()?;
    }
    table.get(*last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(file: &'static str, text: &str, pyproject: &str) -> Result<Lock, PythonError> {
        let root = tempfile::tempdir().unwrap();
        fs_err::write(root.path().join(file), text).unwrap();
        fs_err::write(root.path().join("pyproject.toml"), pyproject).unwrap();
        read(root.path(), file)
    }

    #[test]
    fn packages_and_directories_are_found() {
        let uv = "version = 1\n[[package]]\nname = \"Six_x\"\nversion = \"1.17\"\n\
                  source = { registry = \"https://index.example\" }\n";
        let pyproject = "[project]\nname = \"x\"\nrequires-python = \">=3.11\"\n";
        let read = lock("uv.lock", uv, pyproject).unwrap();
        assert_eq!(read.packages, [("six-x".to_owned(), "1.17".to_owned())].into());
        assert!(!read.installs_directories);
        assert_eq!(read.requires_python.as_deref(), Some(">=3.11"));
        let root = "[[package]]\nname = \"x\"\nversion = \"1\"\nsource = { editable = \".\" }\n";
        assert!(lock("uv.lock", root, pyproject).unwrap().installs_directories);
        let root = "[[package]]\nname = \"x\"\nversion = \"1\"\nsource = { virtual = \".\" }\n";
        assert!(!lock("uv.lock", root, pyproject).unwrap().installs_directories);
    }

    #[test]
    fn poetry_installs_the_app_unless_told_not_to() {
        let without = "[tool.poetry]\npackage-mode = false\n";
        assert!(!lock("poetry.lock", "", without).unwrap().installs_directories);
        assert!(lock("poetry.lock", "", "").unwrap().installs_directories);
        let path = "[[package]]\nname = \"a\"\nversion = \"1\"\n[package.source]\n\
                    type = \"directory\"\nurl = \"a\"\n";
        assert!(lock("poetry.lock", path, without).unwrap().installs_directories);
    }

    #[test]
    fn a_file_that_is_no_toml_is_named() {
        let error = lock("uv.lock", "[[", "").unwrap_err();
        assert!(matches!(error, PythonError::Toml { file: "uv.lock", .. }), "{error:?}");
        let root = tempfile::tempdir().unwrap();
        fs_err::write(root.path().join("poetry.lock"), "").unwrap();
        let error = read(root.path(), "poetry.lock").unwrap_err();
        assert!(matches!(error, PythonError::NoPyproject { file: "poetry.lock" }), "{error:?}");
    }
}
