//! What the server asks of a dyno's init: sockets in the dyno's network, and commands beside its
//! own.
//!
//! Init listens on a socket in the dyno's directory, which the dyno cannot see. Whoever is in the
//! dyno's namespaces already needs no right to enter them, so this works for every user, and for a
//! server that was started after the dyno.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, bind, connect,
    recvmsg, sendmsg, socket_with, sockopt,
};
use serde::{Deserialize, Serialize};
use slugline_model::dyno::ExecRequest;

use crate::op_error::{OpError, Operation};

/// The name of the socket in a dyno's directory.
const NAME: &str = "control";

/// The longest message (bytes): a command with its environment.
const LONGEST: usize = 256 << 10;

/// The most descriptors that one message carries.
pub(crate) const MOST_DESCRIPTORS: usize = 16;

/// How long an answer may take. Init answers at once, when it gets the processor.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many may wait to be heard.
const BACKLOG: i32 = 64;

/// What init is asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// So many TCP sockets of the dyno's network, not connected.
    Sockets(usize),
    /// The near side of what the dyno's own command reads and writes.
    Attach,
    /// A command, and the near side of what it reads and writes.
    Exec(ExecRequest),
}

/// What init answers, with descriptors if it is granted.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Granted,
    /// What was tried, and what the kernel said.
    Refused {
        operation: String,
        errno: i32,
    },
}

/// Starts to listen, in the dyno's directory.
pub(crate) fn listen(dyno_directory: &Path) -> Result<OwnedFd, OpError> {
    let made = || {
        let socket = socket()?;
        at(dyno_directory, |address| bind(&socket, address))?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok::<_, Errno>(socket)
    };
    made().op(|| format!("listen in {}", dyno_directory.display()))
}

/// Connects to the init of a dyno.
pub(crate) fn reach(dyno_directory: &Path) -> Result<OwnedFd, OpError> {
    let made = || {
        let socket = socket()?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE))?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(PATIENCE))?;
        at(dyno_directory, |address| connect(&socket, address))?;
        Ok::<_, Errno>(socket)
    };
    made().op(|| format!("reach init in {}", dyno_directory.display()))
}

fn socket() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// The address of a socket has room for a short path only, so the directory is named by a
/// descriptor.
fn at(
    directory: &Path,
    call: impl FnOnce(&SocketAddrUnix) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, directory, flags, Mode::empty())?;
    let path = format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd());
    call(&SocketAddrUnix::new(path)?)
}

/// Asks, and gives the descriptors that come with the answer.
pub(crate) fn ask(link: &OwnedFd, request: &Request) -> Result<Vec<OwnedFd>, OpError> {
    send(link, request, &[]).op(|| "ask init".to_owned())?;
    let (answer, descriptors) = receive(link).op(|| "hear from init".to_owned())?;
    match answer {
        Some(Answer::Granted) => Ok(descriptors),
        Some(Answer::Refused { operation, errno }) => {
            Err(OpError { operation, source: std::io::Error::from_raw_os_error(errno) })
        }
        None => Err(Errno::CONNRESET).op(|| "hear from init".to_owned()),
    }
}

/// Sends one message.
pub(crate) fn send(
    link: &OwnedFd,
    message: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Errno> {
    let text = serde_json::to_vec(message).map_err(|_| Errno::INVAL)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::MSGSIZE);
    }
    // Whoever has left is no reason to die.
    let flags = SendFlags::NOSIGNAL;
    rustix::io::retry_on_intr(|| {
        sendmsg(link, &[IoSlice::new(&text)], &mut ancillary, flags).map(drop)
    })
}

/// Receives one message; none at the end.
pub(crate) fn receive<T: for<'a> Deserialize<'a>>(
    link: &OwnedFd,
) -> Result<(Option<T>, Vec<OwnedFd>), Errno> {
    let mut text = vec![0; LONGEST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let length = rustix::io::retry_on_intr(|| {
        recvmsg(link, &mut [IoSliceMut::new(&mut text)], &mut ancillary, flags)
    })?
    .bytes;
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            descriptors.extend(received);
        }
    }
    if length == 0 {
        return Ok((None, descriptors));
    }
    let message = serde_json::from_slice(&text[..length]).map_err(|_| Errno::BADMSG)?;
    Ok((Some(message), descriptors))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn a_dyno_is_reached_by_a_path_of_any_length_and_answers_with_descriptors() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("d".repeat(200));
        std::fs::create_dir(&directory).unwrap();
        let listener = listen(&directory).unwrap();
        let init = std::thread::spawn(move || {
            let link = rustix::net::accept(&listener).unwrap();
            let (request, _) = receive::<Request>(&link).unwrap();
            assert!(matches!(request, Some(Request::Sockets(2))));
            let null = std::fs::File::open("/dev/null").unwrap();
            send(&link, &Answer::Granted, &[null.as_fd(), null.as_fd()]).unwrap();
            receive::<Request>(&link).unwrap();
            let operation = "run".to_owned();
            send(&link, &Answer::Refused { operation, errno: libc::ENOENT }, &[]).unwrap();
        });
        let link = reach(&directory).unwrap();
        assert_eq!(ask(&link, &Request::Sockets(2)).unwrap().len(), 2);
        let refused = ask(&link, &Request::Attach).unwrap_err();
        assert_eq!((refused.operation.as_str(), refused.source.raw_os_error()), ("run", Some(2)));
        init.join().unwrap();
        let gone = ask(&link, &Request::Attach).unwrap_err();
        assert!(matches!(gone.operation.as_str(), "ask init" | "hear from init"), "{gone:?}");
    }
}
