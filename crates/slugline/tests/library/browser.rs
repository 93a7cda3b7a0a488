//! A real browser's view of a page.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The page's elements after its scripts have run.
pub(crate) fn rendered(url: &str) -> String {
    let profile = tempfile::tempdir().expect("a directory");
    let mut data = std::ffi::OsString::from("--user-data-dir=");
    data.push(profile.path());
    let output = Command::new(chromium())
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--no-proxy-server", "--virtual-time-budget=20000"])
        .args(["--dump-dom", url])
        .arg(data)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", chromium().display()));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "Chromium: {}: {said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Found once; on Debian, root installs it where it is missing.
fn chromium() -> &'static PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| find().or_else(install).expect(MISSING))
}

const MISSING: &str = "a browser is needed to see what a person sees: install Chromium or Chrome \
                       (on Debian `sudo apt-get install chromium`)";

fn find() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let candidates = names.iter().flat_map(|name| directories.iter().map(move |d| d.join(name)));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

fn install() -> Option<PathBuf> {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root || !std::path::Path::new("/usr/bin/apt-get").exists() {
        return None;
    }
    for arguments in [["update", "-q"].as_slice(), &["install", "-q", "-y", "chromium"]] {
        let mut apt = Command::new("apt-get");
        apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        println!("{apt:?}: {:?}", apt.output());
    }
    find()
}
