//! Detached mounts of the host's paths, opened before the dyno's own root covers them.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use slugline_model::dyno::Bind;
use slugline_model::sandbox::{HostFacts, stack_paths};
use slugline_model::slug::SlugView;

use crate::op_error::{OpError, Operation};
use crate::sys::{self, Forked};
use crate::view::mount_view;

/// The devices that a dyno sees.
pub(crate) const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Every path of the host that a dyno sees, but its slug, as detached mounts.
pub(crate) struct Trees {
    /// The directory that holds `layer` and `work`.
    pub(crate) disk: OwnedFd,
    /// One for each part of the stack and each bind.
    pub(crate) binds: Vec<Tree>,
    /// One for each of [`DEVICES`].
    pub(crate) devices: Vec<OwnedFd>,
}

/// A path of the host's, as a detached mount.
pub(crate) struct Tree {
    /// Its place in the dyno.
    pub(crate) to: PathBuf,
    pub(crate) mount: OwnedFd,
    /// The path that anybody may open anew, if it is one.
    from: Option<PathBuf>,
}

impl Tree {
    fn read_only(from: &Path, to: &Path) -> Result<Self, OpError> {
        let mount = restrict(open(from)?, from, true)?;
        Ok(Self { to: to.to_path_buf(), mount, from: Some(from.to_path_buf()) })
    }

    /// What lies at its path by now, as the same kind of mount; nothing where it may not be looked.
    pub(crate) fn anew(&self) -> Option<Self> {
        self.from.as_ref().and_then(|from| Self::read_only(from, &self.to).ok())
    }
}

/// Opens them. Needs the right to mount; with `idmap`, files of the server's user appear as the
/// dyno's own, except in the stack.
pub(crate) fn open_trees(
    binds: &[Bind],
    disk: &Path,
    facts: &HostFacts,
    idmap: Option<&OwnedFd>,
) -> Result<Trees, OpError> {
    let mut opened = Vec::new();
    for path in stack_paths(facts) {
        opened.push(Tree::read_only(&path, &path)?);
    }
    for bind in binds {
        let tree = if bind.writable {
            let mount = owned(&bind.from, true, idmap)?;
            Tree { to: bind.to.clone(), mount, from: None }
        } else {
            Tree::read_only(&bind.from, &bind.to)?
        };
        opened.push(tree);
    }
    let device = |name: &&str| {
        let path = Path::new("/dev").join(name);
        let tree = open(&path)?;
        // The device itself is not written to less, but nobody alters its times or its mode.
        sys::restrict_mount(&tree, true, false).op(|| format!("restrict {}", path.display()))?;
        Ok(tree)
    };
    Ok(Trees {
        disk: owned(disk, true, idmap)?,
        binds: opened,
        devices: DEVICES.iter().map(device).collect::<Result<_, _>>()?,
    })
}

/// Opens a slug's tree in the same way.
pub(crate) fn open_slug(view: &SlugView, idmap: Option<&OwnedFd>) -> Result<OwnedFd, OpError> {
    match view {
        SlugView::Tree(path) => owned(path, false, idmap),
        SlugView::Image { image, objects } => mount_view(image, objects, idmap),
    }
}

/// Files of the server's user appear as the dyno's own.
fn owned(path: &Path, writable: bool, idmap: Option<&OwnedFd>) -> Result<OwnedFd, OpError> {
    let tree = open(path)?;
    if let Some(namespace) = idmap {
        sys::idmap_mount(&tree, namespace).op(|| format!("idmap {}", path.display()))?;
    }
    restrict(tree, path, !writable)
}

fn open(path: &Path) -> Result<OwnedFd, OpError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    open_tree(CWD, path, flags).op(|| format!("open {}", path.display()))
}

fn restrict(tree: OwnedFd, path: &Path, read_only: bool) -> Result<OwnedFd, OpError> {
    let operation = || format!("restrict {}", path.display());
    sys::restrict_mount(&tree, read_only, true).op(operation)?;
    Ok(tree)
}

/// Makes the user namespace that an idmapped mount refers to: files of root there belong to
/// `host_uid`.
pub(crate) fn idmap_namespace(host_uid: u32) -> Result<OwnedFd, OpError> {
    let (pid, _pidfd) = match sys::fork(true).op(|| "clone a user namespace".to_owned())? {
        Forked::Child => wait_to_be_killed(),
        Forked::Parent(pid, pidfd) => (pid, pidfd),
    };
    let namespace = write_maps(pid, 0, (host_uid, host_uid)).and_then(|()| {
        let path = format!("/proc/{}/ns/user", pid.as_raw_nonzero());
        fs_err::File::open(&path).op(|| format!("open {path}"))
    });
    let _ = kill_process(pid, Signal::KILL);
    let _ = waitpid(Some(pid), WaitOptions::empty());
    namespace.map(|file| OwnedFd::from(file.into_file()))
}

fn wait_to_be_killed() -> ! {
    let _ = sys::die_with_parent();
    loop {
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

/// Maps one uid and gid of a new user namespace, which are `outside` on the host.
pub(crate) fn write_maps(pid: Pid, inside: u32, outside: (u32, u32)) -> Result<(), OpError> {
    let write = |name: &str, content: &str| {
        let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
        fs_err::write(&path, content).op(|| format!("write {path}"))
    };
    if !rustix::process::geteuid().is_root() {
        write("setgroups", "deny")?;
    }
    write("uid_map", &format!("{inside} {} 1\n", outside.0))?;
    write("gid_map", &format!("{inside} {} 1\n", outside.1))
}
