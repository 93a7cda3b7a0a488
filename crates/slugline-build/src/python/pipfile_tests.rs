//! Pipfile.lock against what Pipenv itself makes of the same files.

use super::*;

/// The hash is the one that Pipenv computes for this very file.
const PIPFILE: &str = r#"[[source]]
url = "https://index.example/simple"
verify_ssl = true
name = "pypi"

[packages]
Six = "==1.17.0"
typing-extensions = {version = ">=4", extras = ["é"], markers = "python_version > '3.8'"}

[dev-packages]
pytest = "*"

[docs]
sphinx = "*"

[requires]
python_version = "3.11"

[scripts]
hello = "echo hi"
"#;

const HASH: &str = "6722ff66e8765a83d0954faf11fbfa67ac9d9dd37f8dd064cad5dc1d61a61d30";

fn read_lock(pipfile: &str, default: &str) -> Result<PipfileLock, PythonError> {
    let root = tempfile::tempdir().unwrap();
    let lock = format!(
        r#"{{"_meta": {{"hash": {{"sha256": "{HASH}"}}, "sources": [
            {{"name": "pypi", "url": "https://index.example/simple", "verify_ssl": true}}]}},
            "default": {default}, "develop": {{"pytest": {{"version": "==8"}}}}}}"#
    );
    fs_err::write(root.path().join("Pipfile"), pipfile).unwrap();
    fs_err::write(root.path().join("Pipfile.lock"), lock).unwrap();
    read(root.path())
}

#[test]
fn a_lock_file_is_in_step_while_its_pipfile_hashes_the_same() {
    read_lock(PIPFILE, "{}").unwrap();
    // Comments, blank lines and scripts are none of the lock's business.
    read_lock(&PIPFILE.replace("echo hi", "echo ho").replace("[docs]", "# ours\n[docs]"), "{}")
        .unwrap();
    let error = read_lock(&PIPFILE.replace("==1.17.0", "*"), "{}").unwrap_err();
    assert!(matches!(error, PythonError::LockFile { file: "Pipfile.lock", .. }), "{error:?}");
}

#[test]
fn locked_packages_become_requirements_with_hashes() {
    let lock = read_lock(
        PIPFILE,
        r#"{"Six": {"version": "==1.17.0", "hashes": ["sha256:00", "sha256:11"],
                    "markers": "python_version >= '2.7'"},
            "a": {"version": "==1", "extras": ["x", "y"], "hashes": ["sha256:22"], "index": "pypi"}}"#,
    )
    .unwrap();
    assert_eq!(
        lock.requirements,
        "Six==1.17.0 ; python_version >= '2.7' \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n\
         a[x,y]==1 \\\n    --hash=sha256:22\n"
    );
    assert_eq!(lock.hashes["six"], "sha256:00 sha256:11");
    assert!(!lock.installs_directories);
    assert_eq!(lock.packages["six"], "==1.17.0");
    assert_eq!(lock.indexes[0].name, "pypi");
}

#[test]
fn repositories_files_and_directories_are_requirements_too() {
    let lock = read_lock(
        PIPFILE,
        r#"{"a": {"git": "https://git.example/a.git", "ref": "abc", "subdirectory": "p"},
            "b": {"path": "./b", "editable": true},
            "c": {"file": "https://files.example/c.whl"}}"#,
    )
    .unwrap();
    assert_eq!(
        lock.requirements,
        "a @ git+https://git.example/a.git@abc#subdirectory=p\n-e ./b\n\
         c @ https://files.example/c.whl\n"
    );
    assert!(lock.hashes.is_empty() && lock.installs_directories);
}

#[test]
fn a_lock_file_that_is_no_json_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    fs_err::write(root.path().join("Pipfile.lock"), "{").unwrap();
    assert!(matches!(read(root.path()), Err(PythonError::PipfileLock(_))));
}
