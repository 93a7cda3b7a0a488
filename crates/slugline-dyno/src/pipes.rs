//! The pipes between a supervisor and its dyno.

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};

use crate::launch::FailedStep;
use crate::op_error::{OpError, Operation};

/// Both ends of every pipe, before the fork. Readers first.
pub(crate) struct Pipes {
    stdout: (OwnedFd, OwnedFd),
    stderr: (OwnedFd, OwnedFd),
    go: (OwnedFd, OwnedFd),
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
    /// Readable once the ids are mapped; closed when the supervisor died.
    pub(crate) go: OwnedFd,
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
    go: OwnedFd,
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
        Ok(Self {
            stdout: pipe()?,
            stderr: pipe()?,
            go: pipe()?,
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
            go: self.go.0,
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
            go: self.go.1,
            failure: self.failure.0,
            left: self.left.0,
        }
    }
}

impl NearEnds {
    /// Lets the dyno go on, lets it know when the outside is joined, and waits until its command
    /// runs or its launch failed.
    pub(crate) fn release(self, join: impl FnOnce()) -> Result<Output, FailedStep> {
        let tell = |word: &[u8; 2]| {
            let told = rustix::io::write(&self.go, word).op(|| "tell the dyno to go on".to_owned());
            told.map_err(|error| FailedStep { step: "launch", error })
        };
        tell(b"go")?;
        join();
        // Of a dyno that has failed meanwhile, the reason is read below.
        let _ = tell(b"on");
        drop(self.go);
        let mut report = Vec::new();
        let read = std::fs::File::from(self.failure).read_to_end(&mut report);
        read.op(|| "hear from the dyno".to_owned())
            .map_err(|error| FailedStep { step: "launch", error })?;
        match serde_json::from_slice::<Failure>(&report) {
            Ok(failure) => Err(failure.into()),
            Err(_) => Ok(Output { stdout: self.stdout, stderr: self.stderr, left: self.left }),
        }
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
