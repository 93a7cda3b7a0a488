//! One uv for all tests of a binary: else each of them would install its own into its own cache.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The directory of a `uv` that pip installed, from the index that the machine is set up for.
pub(crate) fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("uv");
        if !home.join("bin/uv").is_file() {
            install(&home);
        }
        home.join("bin")
    })
}

/// By way of a neighbour: several test binaries may do this at a time.
fn install(home: &Path) {
    let new = home.with_extension(std::process::id().to_string());
    let pip = ["-m", "pip", "install", "--quiet", "--target"];
    let done = Command::new("/usr/bin/python3").args(pip).arg(&new).arg("uv").status();
    assert!(done.expect("python3 starts").success(), "uv could not be installed with pip");
    if std::fs::rename(&new, home).is_err() {
        std::fs::remove_dir_all(&new).expect("the neighbour goes");
    }
}
