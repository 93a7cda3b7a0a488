//! The dyno's first process: takes on its identity, carries out the launch, becomes init.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Gid, Signal, Uid};
use slugline_model::dyno::DynoSpec;
use slugline_model::sandbox::{DYNO_UID, Step};

use crate::init::{Init, Lines};
use crate::launch::{FailedStep, launch, named};
use crate::limits::{self, Group};
use crate::op_error::{OpError, Operation};
use crate::pipes::{FarEnds, report};
use crate::sys::{self, Signals};
use crate::trees::{Trees, open_trees};

/// Runs the dyno in the namespaces that it was cloned into; ends with its command's status.
pub(crate) fn run(
    spec: &DynoSpec,
    steps: &[Step],
    trees: Option<Trees>,
    group: &Group,
    ends: FarEnds,
) -> ! {
    let FarEnds { stdout, stderr, go, failure, left, control, disk } = ends;
    limits::yield_to_others(spec.resources.priority);
    sys::forget_arguments();
    let prepared = wait_for_ids(&go)
        .and_then(|()| launched(spec, steps, trees, &disk, &go))
        .and_then(|signals| {
            // It may have died while this process's wish to die with it was taken back.
            if is_gone(&failure) {
                sys::exit(1);
            }
            let lines = Lines { stdout, stderr, control };
            named("run", Init::start(spec, group, signals, lines))
        });
    match prepared {
        Ok(init) => {
            drop(failure);
            let left = spec.resources.strict.then_some(left);
            sys::exit(init.run(left))
        }
        Err(failed) => {
            report(&failure, &failed);
            sys::exit(1)
        }
    }
}

/// Whether nobody reads a pipe any more.
fn is_gone(pipe: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pipe, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::ERR)
}

fn wait_for_ids(go: &OwnedFd) -> Result<(), FailedStep> {
    let _ = sys::die_with_parent();
    named("launch", wait_for_word(go))
}

/// Waits until the supervisor says that this process may go on: once when the ids are mapped, and
/// again when the outside is joined, where that is awaited.
fn wait_for_word(go: &OwnedFd) -> Result<(), OpError> {
    let mut word = [0; 2];
    let read = rustix::io::retry_on_intr(|| rustix::io::read(go, &mut word));
    match read.op(|| "wait for the supervisor".to_owned())? {
        // The supervisor died: there is nobody to report to.
        0 => sys::exit(1),
        _ => Ok(()),
    }
}

fn launched(
    spec: &DynoSpec,
    steps: &[Step],
    trees: Option<Trees>,
    disk: &Path,
    go: &OwnedFd,
) -> Result<Signals, FailedStep> {
    named("identity", take_identity(spec))?;
    let trees = match trees {
        Some(trees) => trees,
        None => named("trees", open_trees(spec, disk, steps, None))?,
    };
    launch(steps, &trees, || wait_for_word(go))?;
    let taken = Signals::take(&[Signal::TERM, Signal::CHILD]).op(|| "block signals".to_owned());
    named("launch", taken)
}

/// As root on the host, leaves root's identity for the dyno's own. Otherwise the one mapped id is
/// the process's already.
fn take_identity(spec: &DynoSpec) -> Result<(), OpError> {
    sys::leave_keyring().op(|| "leave the server's keyring".to_owned())?;
    // By now the supervisor has put it into the dyno's own groups.
    sys::leave_group_names().op(|| "make a cgroup namespace".to_owned())?;
    if spec.host_uid.is_some() {
        sys::drop_groups().op(|| "leave root's groups".to_owned())?;
        let gid = Gid::from_raw(DYNO_UID);
        rustix::thread::set_thread_res_gid(gid, gid, gid)
            .op(|| format!("become gid {DYNO_UID}"))?;
        let uid = Uid::from_raw(DYNO_UID);
        rustix::thread::set_thread_res_uid(uid, uid, uid)
            .op(|| format!("become uid {DYNO_UID}"))?;
    }
    // A change of identity takes the first request back.
    sys::die_with_parent().op(|| "die with the supervisor".to_owned())
}
