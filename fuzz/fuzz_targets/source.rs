//! What lies in sources: files that name packages, versions, process types and commands.

#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use slugline_build::fuzzing;

fuzz_target!(|text: &str| {
    static DIRECTORY: OnceLock<tempfile::TempDir> = OnceLock::new();
    let directory = DIRECTORY.get_or_init(|| tempfile::tempdir().expect("a directory"));
    fuzzing::heroku_yml(text);
    fuzzing::release_yaml(text);
    fuzzing::package_json(text);
    fuzzing::python_files(directory.path(), text);
});
