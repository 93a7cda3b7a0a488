//! Mirrors within a build: our binary stands where `curl`, `wget` and `git` do, puts the mirror's
//! address where a covered one was asked for, and becomes the real program.
//!
//! A directory is served by HTTP on loopback while the program runs, so that a missing file is a
//! 404 and everything that a buildpack does about statuses works as it does with the real host.

mod arguments;
mod serve;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use slugline_model::mirror::{CONFIGURED, Mirror, REAL_PROGRAMS};

use arguments::{Client, Rewritten};

/// Where our binary stands in the place of another program, does that program's work; gives its
/// exit code. None where it was called by its own name.
pub fn pose_as_client(args: impl Iterator<Item = OsString>) -> Option<i32> {
    let own = crate::files::own_program().ok()?;
    let real = Path::new(REAL_PROGRAMS).join(own.strip_prefix("/").ok()?);
    real.exists().then(|| match pose(&real, args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}: use the mirrors of this build: {error}", real.display());
            // What curl gives when it cannot start.
            2
        }
    })
}

fn pose(real: &Path, mut args: impl Iterator<Item = OsString>) -> io::Result<i32> {
    let name = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    let mut command = Command::new(real);
    command.arg0(&name);
    let called = Path::new(&name).file_name().unwrap_or_default();
    if called == OsStr::new("git") {
        command.args(&args).env("GIT_CONFIG_SYSTEM", Path::new(CONFIGURED).join("gitconfig"));
        return Err(command.exec());
    }
    let client = Client::named(called);
    let mirrors = client.is_some().then(configured).transpose()?.unwrap_or_default();
    let Rewritten { args, serves } = arguments::rewrite(client, &args, &mirrors, None);
    if !serves {
        return Err(command.args(args).exec());
    }
    let port = serve::start(arguments::directories(&mirrors))?;
    let args = arguments::rewrite(client, &args, &mirrors, Some(port)).args;
    let own_network = with_loopback(std::env::var("no_proxy").or(std::env::var("NO_PROXY")).ok());
    let status = command.args(args).env("no_proxy", own_network).status()?;
    Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()))
}

/// The mirrors, as the platform wrote them down.
fn configured() -> io::Result<Vec<Mirror>> {
    let path: PathBuf = Path::new(CONFIGURED).join("mirrors.json");
    serde_json::from_slice(&fs_err::read(path)?).map_err(io::Error::other)
}

/// A list of hosts that are reached without a proxy, with loopback among them.
fn with_loopback(hosts: Option<String>) -> String {
    match hosts {
        Some(hosts) if !hosts.is_empty() => format!("{hosts},127.0.0.1"),
        _ => "127.0.0.1".to_owned(),
    }
}
