//! boto3, django-storages, and Amazon's and Debian's command lines.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scene::{Scene, install, run};

pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

pub(crate) fn assert_well(command: &mut Command) {
    let printed = run(command);
    assert!(printed.ends_with("all is well\n"), "{printed}");
}

#[test]
fn boto3_does_what_it_does_with_amazon() {
    let python = install::python("boto3", &["boto3==1.*"]);
    assert_well(Scene::new().client(&python).arg(script("boto3_suite.py")));
}

#[test]
fn django_storages_keeps_an_apps_media() {
    let python = install::python("django", &["django==5.2.*", "django-storages[s3]==1.*"]);
    assert_well(Scene::new().client(&python).arg(script("django_suite.py")));
}

#[test]
fn the_aws_command_line_copies_and_syncs() {
    let python = install::python("awscli", &["awscli==1.*"]);
    let (scene, own) = (Scene::new(), tempfile::tempdir().unwrap());
    let mut sh = scene.client(Path::new("sh"));
    sh.arg("-x");
    assert_well(sh.arg(script("aws_suite.sh")).arg(own.path()).env("PYTHON", python));
}

#[test]
fn s3cmd_copies_and_syncs() {
    install::debian("s3cmd");
    let (scene, own) = (Scene::new(), tempfile::tempdir().unwrap());
    assert_well(
        scene.client(Path::new("sh")).arg("-x").arg(script("s3cmd_suite.sh")).arg(own.path()),
    );
}
