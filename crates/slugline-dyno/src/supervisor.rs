//! The supervisor: one small process per dyno that owns it from launch to receipt.
//!
//! It has one thread, reports through the spool, and takes one order: SIGTERM, which stops the
//! dyno. When it is killed, the kernel kills init, and with it the dyno.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::process::{Pid, Signal};
use slugline_model::dyno::{DynoSpec, Event};
use slugline_model::ledger::Receipt;

use crate::launch::{FailedStep, named};
use crate::limits;
use crate::op_error::{OpError, Operation};
use crate::ready::Ready;
use crate::shape::Shape;
use crate::spool::Spool;
use crate::sys::{self, Signals};
use crate::view::Names;
use crate::walk::Tree;
use crate::writers::name_writers;
use crate::{discard, host, layers, scan};

/// The name of the file that a live supervisor holds locked, with its pid in it.
pub(crate) const LOCK: &str = "lock";

/// The name of the file that holds the spec.
pub(crate) const SPEC: &str = "spec.json";

/// The name of the directory that holds the layer; the overlay needs a second one beside it.
pub(crate) const DISK: &str = "disk";

/// How long a full disk may keep it from telling the dyno's end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes one dyno ready, and, once the server says so by a word to the supervisor's stdout, runs the
/// one whose spec lies in the directory then, to its end. Gives the supervisor's exit status.
pub fn supervise(dyno_directory: &Path) -> i32 {
    sys::close_what_was_inherited();
    let _ = rustix::process::setsid();
    // First of all, so that an early order to stop is kept until it can be carried out.
    let Ok(signals) = Signals::take(&[Signal::TERM]) else { return 1 };
    // The directory gets another name when its dyno gets one, which may be now: it was started
    // there.
    let _ = rustix::process::chdir(dyno_directory);
    let here = Path::new(".");
    let Ok(mut spool) = Spool::open(here) else { return 1 };
    let Ok(_lock) = lock_as_supervisor(here) else { return 1 };
    // A server that found nobody here has buried the dyno meanwhile.
    if !spool.is_fresh() {
        return 1;
    }
    let shape = named("prepare", Shape::read(here));
    if shape.as_ref().is_ok_and(|shape| shape.strict) {
        spool.keep_room(here);
    }
    let ready = shape.and_then(|shape| Ready::make(shape, here, &mut spool));
    if !wait_for_word() {
        drop(ready);
        withdraw(dyno_directory);
        return 0;
    }
    let started = ready.and_then(|ready| {
        let spec = named("prepare", read_spec(here))?;
        ready.start(&spec, signals, &mut spool)
    });
    match started {
        Ok((watch, _pasta)) => watch.run(&mut spool),
        Err(FailedStep { step, error }) => spool.write(Event::LaunchFailed {
            step: step.to_owned(),
            error: format!("{}: {}", error.operation, error.source),
            remedy: host::remedy(step),
        }),
    }
    finish(here, &mut spool, PATIENCE);
    0
}

/// Waits until the server wants a dyno; false if it has ended, or wants none.
fn wait_for_word() -> bool {
    let mut word = [0; 2];
    let read = rustix::io::retry_on_intr(|| rustix::io::read(rustix::stdio::stdout(), &mut word));
    let null = rustix::fs::open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    let _ = null.and_then(|null| rustix::stdio::dup2_stdout(&null));
    matches!(read, Ok(1..))
}

/// Leaves nothing behind of a dyno that was never asked for. Where there is a spec, its server was
/// killed before it could say so: the next one finds it.
fn withdraw(dyno_directory: &Path) {
    let here = Path::new(".");
    limits::remove(here);
    if !here.join(SPEC).exists() {
        let _ = discard::remove_tree(dyno_directory);
    }
}

/// Whether a supervisor lives: it holds the lock. Looking makes no file, since the directory may be
/// in the middle of its removal.
pub(crate) fn is_alive(dyno_directory: &Path) -> bool {
    let lock = fs_err::File::open(dyno_directory.join(LOCK));
    lock.is_ok_and(|lock| flock(lock.file(), FlockOperation::NonBlockingLockExclusive).is_err())
}

