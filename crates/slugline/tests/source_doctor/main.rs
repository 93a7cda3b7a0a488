//! `slugline doctor DIR`: what is found in a source, and that nothing is found in plain starters,
//! whose files are as the frameworks' own commands write them.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn doctor(directory: &Path, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slugline"));
    command.arg("doctor").arg(directory).args(options).output().unwrap()
}

fn findings(directory: &Path) -> Vec<(String, String, u64)> {
    let output = doctor(directory, &["--json"]);
    assert!(output.status.success(), "{output:?}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told["files"].as_u64().unwrap() > 0, "{told}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = told["findings"].as_array().unwrap().iter();
    findings
        .map(|one| (text(&one["cause"]), text(&one["path"]), one["line"].as_u64().unwrap()))
        .collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn plain_starters_have_nothing_that_loses_files() {
    let starters = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/source_doctor/starters");
    for starter in ["django", "flask", "fastapi", "express", "next"] {
        assert_eq!(findings(&starters.join(starter)), [], "{starter}");
        let strict = doctor(&starters.join(starter), &["--strict"]);
        assert_eq!(strict.status.code(), Some(0), "{starter}");
        let said = String::from_utf8(strict.stdout).unwrap();
        assert!(said.starts_with("ok    no known cause of lost files in "), "{said}");
    }
}

/// It is true: the example shows what becomes of such a file. Its covers go to a bucket where it has
/// one.
#[test]
fn the_example_has_its_one_cause_and_no_other() {
    let library = repository().join("examples/library");
    let settings = std::fs::read_to_string(library.join("library/settings.py")).unwrap();
    let line = |text: &str| {
        let at = settings.lines().position(|line| line.contains(text)).unwrap();
        u64::try_from(at).unwrap() + 1
    };
    let found =
        |cause: &str, text: &str| (cause.to_owned(), "library/settings.py".to_owned(), line(text));
    assert_eq!(findings(&library), [found("database", "django.db.backends.sqlite3")]);
}

#[test]
fn each_finding_has_its_line_and_a_way_out_and_strict_fails() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("Procfile"),
        "web: python manage.py collectstatic --noinput && gunicorn shop.wsgi\n",
    )
    .unwrap();
    let output = doctor(dir.path(), &[]);
    assert_eq!(output.status.code(), Some(0), "a finding is a warning");
    let said = String::from_utf8(output.stdout).unwrap();
    for part in [
        "Procfile:1: web: python manage.py collectstatic",
        "add this line to bin/post_compile:",
        "    python manage.py collectstatic --noinput\n",
        "warn  1 known cause of lost files in 1 file",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(doctor(dir.path(), &["--strict"]).status.code(), Some(1));
    let none = doctor(&dir.path().join("none"), &[]);
    assert!(!none.status.success());
    let complaint = String::from_utf8(none.stderr).unwrap();
    assert!(complaint.contains("cannot read the source"), "{complaint}");
}
