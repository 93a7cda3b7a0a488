//! The near side of a command in a dyno, without a thread: its bytes, and its end.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::Shutdown;
use slugline_model::port::Session;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe::{Receiver, Sender};

/// What a command writes, and its end, waited for as tokio waits. Terminals and sockets are read and
/// written as pipes are.
pub(crate) struct Near {
    pub(crate) output: Receiver,
    pub(crate) end: Receiver,
}

/// A command's input.
pub(crate) struct Input(Sender);

fn ready(fd: OwnedFd) -> io::Result<OwnedFd> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    rustix::fs::fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
    Ok(fd)
}

impl Near {
    pub(crate) fn new(session: Session) -> io::Result<(Self, Input)> {
        let stream = ready(session.stream)?;
        let input = Sender::from_owned_fd_unchecked(stream.try_clone()?)?;
        let output = Receiver::from_owned_fd_unchecked(stream)?;
        let end = Receiver::from_owned_fd_unchecked(ready(session.end)?)?;
        Ok((Self { output, end }, Input(input)))
    }
}

impl Input {
    /// Gives the command input.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// Ends the command's input, where that is a socket.
    pub(crate) fn end(&self) {
        match rustix::net::shutdown(self.0.as_fd(), Shutdown::Write) {
            Ok(()) | Err(Errno::NOTSOCK | Errno::NOTCONN) => {}
            Err(error) => tracing::debug!(?error, "a command's input could not be ended"),
        }
    }
}

/// What the command writes; nothing at its end. A terminal that nobody has any more says EIO.
pub(crate) async fn read(output: &mut Receiver, buffer: &mut [u8]) -> usize {
    output.read(buffer).await.unwrap_or(0)
}

/// Waits for the command's end, which its status tells, or that nobody is left to tell it.
pub(crate) async fn ended(end: &mut Receiver) {
    let mut status = [0; 32];
    let _ = end.read(&mut status).await;
}
