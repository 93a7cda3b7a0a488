//! Every message of the Node.js buildpack as the app's author reads it.

use std::os::unix::process::ExitStatusExt as _;

use super::*;

fn check(name: &str, error: &NodejsError, expect: i32) {
    assert_eq!(error.exit_code(), expect, "{name}");
    let message = explain(error);
    assert_eq!(message.silent_parts(), ["state"], "{message:?}");
    insta::assert_snapshot!(name, message.gutter());
}

#[test]
fn every_way_a_build_fails_is_explained() {
    let status = ExitStatus::from_raw(1 << 8);
    let json = serde_json::from_str::<u8>("{").unwrap_err();
    let no_runtime = NodejsError::NoRuntime {
        range: "99.x".into(),
        stack: vec!["/usr/bin/node (20.20.2)".into()],
        tried: vec!["nodejs.org: no release is in the range".into()],
    };
    for (name, error) in [
        ("package_json", NodejsError::PackageJson(json)),
        ("yarn_lock", NodejsError::UnsupportedLockFile { file: "yarn.lock" }),
        (
            "several_lock_files",
            NodejsError::SeveralLockFiles { files: vec!["package-lock.json", "yarn.lock"] },
        ),
        ("range", NodejsError::Range { range: "newest".into() }),
        ("no_runtime", no_runtime),
        ("npm", NodejsError::Npm { command: "npm ci".into(), status }),
        ("script", NodejsError::Script { script: "heroku-postbuild".into(), status }),
    ] {
        check(name, &error, exit_code::COMPILE);
    }
    check("lock_file", &NodejsError::LockFile, exit_code::LOCK_FILE);
    let full = io::Error::from(io::ErrorKind::StorageFull);
    check("io", &NodejsError::io("save the cache")(full), exit_code::INTERNAL);
}
