//! Landlock's one scope that we use, which no crate that we use wraps.

use std::mem::size_of;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use rustix::io::Errno;

/// `struct landlock_ruleset_attr` as of its sixth version, Linux 6.12.
#[repr(C)]
struct Ruleset {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET`.
const ABSTRACT_UNIX_SOCKET: u64 = 1;

/// Keeps this process, and all that it starts, from the abstract sockets of everybody else, which
/// belong to the network and so are the machine's own. It must have given up new privileges. False
/// where the kernel knows nothing of it.
pub(crate) fn leave_abstract_sockets() -> Result<bool, Errno> {
    let ruleset = match ruleset() {
        Ok(ruleset) => ruleset,
        Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::TOOBIG | Errno::INVAL) => return Ok(false),
        Err(other) => return Err(other),
    };
    // SAFETY: no memory is involved; the descriptor is open through the call.
    let result =
        unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0_u32) };
    super::process::check(result).map(|_| true)
}

/// Whether the kernel can keep a dyno from them.
pub(crate) fn knows_abstract_sockets() -> bool {
    ruleset().is_ok()
}

fn ruleset() -> Result<OwnedFd, Errno> {
    let request =
        Ruleset { handled_access_fs: 0, handled_access_net: 0, scoped: ABSTRACT_UNIX_SOCKET };
    // SAFETY: `request` lives through the call and its size is passed; the kernel only reads it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const request,
            size_of::<Ruleset>(),
            0_u32,
        )
    };
    let fd = i32::try_from(super::process::check(result)?).map_err(|_| Errno::BADF)?;
    // SAFETY: the call above made it, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
