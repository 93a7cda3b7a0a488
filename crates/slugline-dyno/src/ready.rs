//! A dyno's first process in its namespaces, its groups and its network, before it is told what to
//! run; and the moment when it is.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, pidfd_send_signal, waitpid};
use slugline_model::dyno::{DynoSpec, Event};
use slugline_model::sandbox::{DYNO_UID, HostFacts};

use crate::control;
use crate::first::{self, Beginning};
use crate::host;
use crate::launch::{FailedStep, named};
use crate::limits::{Group, Guard};
use crate::network::{self, Order, Pasta, Source};
use crate::op_error::{OpError, Operation};
use crate::pipes::{NearEnds, Pipes, Told};
use crate::shape::Shape;
use crate::spool::Spool;
use crate::supervisor::DISK;
use crate::sys::{self, Forked, Signals};
use crate::trees::{Trees, idmap_namespace, open_slug, open_trees, write_maps};
use crate::watch::{self, Watch};

/// A first process that waits to be told what to run. Killed if nobody does.
pub(crate) struct Ready {
    first: First,
    near: NearEnds,
    group: Group,
    disk: PathBuf,
    pasta: Option<Pasta>,
    /// Why the dyno does not reach the outside, if that failed.
    inbound: Option<String>,
    /// As root on the host: maps the slug's owner to the dyno's.
    owner: Option<OwnedFd>,
}

/// The first process of a dyno.
struct First {
    pid: Pid,
    pidfd: OwnedFd,
    /// Its mounts, which go with the last who holds them: emptying a large layer's caches takes a
    /// while, and the end of a dyno is to be told before.
    mounts: Option<OwnedFd>,
    /// Whether it is somebody else's to wait for.
    handed_on: bool,
}

impl Drop for First {
    fn drop(&mut self) {
        if !self.handed_on {
            let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
            let _ = waitpid(Some(self.pid), WaitOptions::empty());
        }
    }
}

/// All that is needed before the first process is made.
struct Prepared {
    shape: Shape,
    facts: HostFacts,
    /// As root on the host: everything is opened here, where the privileges are. Otherwise the
    /// dyno's first process opens it, in its own user namespace.
    trees: Option<Trees>,
    owner: Option<OwnedFd>,
    pipes: Pipes,
    /// Its control groups, as far as there are any.
    group: Group,
    network: Source,
    order: Order,
    directory: PathBuf,
}

impl Ready {
    /// Makes the first process. What the supervisor has open for itself is closed there.
    pub(crate) fn make(
        shape: Shape,
        directory: &Path,
        spool: &mut Spool,
    ) -> Result<Self, FailedStep> {
        let network = named("network", Source::of_supervisor(shape.network))?;
        // The first user namespace that root makes is the one that maps the slug's owner.
        let owner = named("clone", shape.host_uid.map(idmap_namespace).transpose())?;
        let prepared = named("prepare", Prepared::new(shape, owner, network, directory))?;
        prepared.clone_first(spool)
    }

    /// Has the dyno run.
    pub(crate) fn start(
        mut self,
        spec: &DynoSpec,
        signals: Signals,
        spool: &mut Spool,
    ) -> Result<(Watch, Option<Pasta>), FailedStep> {
        self.group.limit(&spec.resources);
        let open = |view, owner| open_slug(view, Some(owner));
        let slug =
            spec.slug.as_ref().zip(self.owner.as_ref()).map(|(view, owner)| open(view, owner));
        let slug = named("trees", slug.transpose())?;
        let told = Told { spec: spec.clone(), bounds_processes: self.group.bounds_processes() };
        let output = self.near.tell(&told, slug.as_ref())?;
        let pid = self.first.pid;
        spool.write(Event::Started { pid: pid.as_raw_nonzero().get().unsigned_abs() });
        if let Some(why) = self.inbound {
            spool.write(Event::Inbound { why });
        }
        let guard = Guard::new(spec, &self.disk, self.group, pid);
        self.first.handed_on = true;
        let pidfd = rustix::io::fcntl_dupfd_cloexec(&self.first.pidfd, 3);
        let pidfd = named("launch", pidfd.op(|| "keep the dyno".to_owned()))?;
        let first = watch::First { pid, pidfd, mounts: self.first.mounts.take() };
        Ok((Watch::new(spec, first, signals, output, Some(guard)), self.pasta))
    }
}

impl Prepared {
    fn new(
        shape: Shape,
        owner: Option<OwnedFd>,
        network: Source,
        directory: &Path,
    ) -> Result<Self, OpError> {
        let disk = directory.join(DISK);
        for name in ["layer", "work"] {
            let path = disk.join(name);
            fs_err::create_dir_all(&path).op(|| format!("make {}", path.display()))?;
        }
        let order = Order::read(directory);
        let facts = host::host_facts(shape.network, &order);
        let trees = match &owner {
            Some(owner) => Some(open_trees(&shape.binds, &disk, &facts, Some(owner))?),
            None => None,
        };
        let group = Group::make(shape.id, directory);
        let pipes = Pipes::new(disk, control::listen(directory)?)?;
        let directory = directory.to_path_buf();
        Ok(Self { shape, facts, trees, owner, pipes, group, network, order, directory })
    }

    fn clone_first(mut self, spool: &mut Spool) -> Result<Ready, FailedStep> {
        let (pid, pidfd) = match named("clone", self.clone_into_network())? {
            Forked::Child => {
                spool.close();
                let Self { shape, facts, trees, .. } = self;
                first::run(&Beginning { shape, facts }, trees, self.pipes.far_ends())
            }
            Forked::Parent(pid, pidfd) => (pid, pidfd),
        };
        let mounts = open_mounts(pid);
        let first = First { pid, pidfd, mounts, handed_on: false };
        drop(self.trees);
        self.group.join(pid);
        let disk = self.pipes.disk.clone();
        let near = self.pipes.near_ends();
        named("clone", map_ids(pid, self.shape.host_uid))?;
        near.release()?;
        let pasta = named("network", Pasta::start(&self.order, pid, &self.directory))?;
        let inbound = pasta.as_ref().and_then(|pasta| pasta.wait().err());
        Ok(Ready { first, near, group: self.group, disk, pasta, inbound, owner: self.owner })
    }

    /// Clones the dyno's first process, in its network if that is ready.
    fn clone_into_network(&mut self) -> Result<Forked, OpError> {
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

/// A process's mounts; none where it is not to be looked into.
fn open_mounts(pid: Pid) -> Option<OwnedFd> {
    let path = format!("/proc/{}/ns/mnt", pid.as_raw_nonzero());
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

/// Says who the dyno's user is on the host.
fn map_ids(pid: Pid, host_uid: Option<u32>) -> Result<(), OpError> {
    let own = || (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let outside = host_uid.map_or_else(own, |uid| (uid, uid));
    write_maps(pid, DYNO_UID, outside)
}
