//! The pipes between a supervisor and its dyno.

use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};

use slugline_model::dyno::DynoSpec;

use crate::control;
use crate::launch::{FailedStep, named};
use crate::op_error::{OpError, Operation};
use crate::sys;

/// Both ends of every pipe, before the fork. Readers first.
pub(crate) struct Pipes {
    stdout: (OwnedFd, OwnedFd),
    stderr: (OwnedFd, OwnedFd),
    orders: (OwnedFd, OwnedFd),
    failure: (OwnedFd, OwnedFd),
    left: (OwnedFd, OwnedFd),
    /// Where init is to listen; no pipe, and only the dyno's side keeps it.
    control: OwnedFd,
    pub(crate) disk: PathBuf,
}

/// What the dyno's first process keeps.
pub(crate) struct FarEnds {
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    /// Readable once the ids are mapped, and again when it is told what to run; closed when the
    /// supervisor died.
    pub(crate) orders: OwnedFd,
    /// Takes a [`Failure`]; closed without one when the command was started.
    pub(crate) failure: OwnedFd,
    /// Takes what was left running when the command had exited.
    pub(crate) left: OwnedFd,
    /// Where init listens.
    pub(crate) control: OwnedFd,
    /// The directory of the layer, for a launch that opens it itself.
    pub(crate) disk: PathBuf,
}

/// What the supervisor keeps.
pub(crate) struct NearEnds {
    stdout: OwnedFd,
    stderr: OwnedFd,
    orders: OwnedFd,
    failure: OwnedFd,
    left: OwnedFd,
}

/// What the dyno wrote.
pub(crate) struct Output {
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    /// What was left running when the command had exited, told by init at its end.
    pub(crate) left: OwnedFd,
}

/// Why a launch failed, as the dyno's first process tells its supervisor.
#[derive(Serialize, Deserialize)]
struct Failure {
    step: String,
    operation: String,
    errno: i32,
}

/// The steps that a launch may fail at, so that a name that was read is one that was written.
const STEPS: [&str; 14] = [
    "trees",
    "identity",
    "stage",
    "stack",
    "overlay",
    "bind",
    "devices",
    "proc",
    "hostname",
    "network",
    "pivot",
    "privileges",
    "run",
    "launch",
];

impl Pipes {
    pub(crate) fn new(disk: PathBuf, control: OwnedFd) -> Result<Self, OpError> {
        let pipe = || pipe_with(PipeFlags::CLOEXEC).op(|| "make a pipe".to_owned());
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let orders = socketpair(family, kind, SocketFlags::CLOEXEC, None);
        let orders = orders.op(|| "make a pair of sockets".to_owned())?;
        Ok(Self {
            stdout: pipe()?,
            stderr: pipe()?,
            orders,
            failure: pipe()?,
            left: pipe()?,
            control,
            disk,
        })
    }

    pub(crate) fn far_ends(self) -> FarEnds {
        FarEnds {
            stdout: self.stdout.1,
            stderr: self.stderr.1,
            orders: self.orders.0,
            failure: self.failure.1,
            left: self.left.1,
            control: self.control,
            disk: self.disk,
        }
    }

    pub(crate) fn near_ends(self) -> NearEnds {
        NearEnds {
            stdout: self.stdout.0,
            stderr: self.stderr.0,
            orders: self.orders.1,
            failure: self.failure.0,
            left: self.left.0,
        }
    }
}

/// What the dyno's first process is told to run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) spec: DynoSpec,
    /// Whether its control group bounds its processes.
    pub(crate) bounds_processes: bool,
}

impl NearEnds {
    /// Lets the dyno's first process take on its identity, which is there now.
    pub(crate) fn release(&self) -> Result<(), FailedStep> {
        named(
            "launch",
            control::send(&self.orders, &(), &[]).op(|| "let the dyno go on".to_owned()),
        )
    }

    /// Tells it what to run, with the slug's tree if that is open already, and waits until the
    /// command runs or the launch failed.
    pub(crate) fn tell(self, told: &Told, slug: Option<&OwnedFd>) -> Result<Output, FailedStep> {
        let slug: Vec<BorrowedFd<'_>> = slug.into_iter().map(OwnedFd::as_fd).collect();
        // Of a dyno that has failed before, the reason is read below.
        let sent = control::send(&self.orders, told, &slug);
        if let Err(errno) = sent
            && errno != Errno::PIPE
        {
            return named("launch", Err(errno).op(|| "tell the dyno what to run".to_owned()));
        }
        drop(self.orders);
        let mut report = Vec::new();
        let read = std::fs::File::from(self.failure).read_to_end(&mut report);
        named("launch", read.op(|| "hear from the dyno".to_owned()))?;
        if let Ok(failure) = serde_json::from_slice::<Failure>(&report) {
            return Err(failure.into());
        }
        named("launch", sent.op(|| "tell the dyno what to run".to_owned()))?;
        Ok(Output { stdout: self.stdout, stderr: self.stderr, left: self.left })
    }
}

/// Hears one word of the supervisor, in the dyno's first process, which ends if nobody is there any
/// more to report to.
pub(crate) fn hear<T: for<'a> Deserialize<'a>>(
    orders: &OwnedFd,
) -> Result<(T, Option<OwnedFd>), OpError> {
    let (word, mut descriptors) =
        control::receive(orders).op(|| "hear from the supervisor".to_owned())?;
    match word {
        Some(word) => Ok((word, descriptors.pop())),
        None => sys::exit(1),
    }
}

impl From<Failure> for FailedStep {
    fn from(failure: Failure) -> Self {
        let step = STEPS.iter().find(|step| **step == failure.step).unwrap_or(&"launch");
        let source = std::io::Error::from_raw_os_error(failure.errno);
        FailedStep { step, error: OpError { operation: failure.operation, source } }
    }
}

/// Tells the supervisor why a launch failed.
pub(crate) fn report(to: &OwnedFd, failed: &FailedStep) {
    let failure = Failure {
        step: failed.step.to_owned(),
        operation: failed.error.operation.clone(),
        errno: failed.error.source.raw_os_error().unwrap_or(0),
    };
    if let Ok(json) = serde_json::to_vec(&failure) {
        let _ = rustix::io::write(to, &json);
    }
}
