//! A slug's tree as a mount of its image: nothing is copied, and it takes the same time whatever the
//! slug's size. Only root on the host may mount images.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount,
};
use slugline_model::slug::SlugView;

use crate::op_error::{OpError, Operation};
use crate::sys;

/// Mounts a slug's tree, attached nowhere. With `idmap`, its files appear as the dyno's own.
pub(crate) fn mount_view(
    image: &Path,
    objects: &Path,
    idmap: Option<&OwnedFd>,
) -> Result<OwnedFd, OpError> {
    // An overlay takes its layers by path, so the image must be mounted somewhere: in a mount
    // namespace that goes with the thread. The overlay keeps it.
    let mounted =
        std::thread::scope(|scope| scope.spawn(|| mount_in_private(image, objects, idmap)).join());
    mounted.unwrap_or(Err(Errno::IO).op(|| format!("mount {}", image.display())))
}

fn mount_in_private(
    image: &Path,
    objects: &Path,
    idmap: Option<&OwnedFd>,
) -> Result<OwnedFd, OpError> {
    sys::leave_mounts().op(|| "make a mount namespace".to_owned())?;
    // What the host unmounts is to go here too; nothing goes the other way.
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", slave).op(|| "make mounts private".to_owned())?;
    let names = mount_names(image)?;
    if let Some(namespace) = idmap {
        sys::idmap_mount(&names, namespace).op(|| format!("idmap {}", image.display()))?;
    }
    // In mounts that nobody else sees, any place will do that hides no object.
    let place = image.parent().unwrap_or(image);
    move_mount(&names, "", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .op(|| format!("attach {}", image.display()))?;
    let on = Path::new("on");
    let options =
        [("metacopy", on), ("redirect_dir", on), ("lowerdir+", place), ("datadir+", objects)];
    mount_detached("overlay", &options)
}

/// Mounts an image, attached nowhere: all names, and no content.
fn mount_names(image: &Path) -> Result<OwnedFd, OpError> {
    mount_detached("erofs", &[("source", image)])
}

fn mount_detached(kind: &str, options: &[(&str, &Path)]) -> Result<OwnedFd, OpError> {
    let filesystem =
        fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).op(|| format!("open filesystem {kind}"))?;
    for (key, value) in options {
        fsconfig_set_string(&filesystem, *key, *value)
            .op(|| format!("set {key}={} of {kind}", value.display()))?;
    }
    fsconfig_create(&filesystem).op(|| format!("make {kind}"))?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_RDONLY;
    fsmount(&filesystem, FsMountFlags::FSMOUNT_CLOEXEC, flags).op(|| format!("mount {kind}"))
}

/// The names of a slug's tree, to compare a layer with.
#[derive(Debug)]
pub(crate) enum Names {
    Tree(PathBuf),
    Mounted(OwnedFd),
}

impl Names {
    pub(crate) fn open(view: SlugView) -> Result<Self, OpError> {
        match view {
            SlugView::Tree(path) => Ok(Self::Tree(path)),
            SlugView::Image { image, .. } => Ok(Self::Mounted(mount_names(&image)?)),
        }
    }

    /// Where they are, as long as this lives.
    pub(crate) fn tree(&self) -> PathBuf {
        match self {
            Self::Tree(path) => path.clone(),
            Self::Mounted(mount) => format!("/proc/self/fd/{}", mount.as_raw_fd()).into(),
        }
    }
}

/// Whether slugs can be mounted here: mounts this one, whose tree has a file at `app/probe`, and
/// reads the file. If not, says why.
pub fn can_mount_slugs(image: &Path, objects: &Path) -> Result<(), String> {
    if !crate::host::is_host_root() {
        return Err("only root may mount them".to_owned());
    }
    let read = || {
        let view = mount_view(image, objects, None)?;
        let probe = format!("/proc/self/fd/{}/app/probe", view.as_raw_fd());
        fs_err::read(&probe).op(|| "read a file of a mounted slug".to_owned())
    };
    read().map(drop).map_err(|error| format!("{error}: {}", error.source))
}
