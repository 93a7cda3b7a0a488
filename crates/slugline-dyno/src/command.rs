//! Starting a command in a dyno: its own one, or another beside it.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::Pid;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::Winsize;
use slugline_model::dyno::TerminalSize;
use slugline_model::resources::Resources;
use slugline_model::sandbox::COMMAND_PROFILE;

use crate::filter;
use crate::limits;
use crate::op_error::{OpError, Operation};
use crate::sys::{self, Forked};

/// What a command is started with.
pub(crate) struct Start<'a> {
    pub(crate) command: &'a str,
    pub(crate) env: &'a BTreeMap<String, String>,
    pub(crate) resources: &'a Resources,
    /// Whether a control group bounds its processes.
    pub(crate) bounds_processes: bool,
}

/// The far sides of what a command reads and writes.
pub(crate) enum Ends {
    /// The pipes that a dyno's lines come through.
    Pipes { stdout: OwnedFd, stderr: OwnedFd },
    /// One socket for all three.
    Socket(OwnedFd),
    /// A terminal, which becomes the command's own.
    Terminal(OwnedFd),
}

impl Ends {
    /// A socket, or a terminal of the dyno's, and its near side.
    pub(crate) fn pair(terminal: Option<TerminalSize>) -> Result<(OwnedFd, Self), OpError> {
        if let Some(size) = terminal {
            return open_terminal(size).map(|(near, far)| (near, Self::Terminal(far)));
        }
        let flags = SocketFlags::CLOEXEC;
        let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None);
        let (near, far) = pair.op(|| "make a pair of sockets".to_owned())?;
        Ok((near, Self::Socket(far)))
    }

    /// Makes them the command's, in the process that becomes it.
    fn give(self, command: &mut Command) -> std::io::Result<()> {
        let all = match self {
            Self::Pipes { stdout, stderr } => {
                // Whoever signals its own group must not reach init.
                let _ = rustix::process::setpgid(None, None);
                command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
                return Ok(());
            }
            Self::Socket(far) => {
                rustix::process::setsid()?;
                far
            }
            Self::Terminal(far) => {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(&far)?;
                far
            }
        };
        command.stdin(all.try_clone()?).stdout(all.try_clone()?).stderr(all);
        Ok(())
    }
}

fn open_terminal(size: TerminalSize) -> Result<(OwnedFd, OwnedFd), OpError> {
    let open = || {
        let near = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&near)?;
        unlockpt(&near)?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let far = rustix::fs::openat(CWD, ptsname(&near, Vec::new())?, flags, Mode::empty())?;
        let TerminalSize { columns, rows } = size;
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&near, size)?;
        Ok::<_, rustix::io::Errno>((near, far))
    };
    open().op(|| "open a terminal".to_owned())
}

/// Starts a command; the error is one of starting it.
pub(crate) fn start(start: &Start<'_>, ends: Ends) -> Result<Pid, OpError> {
    match sys::fork(false).op(|| "fork".to_owned())? {
        Forked::Parent(pid, _) => Ok(pid),
        Forked::Child => {
            sys::as_a_shell_has_them();
            limits::bound_command(start.resources, start.bounds_processes);
            let error = become_it(start, ends);
            // Init sees the status that a shell gives for a command that cannot be run.
            let text = format!("bash: {error}\n");
            let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
            sys::exit(126)
        }
    }
}

/// Whether there is anything that [`COMMAND_PROFILE`] runs.
fn has_profile(home: &Path) -> bool {
    let is_script = |name: std::ffi::OsString| name.as_encoded_bytes().ends_with(b".sh");
    let scripts = std::fs::read_dir(home.join(".profile.d"));
    scripts.is_ok_and(|names| names.flatten().any(|entry| is_script(entry.file_name())))
        || home.join(".profile").exists()
}

/// Only returns if it failed.
fn become_it(start: &Start<'_>, ends: Ends) -> std::io::Error {
    let mut command = Command::new("/bin/bash");
    command.arg0("bash").args(["--norc", "--noprofile", "-c"]);
    let home = start.env.get("HOME").map_or("/", String::as_str);
    // A bash that has nothing to read would only start another, which takes about a millisecond.
    if has_profile(Path::new(home)) {
        command.args([COMMAND_PROFILE, "bash", start.command]);
    } else {
        command.arg(start.command);
    }
    command.env_clear().envs(start.env).current_dir("/app");
    if let Err(error) = ends.give(&mut command) {
        return error;
    }
    match sys::filter_calls(filter::program()) {
        Ok(()) => command.exec(),
        Err(errno) => errno.into(),
    }
}
