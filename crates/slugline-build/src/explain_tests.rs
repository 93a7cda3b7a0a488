//! Every message as the app's author reads it.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use slugline_model::build::exit_code;
use slugline_model::procfile::ProcfileError;

use super::*;
use crate::buildpack::ReferenceError;
use crate::process_types::ReleaseYamlError;
use crate::record::Failure;
use crate::source::AppRootError;

fn denied() -> io::Error {
    io::Error::from(io::ErrorKind::PermissionDenied)
}

fn status(code: i32) -> ExitStatus {
    ExitStatus::from_raw(code << 8)
}

fn check(name: &str, error: impl Into<CompileError>, expect: i32) {
    let error = error.into();
    assert_eq!(error.exit_code(), expect, "{name}");
    let message = explain(&error);
    assert_eq!(message.silent_parts(), ["state"], "{message:?}");
    insta::assert_snapshot!(name, message.gutter());
}

#[test]
fn every_way_a_source_is_refused_is_explained() {
    let name = || "a/b".to_owned();
    let refused = [
        ("source_open", UnpackError::Open { path: "/tmp/s.tgz".into(), source: denied() }),
        ("source_read", UnpackError::Read { number: 7, source: io::Error::other("cut off") }),
        ("source_empty", UnpackError::Empty),
        ("source_absolute", UnpackError::Absolute("/etc/x".into())),
        ("source_upwards", UnpackError::Upwards("../x".into())),
        ("source_below_link", UnpackError::BelowLink(name())),
        ("source_too_deep", UnpackError::TooDeep(name())),
        ("source_symlink", UnpackError::Symlink(name())),
        ("source_kind", UnpackError::Kind { name: name(), kind: "named pipe" }),
        ("source_hard_link", UnpackError::HardLink { name: name(), target: "/etc/x".into() }),
        ("source_too_many_entries", UnpackError::TooManyEntries { limit: 500_000 }),
        ("source_too_large", UnpackError::TooLarge { limit: 1 << 30 }),
        ("source_write", UnpackError::Write { name: name(), source: denied() }),
    ];
    for (name, error) in refused {
        check(name, error, exit_code::SOURCE);
    }
}

#[test]
fn every_way_an_app_is_not_found_in_its_source_is_explained() {
    let found = || vec!["backend/".to_owned(), "docs/".to_owned()];
    let (app, inside) = ("owl-1234".parse().unwrap(), Some("backend".to_owned()));
    let inside = CompileError::NotRecognised { app, found: found(), inside };
    check("not_recognised_inside", inside, exit_code::DETECT);
    let source = AppRootError { root: "web".into(), reason: "there is no such directory" };
    check("root", CompileError::Root { source, found: found() }, exit_code::SOURCE);
    for (name, error) in [
        ("heroku_yml", HerokuYmlError::Yaml("line 1: not a map".into())),
        ("heroku_yml_docker", HerokuYmlError::Docker(vec!["web".into(), "worker".into()])),
        ("heroku_yml_process_type", HerokuYmlError::ProcessType("`a b` is no name".into())),
        ("heroku_yml_config_var", HerokuYmlError::ConfigVar("../x".into())),
    ] {
        check(name, error, exit_code::PROCFILE);
    }
}

#[test]
fn every_way_buildpacks_cannot_be_had_is_explained() {
    let name = || "https://x.example/bp".to_owned();
    let fetching = [
        ("fetch_prepare", FetchError::Prepare { name: name(), source: denied() }),
        (
            "fetch_program",
            FetchError::Program { name: name(), program: "git", status: "status 128".into() },
        ),
        ("fetch_no_directory", FetchError::NoDirectory { name: name() }),
        ("fetch_too_slow", FetchError::TooSlow { name: name() }),
        ("fetch_unpack", FetchError::Unpack { name: name(), source: UnpackError::Empty }),
        ("fetch_not_a_buildpack", FetchError::NotABuildpack { name: name() }),
    ];
    for (name, error) in fetching {
        check(name, error, exit_code::DETECT);
    }
    let source = ReferenceError("heroku/cobol".into());
    check(
        "choose_reference",
        ChooseError::Reference { origin: ".buildpacks", source },
        exit_code::DETECT,
    );
    let json = serde_json::from_str::<u8>("{").unwrap_err();
    check("choose_app_json", ChooseError::AppJson(json), exit_code::PROCFILE);
}

#[test]
fn every_way_a_compile_fails_is_explained() {
    let buildpack = || "heroku/python".to_owned();
    let found = || vec!["README.md".to_owned(), "src/".to_owned()];
    let failure = Failure::new(
        exit_code::HOOK,
        Message {
            what: "What the buildpack said".into(),
            found: "What it found".into(),
            allowed: "What it allows".into(),
            next: "what it advises".into(),
            ..Message::default()
        },
    );
    let failing = [
        (
            "workplace",
            CompileError::Workplace { path: PathBuf::from("/tmp/build_1"), source: denied() },
            exit_code::INTERNAL,
        ),
        (
            "not_recognised",
            CompileError::NotRecognised {
                app: "owl-1234".parse().unwrap(),
                found: found(),
                inside: None,
            },
            exit_code::DETECT,
        ),
        (
            "not_compatible",
            CompileError::NotCompatible { buildpack: buildpack(), found: found() },
            exit_code::DETECT,
        ),
        (
            "script",
            CompileError::Script {
                buildpack: buildpack(),
                script: "bin/compile",
                source: denied(),
            },
            exit_code::COMPILE,
        ),
        (
            "compile",
            CompileError::Compile {
                buildpack: buildpack(),
                kind: "Python".into(),
                status: status(1),
            },
            exit_code::COMPILE,
        ),
        (
            "builtin",
            CompileError::Builtin { buildpack: buildpack(), failure: Box::new(failure) },
            exit_code::HOOK,
        ),
        (
            "release",
            CompileError::Release { buildpack: buildpack(), status: ExitStatus::from_raw(9) },
            exit_code::COMPILE,
        ),
        (
            "release_yaml",
            CompileError::ReleaseYaml {
                buildpack: buildpack(),
                source: ReleaseYamlError::Yaml("line 1: not a map".into()),
            },
            exit_code::COMPILE,
        ),
        (
            "app_json",
            CompileError::AppJson(slugline_model::app_json::parse(r#"{"cron": [7]}"#).unwrap_err()),
            exit_code::PROCFILE,
        ),
        (
            "procfile",
            CompileError::Procfile(ProcfileError { line: 2, text: "web".into() }),
            exit_code::PROCFILE,
        ),
        (
            "no_process_types",
            CompileError::NoProcessTypes { misnamed: None },
            exit_code::PROCESS_TYPES,
        ),
        (
            "no_process_types_misnamed",
            CompileError::NoProcessTypes { misnamed: Some("procfile".into()) },
            exit_code::PROCESS_TYPES,
        ),
    ];
    for (name, error, expect) in failing {
        check(name, error, expect);
    }
}
