//! boto3.

use std::path::Path;

use crate::scene::{Scene, install, run};

#[test]
fn boto3_does_what_it_does_with_amazon() {
    let scene = Scene::new();
    let python = install::python("boto3", &["boto3==1.*"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/boto3_suite.py");
    let printed = run(scene.client(&python).arg(script));
    assert!(printed.ends_with("all is well\n"), "{printed}");
}
