//! Every message of the Python buildpack as the app's author reads it.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use slugline_model::build::exit_code;

use super::*;
use crate::hook::HookError;
use crate::python::version;

fn status(code: i32) -> ExitStatus {
    ExitStatus::from_raw(code << 8)
}

fn check(name: &str, error: impl Into<PythonError>, expect: i32) {
    let error = error.into();
    assert_eq!(error.exit_code(), expect, "{name}");
    let message = explain(&error);
    assert_eq!(message.silent_parts(), ["state"], "{message:?}");
    insta::assert_snapshot!(name, message.gutter());
}

#[test]
fn every_way_a_hook_fails_is_explained() {
    let hook = || "bin/post_compile".to_owned();
    let shebang = || "#!/usr/bin/fish".to_owned();
    let denied = io::Error::from(io::ErrorKind::PermissionDenied);
    let failing = [
        ("hook_failed", HookError::Failed { hook: hook(), status: status(3) }),
        (
            "hook_windows_line_endings",
            HookError::WindowsLineEndings { hook: hook(), shebang: shebang() },
        ),
        ("hook_interpreter", HookError::Interpreter { hook: hook(), shebang: shebang() }),
        ("hook_start", HookError::Start { hook: hook(), source: denied }),
    ];
    for (name, error) in failing {
        check(name, error, exit_code::HOOK);
    }
}

#[test]
fn what_the_app_asks_for_wrongly_is_explained() {
    let requested =
        |text: &str, origin| Requested { version: version::parse(text).unwrap(), origin };
    let no_runtime = |requested, available: &[&str]| PythonError::NoRuntime {
        requested,
        available: available.iter().map(|&text| text.to_owned()).collect(),
        output: "error: no download found\n".to_owned(),
    };
    let wrong = |file, found: &str| PythonError::VersionFile { file, found: found.into() };
    let out_of_range = PythonError::OutOfRange {
        file: "pyproject.toml",
        range: ">=3.12".into(),
        version: version::parse("3.11.9").unwrap(),
        requested: requested("3.11", Origin::PythonVersionFile),
    };
    let several = ".python-version";
    for (name, error) in [
        ("no_version_for_uv_lock", PythonError::NoVersionForUvLock),
        ("runtime_txt_for_uv_lock", PythonError::RuntimeTxtForUvLock),
        ("no_dependencies", PythonError::NoDependencies { has_setup_py: false }),
        ("setup_py_only", PythonError::NoDependencies { has_setup_py: true }),
        ("no_pipfile_lock", PythonError::NoPipfileLock),
        ("no_pyproject", PythonError::NoPyproject { file: "poetry.lock" }),
        (
            "several_package_clients",
            PythonError::SeveralPackageClients {
                clients: vec![PackageClient::Pip, PackageClient::Uv],
            },
        ),
        ("version_file", wrong(".python-version", "3.x")),
        ("runtime_txt", wrong("runtime.txt", "")),
        ("pipfile_version", wrong("Pipfile.lock", "3.*")),
        (
            "several_versions",
            PythonError::SeveralVersions { file: several, found: "3.12, 3.13".into() },
        ),
        (
            "misspelled_version_file",
            PythonError::MisspelledVersionFile { name: "python-version.txt".into() },
        ),
        (
            "unsupported_version",
            PythonError::UnsupportedVersion {
                requested: requested("3.8", Origin::PythonVersionFile),
                why: Unsupported::EndOfLife,
            },
        ),
        (
            "unsupported_cached_version",
            PythonError::UnsupportedVersion {
                requested: requested("3.9", Origin::Cache),
                why: Unsupported::EndOfLife,
            },
        ),
        (
            "unknown_version",
            PythonError::UnsupportedVersion {
                requested: requested("3.99", Origin::RuntimeTxt),
                why: Unsupported::Unknown,
            },
        ),
        ("out_of_range", out_of_range),
        (
            "no_runtime",
            no_runtime(
                requested("3.11.9", Origin::PythonVersionFile),
                &["/usr/bin/python3.11 (3.11.2)"],
            ),
        ),
        ("no_runtime_at_all", no_runtime(requested("3.13", Origin::Default), &[])),
    ] {
        check(name, error, exit_code::COMPILE);
    }
}

#[test]
fn what_is_wrong_with_a_lock_file_is_explained() {
    for (name, file, source_file) in [
        ("lock_file", "uv.lock", "pyproject.toml"),
        ("poetry_lock_file", "poetry.lock", "pyproject.toml"),
        ("pipfile_lock_file", "Pipfile.lock", "Pipfile"),
    ] {
        let output = "first\nthe reason\n".to_owned();
        check(name, PythonError::LockFile { file, source_file, output }, exit_code::LOCK_FILE);
    }
    let json = serde_json::from_str::<u8>("{").unwrap_err();
    check("pipfile_lock_json", PythonError::PipfileLock(json), exit_code::COMPILE);
    let source = Box::new("[[".parse::<toml::Table>().unwrap_err());
    check("toml", PythonError::Toml { file: "pyproject.toml", source }, exit_code::COMPILE);
}

#[test]
fn what_goes_wrong_on_the_way_is_explained() {
    let output = || "first\nthe reason\n".to_owned();
    check("uv", PythonError::Uv { output: output() }, exit_code::COMPILE);
    check("tool", PythonError::Tool { tool: "Poetry", output: output() }, exit_code::COMPILE);
    let command = "uv pip install -r requirements.txt".to_owned();
    check(
        "install",
        PythonError::Install { file: "requirements.txt", command, status: status(1) },
        exit_code::COMPILE,
    );
    check(
        "collectstatic",
        PythonError::Collectstatic { manage_py: "manage.py".into(), status: status(1) },
        exit_code::COMPILE,
    );
    let full = io::Error::from(io::ErrorKind::StorageFull);
    check("io", PythonError::io("write .profile.d")(full), exit_code::INTERNAL);
}
