//! Carrying out a launch, in the dyno's own namespaces.
//!
//! The new root is put together on a private tmpfs, which only this mount namespace sees: `stack`
//! (synthesised), `slug` and `disk` (mounts of the host's directories), and `root`, the overlay of
//! the three; `dev` and `proc` wait there until there is a root. Nothing here touches the host's
//! mounts. All paths are relative to that place, the process's working directory.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount,
    fsopen, mount_change, mount_remount, move_mount, open_tree, unmount,
};
use slugline_model::sandbox::Step;

use crate::network;
use crate::op_error::{OpError, Operation};
use crate::sys;
use crate::trees::{DEVICES, Tree, Trees};

/// Where the new root is put together: a directory that every machine has, and that none has slugs
/// or layers in.
const STAGE: &str = "/sys";

/// How many times a file of the host's may be replaced between its opening and its attaching.
const MOST_REPLACED: usize = 20;

/// What hides a directory, or a file.
const NO_FILES: &str = "no-files";
const NO_BYTES: &str = "no-bytes";

/// A step that failed, by the name that [`crate::host::remedy`] knows.
pub(crate) struct FailedStep {
    pub(crate) step: &'static str,
    pub(crate) error: OpError,
}

/// Makes the place where the new root is put together.
pub(crate) fn stage(trees: &Trees) -> Result<(), FailedStep> {
    let make = || {
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).op(|| "make mounts private".to_owned())?;
        let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        // It holds what is synthesised and nothing that a dyno writes.
        let bounds = [("mode", "755"), ("size", "8m"), ("nr_inodes", "4k")];
        mount_new("tmpfs", &bounds, flags, Path::new(STAGE))?;
        rustix::process::chdir(STAGE).op(|| format!("enter {STAGE}"))?;
        for name in ["stack", "slug", "disk", "root", "dev", "proc", NO_FILES] {
            directory(Path::new(name), 0o755)?;
        }
        file(Path::new(NO_BYTES), "")?;
        mount_points(trees)?;
        attach_at(&trees.disk, Path::new("disk"))
    };
    named("stage", make())
}

/// Puts a slug's tree where the overlay takes it from.
pub(crate) fn attach_slug(slug: &OwnedFd) -> Result<(), FailedStep> {
    named("stage", attach_at(slug, Path::new("slug")))
}

/// Carries out every step but [`Step::Run`].
pub(crate) fn carry_out(steps: &[Step], trees: &Trees) -> Result<(), FailedStep> {
    for step in steps {
        let (name, result) = match step {
            Step::Directory { path, mode } => ("stack", directory(&stack(path), *mode)),
            Step::File { path, content } => ("stack", file(&stack(path), content)),
            Step::Link { path, target } => ("stack", link(&stack(path), target)),
            Step::Devices => ("devices", devices(trees)),
            Step::Proc => ("proc", proc()),
            Step::ReadOnly { path } => ("proc", cover(below(path), below(path))),
            Step::Mask { path } => ("proc", mask(below(path))),
            Step::Overlay { slug } => ("overlay", overlay(*slug)),
            Step::Stack { path } => ("bind", attach(trees, path)),
            Step::Bind(bind) => ("bind", attach(trees, &bind.to)),
            Step::Place { path } => ("bind", place(path)),
            Step::SharedMemory { bytes } => ("devices", shared_memory(*bytes)),
            Step::Open { path } => ("overlay", open(&root(path))),
            Step::Close => ("overlay", close()),
            Step::HostName { name } => ("hostname", host_name(name)),
            Step::Pivot => ("pivot", pivot()),
            Step::Network { outside: way, closed } => ("network", network::set_up(*way, closed)),
            Step::DropPrivileges => ("privileges", drop_privileges()),
            Step::Run => ("run", Ok(())),
        };
        named(name, result)?;
    }
    Ok(())
}

/// Says which step it was that failed.
pub(crate) fn named<T>(step: &'static str, result: Result<T, OpError>) -> Result<T, FailedStep> {
    result.map_err(|error| FailedStep { step, error })
}

fn stack(path: &Path) -> PathBuf {
    Path::new("stack").join(below(path))
}

fn root(path: &Path) -> PathBuf {
    Path::new("root").join(below(path))
}

/// What waits until there is a root.
fn below(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

fn directory(path: &Path, mode: u32) -> Result<(), OpError> {
    fs_err::create_dir_all(path).op(|| format!("make {}", path.display()))?;
    let permissions = std::fs::Permissions::from_mode(mode);
    fs_err::set_permissions(path, permissions).op(|| format!("set mode of {}", path.display()))
}

fn file(path: &Path, content: &str) -> Result<(), OpError> {
    fs_err::write(path, content).op(|| format!("write {}", path.display()))
}

fn link(path: &Path, target: &str) -> Result<(), OpError> {
    fs_err::os::unix::fs::symlink(target, path).op(|| format!("link {}", path.display()))
}

/// Makes the places that mounts will go to, in the stack, so that they do not count as written by
/// the dyno.
fn mount_points(trees: &Trees) -> Result<(), OpError> {
    for Tree { to, mount, .. } in &trees.binds {
        let stat = rustix::fs::fstat(mount).op(|| format!("look at {}", to.display()))?;
        let place = stack(to);
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            directory(&place, 0o755)?;
        } else {
            if let Some(parent) = place.parent() {
                fs_err::create_dir_all(parent).op(|| format!("make {}", parent.display()))?;
            }
            file(&place, "")?;
        }
    }
    Ok(())
}

/// Lower layers are the slug over the stack; the upper one is the dyno's own. `userxattr` lets a
/// user namespace mount it.
fn overlay(slug: bool) -> Result<(), OpError> {
    let lower = if slug { "slug:stack" } else { "stack" };
    let options = [
        ("lowerdir", lower),
        ("upperdir", "disk/layer"),
        ("workdir", "disk/work"),
        ("userxattr", ""),
    ];
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    mount_new("overlay", &options, flags, Path::new("root"))
}

