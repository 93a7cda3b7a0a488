//! The AWS SDK for JavaScript, and multer-s3.

use std::path::Path;

use crate::python::{assert_well, script};
use crate::scene::{Scene, install};

#[test]
fn the_sdk_for_javascript_and_multer_keep_uploads() {
    let home = install::npm(
        "sdk",
        &[
            "@aws-sdk/client-s3@3",
            "@aws-sdk/lib-storage@3",
            "@aws-sdk/s3-request-presigner@3",
            "express@4",
            "multer@1",
            "multer-s3@3",
        ],
    );
    // Modules are looked for beside the script.
    std::fs::copy(script("sdk_suite.mjs"), home.join("sdk_suite.mjs")).unwrap();
    assert_well(Scene::new().client(Path::new("node")).arg(home.join("sdk_suite.mjs")));
}
