//! Pipfile.lock as requirements with hashes, and whether it still locks its Pipfile.
//!
//! What is installed is what `pipenv install --deploy` installs; Pipenv itself is not needed for it.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value};

use super::error::PythonError;
use super::requirements::normalized;
use crate::difference::Packages;

/// Pipfile.lock, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PipfileLock {
    /// The hash of the file.
    pub(crate) fingerprint: String,
    /// What is locked.
    pub(crate) packages: Packages,
    /// As lines of a requirements file.
    pub(crate) requirements: String,
    /// The hashes of the packages that have some.
    pub(crate) hashes: Packages,
    /// Whether a directory of the app is one of the packages.
    pub(crate) installs_directories: bool,
    /// The package indexes, the default one first.
    pub(crate) indexes: Vec<Index>,
}

/// A package index of Pipfile.lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    /// `pypi` is the name of the public one.
    pub(crate) name: String,
    /// May name environment variables.
    pub(crate) url: String,
}

/// Reads Pipfile.lock, and refuses it when the Pipfile was changed since it was locked.
pub(crate) fn read(root: &Path) -> Result<PipfileLock, PythonError> {
    let io = PythonError::io("read Pipfile.lock");
    let bytes = fs_err::read(root.join("Pipfile.lock")).map_err(io)?;
    let lock: Value = serde_json::from_slice(&bytes).map_err(PythonError::PipfileLock)?;
    check_pipfile(root, &lock)?;
    let empty = Map::new();
    let entries = lock["default"].as_object().unwrap_or(&empty);
    let mut read = PipfileLock {
        fingerprint: blake3::hash(&bytes).to_hex().to_string(),
        indexes: indexes(&lock),
        ..PipfileLock::default()
    };
    for (name, entry) in entries {
        read.add(name, entry);
    }
    Ok(read)
}

impl PipfileLock {
    fn add(&mut self, name: &str, entry: &Value) {
        let text = |key: &str| entry[key].as_str().filter(|value| !value.is_empty());
        let extras: Vec<&str> =
            entry["extras"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let extras =
            if extras.is_empty() { String::new() } else { format!("[{}]", extras.join(",")) };
        let line = if let Some(path) = text("path") {
            self.installs_directories = true;
            let editable = entry["editable"].as_bool().unwrap_or(false);
            format!("{}{path}{extras}", if editable { "-e " } else { "" })
        } else if let Some(url) = repository(entry) {
            format!("{name}{extras} @ {url}")
        } else if let Some(file) = text("file") {
            format!("{name}{extras} @ {file}")
        } else {
            format!("{name}{extras}{}", text("version").unwrap_or_default())
        };
        self.requirements.push_str(&line);
        if let Some(markers) = text("markers") {
            let _ = write!(self.requirements, " ; {markers}");
        }
        let hashes = entry["hashes"].as_array().map(Vec::as_slice).unwrap_or_default();
        let hashes: Vec<&str> = hashes.iter().filter_map(Value::as_str).collect();
        for hash in &hashes {
            let _ = write!(self.requirements, " \\\n    --hash={hash}");
        }
        if !hashes.is_empty() {
            self.hashes.insert(normalized(name), hashes.join(" "));
        }
        self.requirements.push('\n');
        let what = text("version").or(text("ref")).unwrap_or_default();
        self.packages.insert(normalized(name), what.to_owned());
    }
}

/// `git+https://…@ref#subdirectory=…`
fn repository(entry: &Value) -> Option<String> {
    let (kind, url) = ["git", "hg", "svn", "bzr"]
        .iter()
        .find_map(|kind| Some((*kind, entry[*kind].as_str()?)))?;
    let reference = entry["ref"].as_str().map(|r| format!("@{r}")).unwrap_or_default();
    let below = entry["subdirectory"].as_str().map(|d| format!("#subdirectory={d}"));
    let prefix = if url.starts_with(&format!("{kind}+")) { "" } else { &format!("{kind}+") };
    Some(format!("{prefix}{url}{reference}{}", below.unwrap_or_default()))
}

fn indexes(lock: &Value) -> Vec<Index> {
    let sources = lock["_meta"]["sources"].as_array().map(Vec::as_slice).unwrap_or_default();
    let index = |source: &Value| {
        let name = source["name"].as_str().unwrap_or_default().to_owned();
        Some(Index { name, url: source["url"].as_str()?.to_owned() })
    };
    sources.iter().filter_map(index).collect()
}

/// Pipenv keeps in the lock file the hash of the Pipfile that it locked.
fn check_pipfile(root: &Path, lock: &Value) -> Result<(), PythonError> {
    let Ok(text) = fs_err::read_to_string(root.join("Pipfile")) else { return Ok(()) };
    let Some(locked) = lock["_meta"]["hash"]["sha256"].as_str() else { return Ok(()) };
    let pipfile: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        PythonError::Toml { file: "Pipfile", source: error.into() }
    })?;
    // A Pipfile without a source has the public index, which Pipfile.lock then names.
    let default_sources = &lock["_meta"]["sources"];
    // Newer versions of Pipenv hash normalized names, older ones names as they are written.
    let as_written = |name: &str| name.to_owned();
    let names: [fn(&str) -> String; 2] = [normalized, as_written];
    let hash = |name| sha256(hashed_content(&pipfile, default_sources, name).as_bytes());
    if names.into_iter().any(|name| hash(name) == locked) {
        Ok(())
    } else {
        Err(PythonError::LockFile {
            file: "Pipfile.lock",
            source_file: "Pipfile",
            output: "The Pipfile was changed after Pipfile.lock was made from it.".to_owned(),
        })
    }
}

