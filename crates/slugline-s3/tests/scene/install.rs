//! Clients from their registries, each in a directory of its own below the target directory, so that
//! only the first run fetches anything.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

static INSTALLING: Mutex<()> = Mutex::new(());

/// A Python with some packages, by pip.
pub(crate) fn python(name: &str, packages: &[&str]) -> PathBuf {
    let home = home(name);
    installed(&home, "bin/python", |new| {
        run(Command::new("python3").args(["-m", "venv"]).arg(new));
        let mut pip = Command::new(new.join("bin/python"));
        run(pip.args(["-m", "pip", "install", "--quiet"]).args(packages));
    });
    home.join("bin/python")
}

fn home(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients").join(name)
}

/// Whole or not at all; a mark says that it is whole.
fn installed(home: &Path, proof: &str, install: impl FnOnce(&Path)) {
    let _one = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let whole = home.join("whole");
    if whole.exists() && home.join(proof).exists() {
        return;
    }
    // There may be none.
    let _ = std::fs::remove_dir_all(home);
    std::fs::create_dir_all(home).unwrap();
    install(home);
    std::fs::write(whole, "").unwrap();
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "a client could not be installed: {command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Packages of npm's; gives the directory that they are installed in.
pub(crate) fn npm(name: &str, packages: &[&str]) -> PathBuf {
    let home = home(name);
    installed(&home, "node_modules", |new| {
        let mut npm = Command::new("npm");
        let options = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
        run(npm.args(options).arg(new).args(packages));
    });
    home
}

/// A program of Debian's: root installs it where it is missing.
pub(crate) fn debian(package: &str) {
    let _one = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let is_there = || Command::new(package).arg("--version").output().is_ok();
    if !is_there() && rustix::process::geteuid().is_root() {
        for arguments in
            [&["update", "-q"][..], &["install", "-qy", "--no-install-recommends", package]]
        {
            let mut apt = Command::new("apt-get");
            // Other tests may be at it too.
            apt.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments);
            let _ = apt.env("DEBIAN_FRONTEND", "noninteractive").output();
        }
    }
    assert!(
        is_there(),
        "{package} is needed: install it (on Debian `sudo apt-get install {package}`)"
    );
}