fn attach(trees: &Trees, to: &Path) -> Result<(), OpError> {
    let Some(tree) = trees.binds.iter().find(|tree| tree.to == to) else { return Ok(()) };
    let place = root(to);
    let mut attached = attach_at(&tree.mount, &place);
    // The kernel attaches nothing whose file is gone. A package manager may have replaced it just
    // now, and may do so again.
    for _ in 0..MOST_REPLACED {
        match &attached {
            Err(error) if error.source.kind() == ErrorKind::NotFound => {}
            _ => break,
        }
        let Some(anew) = tree.anew() else { break };
        attached = attach_at(&anew.mount, &place);
    }
    attached
}

fn attach_at(tree: &OwnedFd, to: &Path) -> Result<(), OpError> {
    move_mount(tree, "", CWD, to, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .op(|| format!("attach {}", to.display()))
}

fn devices(trees: &Trees) -> Result<(), OpError> {
    let dev = Path::new("dev");
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let bounds = [("mode", "755"), ("size", "64k"), ("nr_inodes", "64")];
    mount_new("tmpfs", &bounds, flags, dev)?;
    for (name, tree) in DEVICES.iter().zip(&trees.devices) {
        file(&dev.join(name), "")?;
        attach_at(tree, &dev.join(name))?;
    }
    directory(&dev.join("pts"), 0o755)?;
    // All that there are of the machine's, some thousands, are everybody's.
    let terminals = [("newinstance", ""), ("ptmxmode", "0666"), ("max", "256")];
    mount_new("devpts", &terminals, flags, &dev.join("pts"))?;
    directory(&dev.join("shm"), 0o1777)?;
    for (name, target) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        link(&dev.join(name), target)?;
    }
    Ok(())
}

fn shared_memory(bytes: u64) -> Result<(), OpError> {
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let (size, files) = (bytes.to_string(), (bytes / 4_096).max(64).to_string());
    let bounds = [("mode", "1777"), ("size", size.as_str()), ("nr_inodes", files.as_str())];
    mount_new("tmpfs", &bounds, flags, &root(Path::new("dev/shm")))
}

/// With all that is mounted below it.
fn place(path: &Path) -> Result<(), OpError> {
    move_mount(CWD, below(path), CWD, root(path), MoveMountFlags::empty())
        .op(|| format!("place {}", path.display()))
}

fn proc() -> Result<(), OpError> {
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    mount_new("proc", &[], flags, Path::new("proc"))
}

/// An empty directory or an empty file hides what is there.
fn mask(path: &Path) -> Result<(), OpError> {
    let empty = if path.is_dir() { NO_FILES } else { NO_BYTES };
    cover(Path::new(empty), path)
}

/// One path's mount, read-only, over another.
fn cover(from: &Path, to: &Path) -> Result<(), OpError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, from, flags).op(|| format!("open {}", from.display()))?;
    sys::restrict_mount(&tree, true, true).op(|| format!("restrict {}", from.display()))?;
    attach_at(&tree, to)
}

/// A mount of its own, which stays as it is when the one around it is closed.
fn open(path: &Path) -> Result<(), OpError> {
    fs_err::create_dir_all(path).op(|| format!("make {}", path.display()))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, path, flags).op(|| format!("open {}", path.display()))?;
    attach_at(&tree, path)
}

/// The overlay's own mount takes no more writes; those below it are as they were.
fn close() -> Result<(), OpError> {
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount_remount("root", flags, c"").op(|| "close the root".to_owned())
}

fn host_name(name: &str) -> Result<(), OpError> {
    rustix::system::sethostname(name.as_bytes()).op(|| format!("set host name {name}"))
}

/// The classic trick: the new root is mounted over the old one, which is then let go.
fn pivot() -> Result<(), OpError> {
    rustix::process::chdir("root").op(|| "enter the new root".to_owned())?;
    rustix::process::pivot_root(".", ".").op(|| "pivot_root".to_owned())?;
    unmount(".", UnmountFlags::DETACH).op(|| "leave the old root".to_owned())?;
    rustix::process::chdir("/").op(|| "enter /".to_owned())
}

fn drop_privileges() -> Result<(), OpError> {
    use rustix::thread::{CapabilitySet, CapabilitySets};
    rustix::thread::set_no_new_privs(true).op(|| "set no_new_privs".to_owned())?;
    sys::leave_abstract_sockets().op(|| "leave the machine's abstract sockets".to_owned())?;
    for capability in CapabilitySet::all().iter() {
        // Old kernels do not know the newest ones.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none).op(|| "drop capabilities".to_owned())?;
    let behavior = rustix::process::DumpableBehavior::NotDumpable;
    rustix::process::set_dumpable_behavior(behavior).op(|| "hide init".to_owned())
}

fn mount_new(
    kind: &str,
    options: &[(&str, &str)],
    flags: MountAttrFlags,
    at: &Path,
) -> Result<(), OpError> {
    let filesystem =
        fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).op(|| format!("open filesystem {kind}"))?;
    for (key, value) in options {
        let result = if value.is_empty() {
            fsconfig_set_flag(&filesystem, *key)
        } else {
            fsconfig_set_string(&filesystem, *key, *value)
        };
        result.op(|| format!("set {key} of {kind}"))?;
    }
    fsconfig_create(&filesystem).op(|| format!("make {kind} for {}", at.display()))?;
    let mount = fsmount(&filesystem, FsMountFlags::FSMOUNT_CLOEXEC, flags)
        .op(|| format!("mount {kind}"))?;
    attach_at(&mount, at)
}
