//! Another server in the place of this one, in the same process: the program that now lies where
//! this one was started from. Sockets stay open all the while, and dynos run on, so that no request
//! is lost.

use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use nix::sys::signal::SigSet;
use rustix::process::{Pid, WaitOptions, waitpid};
use signal_hook::SigId;
use signal_hook::consts::SIGUSR2;
use slugline_model::build::exit_code;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::errors::CommandError;
use crate::listeners::Listeners;
use crate::server::Ended;

/// The first descriptor that is handed over, by the protocol of systemd.
const FIRST: i32 = 3;

/// How often processes that the server before had started are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Wishes for another server: SIGUSR2, as `systemctl reload` sends it.
pub(crate) struct Wishes {
    signal: Signal,
    /// Whether there was one before `signal` was there.
    early: bool,
}

/// Wishes before there is a runtime that could take them.
pub(crate) struct EarlyWishes {
    raised: Arc<AtomicBool>,
    registered: SigId,
}

impl EarlyWishes {
    /// Takes them from now on, and those that came while this program took another one's place.
    /// Before that, a wish would end the process. Only this thread is prepared: call it while there
    /// is no other.
    pub(crate) fn take() -> Result<Self, CommandError> {
        let failed = |source| CommandError::Signals { source };
        let raised = Arc::new(AtomicBool::new(false));
        let registered = signal_hook::flag::register(SIGUSR2, Arc::clone(&raised));
        let registered = registered.map_err(failed)?;
        wish().thread_unblock().map_err(|errno| failed(errno.into()))?;
        Ok(Self { raised, registered })
    }
}

impl Wishes {
    /// Those that came early, and from now on all others.
    pub(crate) fn new(early: &EarlyWishes) -> Result<Self, CommandError> {
        let signal = signal(SignalKind::user_defined2());
        let signal = signal.map_err(|source| CommandError::Signals { source })?;
        // One that comes now is taken by both, and carried out twice: better than never.
        signal_hook::low_level::unregister(early.registered);
        Ok(Self { signal, early: early.raised.load(Ordering::SeqCst) })
    }

    /// Waits for the next one.
    pub(crate) async fn wait(&mut self) {
        if !std::mem::take(&mut self.early) {
            self.signal.recv().await;
        }
    }
}

fn wish() -> SigSet {
    SigSet::from(nix::sys::signal::Signal::SIGUSR2)
}

/// Whether the program can take over, as far as that can be told without starting a server.
pub(crate) fn try_out(program: &Path) -> Result<(), CommandError> {
    let failed = |found| CommandError::Upgrade { program: program.to_path_buf(), found };
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(format!("`--version` ended with {status}."))),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// What becomes of the process of a server that has ended.
pub(crate) fn and_then(ended: Ended) -> Result<i32, CommandError> {
    match ended {
        Ended::Stopped => Ok(exit_code::OK),
        Ended::GivesWay(program, listeners) => match become_next(program, listeners)? {},
    }
}

/// Becomes the program, with the same arguments and these sockets. Only returns if it failed.
fn become_next(program: PathBuf, listeners: Listeners) -> Result<Infallible, CommandError> {
    let Listeners(kept) = listeners;
    let names: Vec<&str> = kept.iter().map(|(name, _)| *name).collect();
    let mut command = Command::new(&program);
    command
        .args(std::env::args_os().skip(1))
        .env("LISTEN_FDS", names.len().to_string())
        .env("LISTEN_FDNAMES", names.join(":"))
        .env("LISTEN_PID", std::process::id().to_string());
    // The next program takes it as soon as it can.
    if let Err(errno) = wish().thread_block() {
        return Err(CommandError::Signals { source: errno.into() });
    }
    let mappings = (FIRST..).zip(kept);
    let mappings = mappings.map(|(child_fd, (_, parent_fd))| FdMapping { parent_fd, child_fd });
    let found = match command.fd_mappings(mappings.collect()) {
        Ok(command) => command.exec().to_string(),
        Err(collision) => collision.to_string(),
    };
    Err(CommandError::Upgrade { program, found })
}

/// Reaps supervisors that the server before has started and that end from now on. Nobody else
/// waits for them: they are children of this process that its program knows nothing of.
pub(crate) fn reap_inherited() {
    let mut left = children();
    if left.is_empty() {
        return;
    }
    std::thread::spawn(move || {
        while !left.is_empty() {
            left.retain(|&pid| matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None)));
            std::thread::sleep(LOOK_EVERY);
        }
    });
}

/// The children of this process, whoever started them.
fn children() -> Vec<Pid> {
    let me = std::process::id();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let child = |entry: std::fs::DirEntry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // Behind the name, which may hold anything: a state, then the parent.
        let parent: u32 = stat.rsplit_once(')')?.1.split(' ').nth(2)?.parse().ok()?;
        Pid::from_raw(pid).filter(|_| parent == me)
    };
    processes.filter_map(child).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_children_of_a_process_are_found() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(children().contains(&Pid::from_child(&child)));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children().contains(&Pid::from_child(&child)));
    }

    #[test]
    fn a_program_that_cannot_run_takes_no_place() {
        try_out(Path::new("/bin/true")).unwrap();
        for program in ["/bin/false", "/nowhere", "/"] {
            assert!(try_out(Path::new(program)).is_err(), "{program}");
        }
    }
}
