//! Init, pid 1 of a dyno: starts the command, reaps, and passes SIGTERM to every process.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, WaitOptions, wait};
use slugline_model::dyno::DynoSpec;
use slugline_model::sandbox::COMMAND_PROFILE;

use crate::filter;
use crate::left;
use crate::limits::{self, Group};
use crate::op_error::{OpError, Operation};
use crate::sys::{self, Forked, Signals};

/// The far ends of the pipes that a dyno writes to.
pub(crate) struct Streams {
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
}

/// Starts the command; the error is one of starting it.
pub(crate) fn start(spec: &DynoSpec, group: &Group, streams: Streams) -> Result<Pid, OpError> {
    match sys::fork(false).op(|| "fork".to_owned())? {
        Forked::Parent(pid, _) => Ok(pid),
        Forked::Child => {
            // Whoever signals its own group must not reach init.
            let _ = rustix::process::setpgid(None, None);
            sys::as_a_shell_has_them();
            limits::bound_command(&spec.resources, group);
            let error = match sys::filter_calls(&filter::program()) {
                Ok(()) => command(spec, streams).exec(),
                Err(errno) => errno.into(),
            };
            // Init sees the status that a shell gives for a command that cannot be run.
            eprintln_raw(&format!("bash: {error}\n"));
            sys::exit(126)
        }
    }
}

fn command(spec: &DynoSpec, streams: Streams) -> Command {
    let mut command = Command::new("/bin/bash");
    command
        .args(["--norc", "--noprofile", "-c", COMMAND_PROFILE, "bash", &spec.command])
        .env_clear()
        .envs(&spec.env)
        .current_dir("/app")
        .stdin(Stdio::null())
        .stdout(streams.stdout)
        .stderr(streams.stderr);
    command
}

fn eprintln_raw(text: &str) {
    let _ = rustix::io::write(rustix::stdio::stderr(), text.as_bytes());
}

/// Reaps until the command has exited, or, once asked to stop, until nobody is left. Gives the
/// command's status as a shell counts. Whoever is still there then is told to `left`, if given.
pub(crate) fn reap(command: Pid, signals: &Signals, left: Option<OwnedFd>) -> i32 {
    let mut status = None;
    let mut stopping = false;
    loop {
        if signals.next() == Ok(Signal::TERM) {
            stopping = true;
            sys::kill_all(Signal::TERM);
        }
        let others = reap_all(command, &mut status);
        if let Some(status) = status
            && (!stopping || !others)
        {
            if let Some(left) = left.filter(|_| others) {
                left::tell(&left, || reap_all(command, &mut None));
            }
            return status;
        }
    }
}

/// Reaps everyone who has exited; says whether anyone is left.
fn reap_all(command: Pid, command_status: &mut Option<i32>) -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == command => {
                let signaled = status.terminating_signal().map(|signal| 128 + signal);
                *command_status = Some(status.exit_status().or(signaled).unwrap_or(1));
            }
            Ok(Some(_)) => {}
            Ok(None) => return true,
            Err(_) => return false,
        }
    }
}
