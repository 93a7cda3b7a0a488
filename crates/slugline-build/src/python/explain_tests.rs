//! Every message of the Python buildpack as the app's author reads it.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use slugline_model::build::exit_code;

use super::*;
use crate::hook::HookError;
use crate::python::version::Version;

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
    let old = Version { minor: 8, patch: None };
    let asked = Requested {
        version: Version { minor: 11, patch: Some(9) },
        origin: Origin::PythonVersionFile,
    };
    let nobody = Requested { version: Version { minor: 13, patch: None }, origin: Origin::Default };
    let no_runtime = |requested, available: &[&str]| PythonError::NoRuntime {
        requested,
        available: available.iter().map(|&text| text.to_owned()).collect(),
        output: "error: no download found\n".to_owned(),
    };
    for (name, error) in [
        ("no_version_for_uv_lock", PythonError::NoVersionForUvLock),
        ("no_dependencies", PythonError::NoDependencies),
        ("poetry_lock", PythonError::UnsupportedPackageClient { file: "poetry.lock" }),
        ("pipfile_lock", PythonError::UnsupportedPackageClient { file: "Pipfile.lock" }),
        (
            "several_package_clients",
            PythonError::SeveralPackageClients { files: vec!["requirements.txt", "uv.lock"] },
        ),
        ("version_file", PythonError::VersionFile { file: ".python-version", found: "3.x".into() }),
        ("runtime_txt", PythonError::VersionFile { file: "runtime.txt", found: String::new() }),
        (
            "unsupported_version",
            PythonError::UnsupportedVersion { file: ".python-version", version: old },
        ),
        ("no_runtime", no_runtime(asked, &["/usr/bin/python3.11 (3.11.2)"])),
        ("no_runtime_at_all", no_runtime(nobody, &[])),
    ] {
        check(name, error, exit_code::COMPILE);
    }
}

#[test]
fn what_goes_wrong_on_the_way_is_explained() {
    let output = || "first\nthe reason\n".to_owned();
    check("uv", PythonError::Uv { output: output() }, exit_code::COMPILE);
    check(
        "install",
        PythonError::Install { file: "requirements.txt".into(), status: status(1) },
        exit_code::COMPILE,
    );
    check("lock_file", PythonError::LockFile { output: output() }, exit_code::LOCK_FILE);
    check(
        "collectstatic",
        PythonError::Collectstatic { manage_py: "manage.py".into(), status: status(1) },
        exit_code::COMPILE,
    );
    let full = io::Error::from(io::ErrorKind::StorageFull);
    check("io", PythonError::io("write .profile.d")(full), exit_code::INTERNAL);
}
