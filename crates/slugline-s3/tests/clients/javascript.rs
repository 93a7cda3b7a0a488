//! The AWS SDK for JavaScript, and multer-s3.

use std::path::{Path, PathBuf};

use crate::scene::{Place, install};
use crate::{assert_well, script};

fn home() -> PathBuf {
    install::npm(
        "sdk",
        &[
            "@aws-sdk/client-s3@3",
            "@aws-sdk/lib-storage@3",
            "@aws-sdk/s3-request-presigner@3",
            "express@4",
            "multer@1",
            "multer-s3@3",
        ],
    )
}

pub(crate) fn sdk(place: &Place, own: &Path) {
    node(place, own, "sdk_suite.mjs");
}

pub(crate) fn multer_s3(place: &Place, own: &Path) {
    node(place, own, "multer_suite.mjs");
}

fn node(place: &Place, own: &Path, name: &str) {
    // Modules are looked for beside the script.
    std::os::unix::fs::symlink(home().join("node_modules"), own.join("node_modules")).unwrap();
    std::fs::copy(script(name), own.join(name)).unwrap();
    assert_well(place.client(Path::new("node"), own).arg(own.join(name)).current_dir(own));
}
