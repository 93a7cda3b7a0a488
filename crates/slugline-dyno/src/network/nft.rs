//! The kernel's rules for dynos, by the program `nft`: its language is what the rules are read in,
//! and it passes them to the kernel as one transaction.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::op_error::{OpError, Operation};

/// Where programs are that only administrators use, whatever the server's search path.
const DIRECTORIES: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// A program of the machine.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let known = DIRECTORIES.iter().map(PathBuf::from);
    known
        .chain(std::env::split_paths(&path).filter(|directory| directory.is_absolute()))
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
}

/// Carries out rules, all or none, in the calling thread's network.
pub(crate) fn apply(nft: &Path, rules: &str) -> Result<(), OpError> {
    let output = run(nft, rules).op(|| format!("run {}", nft.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(std::io::Error::other(said)).op(|| "set the rules of dynos' networks".to_owned())
}

fn run(nft: &Path, rules: &str) -> std::io::Result<Output> {
    let mut child = Command::new(nft)
        .args(["-f", "-"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever reads no rules says why.
        let _ = stdin.write_all(rules.as_bytes());
    }
    child.wait_with_output()
}

/// What `nft` lists; nothing where it fails.
pub(crate) fn list(nft: &Path, what: &[&str]) -> String {
    let listed = Command::new(nft).arg("list").args(what).env_clear().current_dir("/").output();
    let listed = listed.ok().filter(|output| output.status.success());
    listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
