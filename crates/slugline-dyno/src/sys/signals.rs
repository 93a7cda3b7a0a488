//! Signals as things to wait for.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::Signal;

/// A descriptor that becomes readable when one of some signals arrived.
pub(crate) struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Blocks these signals, and makes them readable here instead.
    pub(crate) fn take(signals: &[Signal]) -> Result<Self, Errno> {
        let set = block(signals)?;
        // SAFETY: `set` is initialised and lives through the call; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC) };
        let fd = i32::try_from(super::process::check(fd.into())?).map_err(|_| Errno::BADF)?;
        // SAFETY: the call above made it, and nobody else owns it.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Waits for the next one.
    pub(crate) fn next(&self) -> Result<Signal, Errno> {
        let mut record = [0_u8; size_of::<libc::signalfd_siginfo>()];
        rustix::io::retry_on_intr(|| rustix::io::read(&self.fd, &mut record))?;
        // The record starts with the signal's number, `ssi_signo: u32`.
        let number = u32::from_ne_bytes([record[0], record[1], record[2], record[3]]);
        i32::try_from(number).ok().and_then(Signal::from_named_raw).ok_or(Errno::INVAL)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Blocks signals for this process, which must have one thread.
fn block(signals: &[Signal]) -> Result<libc::sigset_t, Errno> {
    // SAFETY: `sigemptyset` initialises the set before anything reads it; the numbers come from
    // valid signals; the null pointer says that the old mask is not wanted.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, signal.as_raw());
        }
        let result = libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        super::process::check(result.into())?;
        Ok(set)
    }
}

/// Lets all signals through again and ignores none: a command starts as a shell would have it,
/// whatever the server was started under, such as `nohup`.
pub(crate) fn as_a_shell_has_them() {
    for number in 1..=64 {
        // SAFETY: the default action involves no memory of ours. Numbers that may not be changed
        // are refused, which is fine.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
    // SAFETY: `sigemptyset` initialises the set before it is read; the null pointer says that the
    // old mask is not wanted.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}
