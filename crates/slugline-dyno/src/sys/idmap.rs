//! `mount_setattr(2)`, which no crate that we use wraps.

use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::io::Errno;

/// Makes a detached mount, and all below it, read-only if asked, and without set-uid or device
/// files.
pub(crate) fn restrict_mount(
    tree: impl AsFd,
    read_only: bool,
    no_devices: bool,
) -> Result<(), Errno> {
    let mut attributes = libc::MOUNT_ATTR_NOSUID;
    if read_only {
        attributes |= libc::MOUNT_ATTR_RDONLY;
    }
    if no_devices {
        attributes |= libc::MOUNT_ATTR_NODEV;
    }
    set(tree.as_fd(), attributes, 0)
}

/// Makes files of the owner that `user_namespace` maps appear as owned by whom it maps them to.
pub(crate) fn idmap_mount(tree: impl AsFd, user_namespace: impl AsFd) -> Result<(), Errno> {
    let namespace = user_namespace.as_fd().as_raw_fd();
    set(tree.as_fd(), libc::MOUNT_ATTR_IDMAP, u64::try_from(namespace).map_err(|_| Errno::BADF)?)
}

fn set(tree: BorrowedFd<'_>, attributes: u64, user_namespace: u64) -> Result<(), Errno> {
    let request = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: 0,
        userns_fd: user_namespace,
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path is a NUL-terminated literal, `request` lives through the call and its size
    // is passed; the kernel only reads it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const request,
            size_of::<libc::mount_attr>(),
        )
    };
    super::process::check(result).map(|_| ())
}
