//! `pasta`, which joins a network of an ordinary user's to the outside: whatever the dyno sends, it
//! sends as that user's program.

use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, getppid, kill_process, waitpid};

use slugline_model::network::Reach;

use super::Order;
use super::netlink::INTERFACE;
use crate::op_error::{OpError, Operation};
use crate::sys::{self, Forked};

/// Where it says that it is ready; removed when it has.
const READY: &str = "pasta.ready";

/// What it logs, at most [`MOST_LOGGED`].
const LOG: &str = "pasta.log";

/// What pasta makes the dyno's interface by.
const TUN: &str = "/dev/net/tun";

/// Bytes.
const MOST_LOGGED: &str = "65536";

/// How long it may take to be ready. It takes milliseconds, on a busy machine more.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running pasta, killed with its dyno, and by the kernel with its supervisor.
pub(crate) struct Pasta {
    pid: Pid,
    pidfd: OwnedFd,
    ready: OwnedFd,
    dyno_directory: PathBuf,
}

impl Pasta {
    /// Starts it for the network of a process, which must wait meanwhile, if it was ordered.
    pub(crate) fn start(
        order: &Order,
        dyno: Pid,
        directory: &Path,
    ) -> Result<Option<Self>, OpError> {
        let Some(program) = &order.pasta else { return Ok(None) };
        let ready_path = directory.join(READY);
        let readable = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, &ready_path, FileType::Fifo, readable, 0).op(|| "make a pipe".to_owned())?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let ready = open(&ready_path, flags, Mode::empty()).op(|| "open a pipe".to_owned())?;
        let supervisor = rustix::process::getpid();
        match sys::fork(false).op(|| "fork".to_owned())? {
            Forked::Child => {
                sys::as_a_shell_has_them();
                let _ = sys::die_with_parent();
                if getppid() != Some(supervisor) {
                    sys::exit(1);
                }
                let _ = command(program, order, dyno).exec();
                sys::exit(127)
            }
            Forked::Parent(pid, pidfd) => {
                Ok(Some(Self { pid, pidfd, ready, dyno_directory: directory.to_path_buf() }))
            }
        }
    }

    /// Waits until the dyno's network is joined; the error is for people. A machine that is not
    /// connected itself has nothing to join it to.
    pub(crate) fn wait(&self) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        let mut fds =
            [PollFd::new(&self.ready, PollFlags::IN), PollFd::new(&self.pidfd, PollFlags::IN)];
        let left = || Timespec::try_from(end.saturating_duration_since(Instant::now())).ok();
        while matches!(poll(&mut fds, left().as_ref()), Err(Errno::INTR)) {}
        let [ready, ended] = fds.map(|fd| !fd.revents().is_empty());
        let _ = std::fs::remove_file(self.dyno_directory.join(READY));
        match (ready, ended) {
            (true, _) => Ok(()),
            (false, true) => Err(format!("pasta: {}{}", self.last_words(), tun_remedy())),
            (false, false) => Err("pasta is not ready in time".to_owned()),
        }
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.dyno_directory.join(LOG)).unwrap_or_default();
        // Behind its name: a time, a severity, and what it has to say.
        let said = log.lines().skip(1).filter_map(|line| line.splitn(3, ':').nth(2));
        let said: Vec<&str> = said.map(str::trim).filter(|words| !words.is_empty()).collect();
        if said.is_empty() { "it ended at once".to_owned() } else { said.join(", ") }
    }
}

/// Networks are made by a device that distributions open to everybody, and the kernel alone to root.
fn tun_remedy() -> String {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    match open(TUN, flags, Mode::empty()) {
        Ok(_) => String::new(),
        Err(errno) => format!("; {TUN}: {errno}: as root, `chmod 666 {TUN}`, as udev does"),
    }
}

impl Drop for Pasta {
    fn drop(&mut self) {
        let _ = kill_process(self.pid, Signal::KILL);
        let _ = waitpid(Some(self.pid), WaitOptions::empty());
    }
}

/// Nothing is forwarded to the dyno, nothing of the machine's loopback is seen by it but what the
/// operator allows, and there is no IPv6. Its files are in the supervisor's working directory, whose
/// name may change.
fn command(program: &Path, order: &Order, dyno: Pid) -> Command {
    let port = |reach: &Reach| format!("{}:{}", reach.port, reach.to.port());
    let ports: Vec<String> = order.options.reach.iter().map(port).collect();
    let ports = if ports.is_empty() { "none".to_owned() } else { ports.join(",") };
    let mut command = Command::new(program);
    command
        .args(["--foreground", "--quiet", "--config-net", "--ipv4-only", "--no-map-gw"])
        .args(["--no-dhcp", "--no-dhcpv6", "--no-ndp", "--no-ra"])
        .args(["--tcp-ports", "none", "--udp-ports", "none", "--udp-ns", "none"])
        .args(["--tcp-ns", &ports, "--ns-ifname", INTERFACE, "--log-size", MOST_LOGGED])
        .args(["--log-file", LOG, "--pid", READY])
        .arg(dyno.as_raw_nonzero().to_string())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