/// Sections that are no packages.
const SECTIONS: [&str; 9] = [
    "source",
    "packages",
    "dev-packages",
    "requires",
    "scripts",
    "pipfile",
    "pipenv",
    "default",
    "develop",
];

/// What Pipenv hashes: the Pipfile's sources, requirements and packages as JSON with sorted keys.
fn hashed_content(
    pipfile: &toml::Table,
    default_sources: &Value,
    package_name: fn(&str) -> String,
) -> String {
    let section = |name: &str| pipfile.get(name).map_or(Value::Object(Map::new()), to_json);
    let named = |section: Value| match section {
        Value::Object(map) => Value::Object(
            map.into_iter().map(|(name, value)| (package_name(&name), value)).collect(),
        ),
        other => other,
    };
    let mut data = Map::new();
    let sources = pipfile.get("source").map_or_else(|| default_sources.clone(), to_json);
    let meta = [("sources".to_owned(), sources), ("requires".to_owned(), section("requires"))];
    data.insert("_meta".to_owned(), Value::Object(meta.into_iter().collect()));
    data.insert("default".to_owned(), named(section("packages")));
    data.insert("develop".to_owned(), named(section("dev-packages")));
    for (name, value) in pipfile.iter().filter(|(name, _)| !SECTIONS.contains(&name.as_str())) {
        data.insert(name.clone(), named(to_json(value)));
    }
    let mut out = String::new();
    write_as_python(&Value::Object(data), &mut out);
    out
}

fn to_json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text.clone()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::from(*number),
        toml::Value::Boolean(truth) => Value::from(*truth),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
        toml::Value::Array(values) => values.iter().map(to_json).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.iter().map(|(key, value)| (key.clone(), to_json(value))).collect())
        }
    }
}

/// JSON as Python's `json.dumps(…, sort_keys=True, separators=(",", ":"))` writes it: the hash is of
/// these very bytes, in which all but ASCII is escaped.
fn write_as_python(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let mut separator = '{';
            for key in &keys {
                out.push(separator);
                write_as_python(&Value::from(key.as_str()), out);
                out.push(':');
                write_as_python(&map[*key], out);
                separator = ',';
            }
            out.push_str(if keys.is_empty() { "{}" } else { "}" });
        }
        Value::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_as_python(value, out);
            }
            out.push(']');
        }
        Value::String(_) => {
            for c in value.to_string().chars() {
                if c.is_ascii() {
                    out.push(c);
                } else {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        let _ = write!(out, "\\u{unit:04x}");
                    }
                }
            }
        }
        other => out.push_str(&other.to_string()),
    }
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
#[path = "pipfile_tests.rs"]
mod tests;
