//! Forks, and signals to everyone.

use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

/// Which side of a fork this is.
pub(crate) enum Forked {
    /// The new process.
    Child,
    /// The old one, with the new one's pid and a descriptor for it.
    Parent(Pid, OwnedFd),
}

/// Forks into new user, mount, pid, ipc and uts namespaces.
///
/// Only for a process with one thread: the child may then run any code.
pub(crate) fn clone_into_namespaces() -> Result<Forked, Errno> {
    let namespaces = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS;
    clone(namespaces)
}

/// Forks into a new user namespace alone, or into none.
pub(crate) fn fork(new_user_namespace: bool) -> Result<Forked, Errno> {
    clone(if new_user_namespace { libc::CLONE_NEWUSER } else { 0 })
}

fn clone(namespaces: i32) -> Result<Forked, Errno> {
    let mut pidfd: i32 = -1;
    let mut request = clone_request(namespaces, &mut pidfd);
    // SAFETY: `request` and `pidfd` live through the call and the size is right. Without a stack
    // and without CLONE_VM this is a fork: the child gets a copy of memory. The process has one
    // thread (supervisors and their children start none), so no lock is held by another.
    let result =
        unsafe { libc::syscall(libc::SYS_clone3, &raw mut request, size_of::<libc::clone_args>()) };
    let pid = check(result)?;
    if pid == 0 {
        return Ok(Forked::Child);
    }
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::CHILD)?;
    // SAFETY: the kernel stored a new descriptor in `pidfd`, and nobody else owns it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Forked::Parent(pid, pidfd))
}

fn clone_request(namespaces: i32, pidfd: &mut i32) -> libc::clone_args {
    // SAFETY: all-zero is the documented "nothing asked" of every field.
    let mut request: libc::clone_args = unsafe { std::mem::zeroed() };
    request.flags = u64::from((namespaces | libc::CLONE_PIDFD).cast_unsigned());
    request.pidfd = std::ptr::from_mut(pidfd) as u64;
    request.exit_signal = u64::from(libc::SIGCHLD.cast_unsigned());
    request
}

/// Sends a signal to every process of this pid namespace but the caller, which must be its init.
pub(crate) fn kill_all(signal: Signal) {
    // SAFETY: no memory is involved. The caller is init of its own pid namespace, so -1 reaches
    // nobody outside it; ESRCH only means that nobody is left.
    let _ = unsafe { libc::kill(-1, signal.as_raw()) };
}

/// Makes the kernel kill this process when its parent dies.
pub(crate) fn die_with_parent() -> Result<(), Errno> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
}

/// Takes on a session keyring of its own: the one that the server was started with may hold its
/// user's keys, and whoever inherits it may read them.
pub(crate) fn leave_keyring() -> Result<(), Errno> {
    // SAFETY: no memory is involved; the null pointer asks for a keyring without a name.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        )
    };
    match check(result) {
        // A kernel without keyrings, or a sandbox that forbids them, has none to leak.
        Err(Errno::NOSYS | Errno::PERM) => Ok(()),
        other => other.map(|_| ()),
    }
}

/// Leaves all supplementary groups.
pub(crate) fn drop_groups() -> Result<(), Errno> {
    rustix::thread::set_thread_groups(&[])
}

pub(super) fn check(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result >= 0 {
        return Ok(result);
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Ends this process at once, without running anything that was registered for its end.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: ends the process; no memory is involved.
    unsafe { libc::_exit(status) }
}
