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
        ("unsupported_lock_file", NodejsError::UnsupportedLockFile { file: "bun.lock" }),
        (
            "several_lock_files",
            NodejsError::SeveralLockFiles { files: vec!["package-lock.json", "yarn.lock"] },
        ),
        (
            "several_package_clients",
            NodejsError::SeveralPackageClients {
                fields: vec!["engines.npm: 10.x".into(), "packageManager: yarn@4.1.0".into()],
            },
        ),
        ("yarn_release", NodejsError::YarnRelease { path: ".yarn/releases/yarn.cjs".into() }),
        ("no_yarn_version", NodejsError::NoYarnVersion),
        ("yarn_production", NodejsError::YarnProduction { value: "true".into() }),
        (
            "tool",
            NodejsError::Tool {
                program: "pnpm",
                version: "99".into(),
                why: "engines.pnpm of package.json".into(),
                output: "npm error code ETARGET\nnpm error notarget No matching version\n".into(),
            },
        ),
        ("range", NodejsError::Range { name: "node", range: "newest".into() }),
        ("no_runtime", no_runtime),
        ("install", NodejsError::Install { command: "npm ci".into(), status }),
        (
            "script",
            NodejsError::Script { client: "yarn", script: "heroku-postbuild".into(), status },
        ),
    ] {
        check(name, &error, exit_code::COMPILE);
    }
    let lock_file = NodejsError::LockFile { file: "yarn.lock", client: "yarn" };
    check("lock_file", &lock_file, exit_code::LOCK_FILE);
    let full = io::Error::from(io::ErrorKind::StorageFull);
    check("io", &NodejsError::io("save the cache")(full), exit_code::INTERNAL);
}