/// Takes the lock of a dyno whose supervisor is gone.
pub(crate) fn lock(dyno_directory: &Path) -> Result<fs_err::File, OpError> {
    let lock = open_lock(dyno_directory)?;
    let operation = FlockOperation::NonBlockingLockExclusive;
    flock(lock.file(), operation).op(|| "lock the dyno".to_owned())?;
    Ok(lock)
}

/// Never makes the file: whoever comes too late must not put it into a directory that is being
/// removed.
fn open_lock(dyno_directory: &Path) -> Result<fs_err::File, OpError> {
    let path = dyno_directory.join(LOCK);
    let file = fs_err::OpenOptions::new().write(true).open(&path);
    file.op(|| format!("open {}", path.display()))
}

/// Takes the lock for as long as this supervisor lives, and writes its pid there.
fn lock_as_supervisor(dyno_directory: &Path) -> Result<fs_err::File, OpError> {
    let mut lock = open_lock(dyno_directory)?;
    // Whoever looks whether it is free holds it for a moment.
    flock(lock.file(), FlockOperation::LockExclusive).op(|| "lock the dyno".to_owned())?;
    writeln!(lock, "{}", std::process::id()).op(|| "write the pid".to_owned())?;
    Ok(lock)
}

/// The pid of the supervisor that holds the lock, or held it last.
pub(crate) fn pid(dyno_directory: &Path) -> Option<Pid> {
    let pid = std::fs::read_to_string(dyno_directory.join(LOCK)).ok()?;
    pid.trim().parse().ok().and_then(Pid::from_raw)
}

/// Writes the receipt and removes the layer, in this order unless the layer itself has filled the
/// disk. Where it was not that, waits at most so long for room.
pub(crate) fn finish(dyno_directory: &Path, spool: &mut Spool, patience: Duration) {
    // Once it is told that the dyno is gone, its directory may go, and with it the list of groups.
    limits::remove(dyno_directory);
    let disk = dyno_directory.join(DISK);
    let spec = read_spec(dyno_directory).ok();
    let (receipt, kept) = put_aside(dyno_directory, &disk, spec.as_ref());
    spool.write(Event::Discarded { receipt, kept });
    // What cannot be removed now is removed with the dyno's directory.
    let _ = discard::remove_tree(&disk);
    spool.finish(patience);
}

/// The receipt, and whether the layer is where such are kept: that is a rename, which a kill before
/// may have been too late for.
fn put_aside(dyno_directory: &Path, disk: &Path, spec: Option<&DynoSpec>) -> (Receipt, bool) {
    let layer = disk.join("layer");
    let place = spec.map(|spec| layers::of_dyno(dyno_directory, spec.id));
    let aside = place.filter(|_| spec.is_some_and(|spec| spec.layer.keep));
    if let Some(aside) = aside.as_deref().filter(|aside| aside.exists()) {
        return (receipt(dyno_directory, aside, spec), true);
    }
    let receipt = receipt(dyno_directory, &layer, spec);
    let worth = receipt.content.files > 0 && layers::has_room(disk);
    let kept = worth && aside.is_some_and(|aside| fs_err::rename(&layer, aside).is_ok());
    (receipt, kept)
}

/// What a layer that nobody writes to holds.
fn receipt(dyno_directory: &Path, layer: &Path, spec: Option<&DynoSpec>) -> Receipt {
    // Without it, what was changed is told as created.
    let slug = spec.and_then(|spec| Names::open(spec.slug.clone()?).ok());
    let scratch = spec.map_or(&[][..], |spec| &spec.layer.scratch);
    let tree = slug.as_ref().map(Names::tree);
    let mut receipt = scan::receipt(layer, tree.as_deref(), scratch, Tree::Left);
    name_writers(dyno_directory, &mut receipt.largest);
    receipt
}

pub(crate) fn read_spec(dyno_directory: &Path) -> Result<DynoSpec, OpError> {
    let path = dyno_directory.join(SPEC);
    let json = fs_err::read(&path).op(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&json)
        .map_err(std::io::Error::from)
        .op(|| format!("parse {}", path.display()))
}
