//! The dyno's first process: takes on its identity, carries out the launch, becomes init.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Gid, Signal, Uid};
use slugline_model::sandbox::{DYNO_UID, HostFacts, plan_ahead, plan_rest};

use crate::filter;
use crate::init::{Init, Lines};
use crate::launch::{FailedStep, attach_slug, carry_out, named, stage};
use crate::limits;
use crate::op_error::{OpError, Operation};
use crate::pipes::{FarEnds, Told, hear, report};
use crate::shape::Shape;
use crate::sys::{self, Signals};
use crate::trees::{Trees, open_slug, open_trees};

/// What the first process knows before it is told what to run.
pub(crate) struct Beginning {
    pub(crate) shape: Shape,
    pub(crate) facts: HostFacts,
}

/// Gets ready in the namespaces that it was cloned into, and runs the dyno that it is told of; ends
/// with its command's status.
pub(crate) fn run(beginning: &Beginning, trees: Option<Trees>, ends: FarEnds) -> ! {
    let FarEnds { stdout, stderr, orders, failure, left, control, disk } = ends;
    limits::yield_to_others(beginning.shape.priority);
    sys::forget_arguments();
    let launched = prepared(beginning, trees, &disk, &orders).and_then(|trees| {
        let (told, slug) = named("launch", hear::<Told>(&orders))?;
        Ok((launched(beginning, &told, &trees, slug)?, told))
    });
    // It may have died while this process's wish to die with it was taken back.
    if is_gone(&failure) {
        sys::exit(1);
    }
    drop(orders);
    let (signals, told) = launched.unwrap_or_else(|failed| give_up(&failure, &failed));
    let lines = Lines { stdout, stderr, control };
    let init = named("run", Init::start(&told, signals, lines));
    let init = init.unwrap_or_else(|failed| give_up(&failure, &failed));
    drop(failure);
    let left = told.spec.resources.strict.then_some(left);
    sys::exit(init.run(left))
}

fn give_up(failure: &OwnedFd, failed: &FailedStep) -> ! {
    report(failure, failed);
    sys::exit(1)
}

/// Whether nobody reads a pipe any more.
fn is_gone(pipe: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(pipe, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::ERR)
}

/// Takes on the identity, and does all of the launch that is the same for every dyno.
fn prepared(
    beginning: &Beginning,
    trees: Option<Trees>,
    disk: &Path,
    orders: &OwnedFd,
) -> Result<Trees, FailedStep> {
    let _ = sys::die_with_parent();
    named("launch", hear::<()>(orders))?;
    named("identity", take_identity(&beginning.shape))?;
    let Beginning { shape, facts } = beginning;
    let trees = match trees {
        Some(trees) => trees,
        None => named("trees", open_trees(&shape.binds, disk, facts, None))?,
    };
    filter::program();
    stage(&trees)?;
    carry_out(&plan_ahead(facts), &trees)?;
    Ok(trees)
}

fn launched(
    beginning: &Beginning,
    told: &Told,
    trees: &Trees,
    slug: Option<OwnedFd>,
) -> Result<Signals, FailedStep> {
    let slug = match (slug, &told.spec.slug) {
        (None, Some(view)) => Some(named("trees", open_slug(view, None))?),
        (slug, _) => slug,
    };
    if let Some(slug) = slug {
        attach_slug(&slug)?;
    }
    carry_out(&plan_rest(&told.spec, &beginning.facts), trees)?;
    let taken = Signals::take(&[Signal::TERM, Signal::CHILD]).op(|| "block signals".to_owned());
    named("launch", taken)
}

/// As root on the host, leaves root's identity for the dyno's own. Otherwise the one mapped id is
/// the process's already.
fn take_identity(shape: &Shape) -> Result<(), OpError> {
    sys::leave_keyring().op(|| "leave the server's keyring".to_owned())?;
    // By now the supervisor has put it into the dyno's own groups.
    sys::leave_group_names().op(|| "make a cgroup namespace".to_owned())?;
    if shape.host_uid.is_some() {
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
