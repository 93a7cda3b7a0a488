//! The supervisor: one small process per dyno that owns it from launch to receipt.
//!
//! It has one thread, reports through the spool, and takes one order: SIGTERM, which stops the
//! dyno. When it is killed, the kernel kills init, and with it the dyno.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, pidfd_send_signal, waitpid};
use slugline_model::dyno::{DynoSpec, Event};
use slugline_model::sandbox::{DYNO_UID, Step, plan};

use crate::control;
use crate::launch::{FailedStep, named};
use crate::limits::{self, Group, Guard};
use crate::network::{self, Order, Pasta, Source};
use crate::op_error::{OpError, Operation};
use crate::pipes::Pipes;
use crate::spool::Spool;
use crate::sys::{self, Forked, Signals};
use crate::trees::{Trees, idmap_namespace, open_trees, write_maps};
use crate::view::Names;
use crate::watch::Watch;
use crate::{discard, first, host, scan};

/// The name of the file that a live supervisor holds locked, with its pid in it.
pub(crate) const LOCK: &str = "lock";

/// The name of the file that holds the spec.
pub(crate) const SPEC: &str = "spec.json";

/// The name of the directory that holds the layer; the overlay needs a second one beside it.
pub(crate) const DISK: &str = "disk";

/// Runs one dyno, whose directory holds its spec, to its end. Gives the supervisor's exit status.
pub fn supervise(dyno_directory: &Path) -> i32 {
    sys::close_what_was_inherited();
    let _ = rustix::process::setsid();
    // First of all, so that an early order to stop is kept until it can be carried out.
    let Ok(signals) = Signals::take(&[Signal::TERM]) else { return 1 };
    let Ok(mut spool) = Spool::open(dyno_directory) else { return 1 };
    let Ok(_lock) = lock_as_supervisor(dyno_directory) else { return 1 };
    // A server that found nobody here has buried the dyno meanwhile.
    if !spool.is_fresh() {
        return 1;
    }
    let prepared = prepare(dyno_directory, signals);
    if prepared.as_ref().is_ok_and(|prepared| prepared.spec.resources.strict) {
        spool.keep_room(dyno_directory);
    }
    match prepared.and_then(|prepared| prepared.start(dyno_directory, &mut spool)) {
        Ok((watch, _pasta)) => watch.run(&mut spool),
        Err(FailedStep { step, error }) => spool.write(Event::LaunchFailed {
            step: step.to_owned(),
            error: format!("{}: {}", error.operation, error.source),
            remedy: host::remedy(step),
        }),
    }
    finish(dyno_directory, &mut spool);
    0
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

/// Writes the receipt and removes the layer.
pub(crate) fn finish(dyno_directory: &Path, spool: &mut Spool) {
    let disk = dyno_directory.join(DISK);
    // Without it, what was changed is told as created.
    let slug = read_spec(dyno_directory).ok().and_then(|spec| Names::open(spec.slug?).ok());
    let receipt = scan::receipt(&disk.join("layer"), slug.as_ref().map(Names::tree).as_deref());
    spool.write(Event::Discarded { receipt });
    limits::remove(dyno_directory);
    // What cannot be removed now is removed with the dyno's directory.
    let _ = discard::remove_tree(&disk);
}

pub(crate) fn read_spec(dyno_directory: &Path) -> Result<DynoSpec, OpError> {
    let path = dyno_directory.join(SPEC);
    let json = fs_err::read(&path).op(|| format!("read {}", path.display()))?;
    serde_json::from_slice(&json)
        .map_err(std::io::Error::from)
        .op(|| format!("parse {}", path.display()))
}

/// All that is needed before the first namespace is made.
struct Prepared {
    spec: DynoSpec,
    steps: Vec<Step>,
    signals: Signals,
    /// As root on the host: everything is opened here, where the privileges are. Otherwise the
    /// dyno's first process opens it, in its own user namespace.
    trees: Option<Trees>,
    pipes: Pipes,
    /// Its control groups, as far as there are any.
    group: Group,
    network: Source,
    order: Order,
}

fn prepare(dyno_directory: &Path, signals: Signals) -> Result<Prepared, FailedStep> {
    let mut spec = named("prepare", read_spec(dyno_directory))?;
    let network = named("network", Source::of_supervisor(spec.network))?;
    // The first user namespace that root makes is the one that maps the slug's owner.
    let owner = named("clone", spec.host_uid.map(idmap_namespace).transpose())?;
    let prepared = move || {
        let disk = dyno_directory.join(DISK);
        for name in ["layer", "work"] {
            let path = disk.join(name);
            fs_err::create_dir_all(&path).op(|| format!("make {}", path.display()))?;
        }
        spec.binds.retain(|bind| bind.from.exists());
        let order = Order::read(dyno_directory);
        let steps = plan(&spec, &host::host_facts(spec.network, &order));
        let trees = match owner {
            Some(owner) => Some(open_trees(&spec, &disk, &steps, Some(&owner))?),
            None => None,
        };
        let mut group = Group::make(spec.id, dyno_directory);
        group.limit(&spec.resources);
        Ok(Prepared {
            spec,
            steps,
            signals,
            trees,
            pipes: Pipes::new(disk, control::listen(dyno_directory)?)?,
            group,
            network,
            order,
        })
    };
    named("prepare", prepared())
}

impl Prepared {
    fn start(
        mut self,
        dyno_directory: &Path,
        spool: &mut Spool,
    ) -> Result<(Watch, Option<Pasta>), FailedStep> {
        let (pid, pidfd) = match named("clone", self.clone_first())? {
            Forked::Child => {
                spool.close();
                let first = self.pipes.far_ends();
                first::run(&self.spec, &self.steps, self.trees, &self.group, first)
            }
            Forked::Parent(pid, pidfd) => (pid, pidfd),
        };
        drop(self.trees);
        self.group.join(pid);
        let disk = self.pipes.disk.clone();
        let near = self.pipes.near_ends();
        let (mut pasta, mut inbound) = (None, None);
        let launched = map_ids(pid, &self.spec).and_then(|()| {
            pasta = named("network", Pasta::start(&self.order, pid, dyno_directory))?;
            near.release(|| inbound = pasta.as_ref().and_then(|pasta| pasta.wait().err()))
        });
        match launched {
            Ok(output) => {
                spool.write(Event::Started { pid: pid.as_raw_nonzero().get().unsigned_abs() });
                if let Some(why) = inbound {
                    spool.write(Event::Inbound { why });
                }
                let guard = Guard::new(&self.spec, &disk, self.group, pid);
                let watch = Watch::new(&self.spec, pid, pidfd, self.signals, output, Some(guard));
                Ok((watch, pasta))
            }
            Err(failed) => {
                let _ = pidfd_send_signal(&pidfd, Signal::KILL);
                let _ = waitpid(Some(pid), WaitOptions::empty());
                Err(failed)
            }
        }
    }

    /// Clones the dyno's first process, in its network if that is ready.
    fn clone_first(&mut self) -> Result<Forked, OpError> {
        let home = self.network.enter()?;
        let cloned = self.clone_into_group();
        if let (Some(home), Ok(Forked::Parent(..)) | Err(_)) = (home, &cloned) {
            // Whatever it needs is in the file system: it may as well stay.
            let _ = network::enter(&home);
        }
        // Only who is in it is to keep it.
        if let Source::Ready(_) = self.network {
            self.network = Source::Host;
        }
        cloned
    }

    /// Clones it into its control group where that can be done at once.
    fn clone_into_group(&mut self) -> Result<Forked, OpError> {
        let new_network = self.network.is_new();
        if let Some(group) = self.group.to_clone_into() {
            match sys::clone_into_namespaces(Some(group.as_fd()), new_network) {
                Err(Errno::ACCESS | Errno::PERM | Errno::BUSY | Errno::OPNOTSUPP) => {
                    // Made beside the server's own, yet closed to it.
                    self.group.lose_unified();
                }
                cloned => return cloned.op(|| "make namespaces".to_owned()),
            }
        }
        sys::clone_into_namespaces(None, new_network).op(|| "make namespaces".to_owned())
    }
}

/// Says who the dyno's user is on the host.
fn map_ids(pid: Pid, spec: &DynoSpec) -> Result<(), FailedStep> {
    let own = || (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let outside = spec.host_uid.map_or_else(own, |uid| (uid, uid));
    named("clone", write_maps(pid, DYNO_UID, outside))
}
