//! Programs of others that tests hold ours against, from Debian's packages.

use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// A program that is there: on Debian, root installs it where it is missing. Elsewhere the test ends
/// with one line that says what to install.
pub(crate) fn program(name: &str) -> Command {
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _one = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if !is_there(name) {
        install(name);
        assert!(
            is_there(name),
            "{name} is needed: install it (on Debian `sudo apt-get install {name}`)"
        );
    }
    let mut program = Command::new(name);
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // A user without a session has none, and a file of logins is looked for in it.
        program.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    }
    program
}

fn is_there(name: &str) -> bool {
    let mut found = Command::new("sh");
    found.args(["-c", "command -v \"$0\"", name]).stdout(Stdio::null());
    found.status().is_ok_and(|status| status.success())
}

fn install(package: &str) {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root || !std::path::Path::new("/usr/bin/apt-get").exists() {
        return;
    }
    let install = ["install", "-q", "-y", "--no-install-recommends", package];
    for arguments in [["update", "-q"].as_slice(), &install] {
        let mut apt = Command::new("apt-get");
        // Other tests may be at it too.
        apt.args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments);
        println!("{:?}", apt.env("DEBIAN_FRONTEND", "noninteractive").output());
    }
}
