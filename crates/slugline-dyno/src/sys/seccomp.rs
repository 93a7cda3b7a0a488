//! `seccomp(2)`, which no crate that we use wraps.

use rustix::io::Errno;

/// Filters the system calls of this process and of all that it starts from now on. It must have
/// given up new privileges. A kernel without filters leaves everything as it was.
pub(crate) fn filter_calls(program: &[libc::sock_filter]) -> Result<(), Errno> {
    let request = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| Errno::INVAL)?,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: `request` and the program that it points at live through the call, with their right
    // length; the kernel copies them and writes to neither.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0_u32, &raw const request)
    };
    match super::process::check(result) {
        Err(Errno::NOSYS) => Ok(()),
        other => other.map(|_| ()),
    }
}
