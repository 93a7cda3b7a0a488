//! What fuzz targets reach that callers do not: each takes whatever text there is in a source.

use std::path::Path;

use crate::process_types::ReleaseOutput;
use crate::{heroku_yml, nodejs, python};

/// Reads a heroku.yml.
pub fn heroku_yml(text: &str) {
    let _ = heroku_yml::parse(text);
}

/// Reads what a buildpack's `bin/release` prints.
pub fn release_yaml(text: &str) {
    let _ = ReleaseOutput::parse("buildpack", text);
}

/// Reads a package.json, and the ranges that it asks for.
pub fn package_json(text: &str) {
    nodejs::fuzz(text);
}

/// Reads a requirements file, a Pipfile.lock, a lock file of uv or Poetry, and files that name a
/// version of Python, all of them this text, in this directory.
pub fn python_files(directory: &Path, text: &str) {
    python::fuzz(directory, text);
}
