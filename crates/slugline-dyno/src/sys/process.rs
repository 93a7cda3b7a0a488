//! Forks, and signals to everyone.

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{Pid, Signal};

/// `clone3`'s flag, which `libc` has too small a type for.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of a fork this is.
pub(crate) enum Forked {
    /// The new process.
    Child,
    /// The old one, with the new one's pid and a descriptor for it.
    Parent(Pid, OwnedFd),
}

/// Forks into new user, mount, pid, ipc and uts namespaces, into a new network if asked, and, where
/// one is given, into a unified control group.
///
/// Only for a process with one thread: the child may then run any code.
pub(crate) fn clone_into_namespaces(
    group: Option<BorrowedFd<'_>>,
    new_network: bool,
) -> Result<Forked, Errno> {
    let network = if new_network { libc::CLONE_NEWNET } else { 0 };
    let namespaces = network
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS;
    clone(namespaces, group)
}

/// Gives the calling thread mounts of its own, like those that it had.
pub(crate) fn leave_mounts() -> Result<(), Errno> {
    // SAFETY: descriptors stay shared; no other thread's mounts or directory change.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }
}

/// Gives the calling thread a network of its own, with nothing in it.
pub(crate) fn leave_network() -> Result<(), Errno> {
    // SAFETY: descriptors and memory stay as they are; no other thread's network changes.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
}

/// Gives the calling process control groups that it sees as the whole: those that it is in.
pub(crate) fn leave_group_names() -> Result<(), Errno> {
    // SAFETY: descriptors and memory stay as they are; only what names of groups mean changes.
    let left = unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWCGROUP) };
    match left {
        // A kernel without control groups names none.
        Err(Errno::INVAL) => Ok(()),
        other => other,
    }
}

/// Forks into a new user namespace alone, or into none.
pub(crate) fn fork(new_user_namespace: bool) -> Result<Forked, Errno> {
    clone(if new_user_namespace { libc::CLONE_NEWUSER } else { 0 }, None)
}

fn clone(namespaces: i32, group: Option<BorrowedFd<'_>>) -> Result<Forked, Errno> {
    let mut pidfd: i32 = -1;
    let mut request = clone_request(namespaces, group, &mut pidfd);
    // SAFETY: `request` and `pidfd` live through the call and the size is right. Without a stack
    // and without CLONE_VM this is a fork: the child gets a copy of memory. The process has one
    // thread (supervisors and their children keep none), so no lock is held by another.
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

fn clone_request(
    namespaces: i32,
    group: Option<BorrowedFd<'_>>,
    pidfd: &mut i32,
) -> libc::clone_args {
    // SAFETY: all-zero is the documented "nothing asked" of every field.
    let mut request: libc::clone_args = unsafe { std::mem::zeroed() };
    request.flags = u64::from((namespaces | libc::CLONE_PIDFD).cast_unsigned());
    if let Some(group) = group {
        request.flags |= CLONE_INTO_CGROUP;
        request.cgroup = u64::try_from(group.as_raw_fd()).unwrap_or(u64::MAX);
    }
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

/// Closes every descriptor but the three streams.
///
/// Only first of all in a program, before anything in it has opened one: a supervisor would keep
/// open for as long as its dyno runs what whoever started the server had open.
pub(crate) fn close_what_was_inherited() {
    // SAFETY: no memory is involved. By the contract above nobody in this process owns any of the
    // descriptors; a kernel before 5.9 refuses, and they stay.
    let _ = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
}

/// Lets everybody else read and write first, as far as the disks' schedulers know priorities: best
/// effort, the last of eight levels. Idle would starve a build beside a busy app.
pub(crate) fn wait_for_disks_of_others() -> Result<(), Errno> {
    const OF_A_PROCESS: libc::c_int = 1;
    const THIS_ONE: libc::c_int = 0;
    const BEST_EFFORT_LAST: libc::c_int = (2 << 13) | 7;
    // SAFETY: no memory is involved.
    let result =
        unsafe { libc::syscall(libc::SYS_ioprio_set, OF_A_PROCESS, THIS_ONE, BEST_EFFORT_LAST) };
    check(result).map(|_| ())
}

/// Blanks the command line that others see of this process, a fork that runs the program on: it
/// names paths of the host.
pub(crate) fn forget_arguments() {
    let Some((start, end)) = argument_area() else { return };
    // SAFETY: the kernel says that the strings of `main`'s arguments lie here, in this process's
    // own writable stack; they were written by the kernel before anything ran. Whoever reads them
    // from now on, the kernel and the standard library, finds empty strings: the last byte, which
    // ends the last string, was zero and stays so.
    unsafe { std::ptr::write_bytes(start as *mut u8, 0, end - start) };
}

/// Where the strings of the arguments are, as `/proc` says.
fn argument_area() -> Option<(usize, usize)> {
    let line = std::fs::read_to_string("/proc/self/stat").ok()?;
    let mut fields = line.rsplit_once(')')?.1.split_whitespace();
    // Fields 48 and 49 of proc_pid_stat(5); the first after the name is the third.
    let start: usize = fields.nth(48 - 3)?.parse().ok()?;
    let end: usize = fields.next()?.parse().ok()?;
    (start != 0 && start < end).then_some((start, end))
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
