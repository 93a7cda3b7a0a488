//! Being told which process has written which file.

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::io::Errno;

/// One file that was written and closed.
#[derive(Debug)]
pub(crate) struct Written {
    /// The file, open for reading.
    pub(crate) file: OwnedFd,
    /// Who wrote it, as the caller counts processes.
    pub(crate) pid: i32,
}

/// How long what is told of one file is (bytes), and the version of that form.
const EVENT: usize = size_of::<libc::fanotify_event_metadata>();

/// A watch that nothing was marked for yet. Only root of the machine gets one.
pub(crate) fn watch_writes() -> Result<OwnedFd, Errno> {
    let flags = libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
    let opened = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_LARGEFILE;
    // SAFETY: the call takes numbers alone.
    let watch = unsafe { libc::fanotify_init(flags, opened.cast_unsigned()) };
    if watch < 0 {
        return Err(last());
    }
    // SAFETY: the kernel has just made this descriptor for us, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(watch) })
}

/// Watches the whole file system that something is on.
pub(crate) fn watch_file_system(watch: impl AsFd, of: impl AsFd) -> Result<(), Errno> {
    mark(watch.as_fd(), of.as_fd(), libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM)
}

/// Hears of a file no more, for as long as the kernel remembers it anyway.
pub(crate) fn watch_no_more(watch: impl AsFd, file: impl AsFd) -> Result<(), Errno> {
    let flags = libc::FAN_MARK_ADD
        | libc::FAN_MARK_IGNORED_MASK
        | libc::FAN_MARK_IGNORED_SURV_MODIFY
        | libc::FAN_MARK_EVICTABLE;
    mark(watch.as_fd(), file.as_fd(), flags)
}

fn mark(watch: BorrowedFd<'_>, of: BorrowedFd<'_>, flags: u32) -> Result<(), Errno> {
    let (watch, of, what) = (watch.as_raw_fd(), of.as_raw_fd(), libc::FAN_CLOSE_WRITE);
    // SAFETY: both descriptors are open for as long as they are borrowed; without a path the kernel
    // reads no memory of ours.
    let marked: c_int = unsafe { libc::fanotify_mark(watch, flags, what, of, std::ptr::null()) };
    if marked < 0 { Err(last()) } else { Ok(()) }
}

/// What was written since it was asked last, at most `most`; nothing waits.
pub(crate) fn read_written(watch: impl AsFd, most: usize) -> Result<Vec<Written>, Errno> {
    let mut buffer = vec![0; most * EVENT];
    let length = match rustix::io::retry_on_intr(|| rustix::io::read(&watch, &mut buffer)) {
        Err(Errno::AGAIN) => 0,
        read => read?,
    };
    Ok(buffer[..length].chunks_exact(EVENT).filter_map(written).collect())
}

/// `struct fanotify_event_metadata`: u32 length, u8 version, u8, u16 length, u64 mask, i32 file, i32
/// pid. Where files were left out as there were too many, there is no file.
fn written(event: &[u8]) -> Option<Written> {
    let number = |at: usize| event[at..at + 4].try_into().map(i32::from_ne_bytes).ok();
    let (file, pid) = (number(16)?, number(20)?);
    if event[4] != libc::FANOTIFY_METADATA_VERSION || file < 0 {
        return None;
    }
    // SAFETY: the kernel has opened this descriptor for who reads the event, which is done once.
    Some(Written { file: unsafe { OwnedFd::from_raw_fd(file) }, pid })
}

fn last() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}
