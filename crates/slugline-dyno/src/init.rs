//! Init, pid 1 of a dyno: reaps, passes SIGTERM to every process, and does what the server asks.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{Pid, Signal, WaitOptions, wait};
use slugline_model::dyno::Streams;

use crate::command::{self, Ends, Start};
use crate::control::{self, Answer, MOST_DESCRIPTORS, Request};
use crate::left;
use crate::op_error::{OpError, Operation};
use crate::pipes::Told;
use crate::sys::{self, Signals};

/// What init lives on: each end of a pipe or a socket that it keeps.
pub(crate) struct Lines {
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    /// Where the server asks.
    pub(crate) control: OwnedFd,
}

/// Init, once the dyno's command runs.
pub(crate) struct Init<'a> {
    told: &'a Told,
    signals: Signals,
    control: OwnedFd,
    command: Pid,
    /// The command's status, as a shell counts, once it has ended.
    status: Option<i32>,
    stopping: bool,
    /// The near side of what the command reads and writes, until somebody attaches.
    near: Option<OwnedFd>,
    /// When the command ended.
    ended: Option<Instant>,
    guests: Vec<Guest>,
}

/// How long what a command has written waits for whoever is to attach: a short command may end
/// before its server gets to it.
const AWAITED: Duration = Duration::from_secs(20);

/// Somebody who asks.
struct Guest {
    link: OwnedFd,
    /// The command that ends with the link, if there is one.
    command: Option<Pid>,
    /// Whether it attached to a command that had ended already.
    came_late: bool,
    gone: bool,
}

impl Guest {
    /// Tells the command's status, and that there is nothing more.
    fn tell_end(&mut self, status: i32) {
        let text = format!("{status}\n");
        let flags = rustix::net::SendFlags::NOSIGNAL;
        let _ = rustix::net::send(&self.link, text.as_bytes(), flags);
        (self.command, self.gone) = (None, true);
    }
}

impl<'a> Init<'a> {
    /// Starts the command; the error is one of starting it.
    pub(crate) fn start(told: &'a Told, signals: Signals, lines: Lines) -> Result<Self, OpError> {
        let Lines { stdout, stderr, control } = lines;
        let Told { spec, bounds_processes } = told;
        let (near, ends) = match spec.streams {
            Streams::Lines => (None, Ends::Pipes { stdout, stderr }),
            Streams::Attached => Ends::pair(None).map(|(near, far)| (Some(near), far))?,
            Streams::Terminal(size) => {
                Ends::pair(Some(size)).map(|(near, far)| (Some(near), far))?
            }
        };
        let (command, env, resources) = (&spec.command, &spec.env, &spec.resources);
        let bounds_processes = *bounds_processes;
        let command = command::start(&Start { command, env, resources, bounds_processes }, ends)?;
        let (status, stopping, ended, guests) = (None, false, None, Vec::new());
        Ok(Self { told, signals, control, command, status, stopping, near, ended, guests })
    }

    /// Reaps until the command has exited, or, once asked to stop, until nobody is left. Gives the
    /// command's status as a shell counts. Whoever is still there then is told to `left`, if given.
    pub(crate) fn run(mut self, left: Option<OwnedFd>) -> i32 {
        loop {
            self.wait();
            let others = self.reap();
            if let Some(status) = self.status
                && (!self.stopping || !others)
                && self.awaited().is_none()
            {
                if let Some(left) = left.filter(|_| others) {
                    left::tell(&left, || self.reap());
                }
                return status;
            }
        }
    }

    /// How long somebody may still attach to a command that has ended.
    fn awaited(&self) -> Option<Duration> {
        let since = self.ended.filter(|_| self.near.is_some() && !self.stopping)?.elapsed();
        AWAITED.checked_sub(since)
    }

    /// Waits for the next thing to happen, and does what is asked.
    fn wait(&mut self) {
        let fixed = [self.signals.as_fd(), self.control.as_fd()];
        let links = self.guests.iter().map(|guest| guest.link.as_fd());
        let mut fds: Vec<PollFd<'_>> = fixed
            .into_iter()
            .chain(links)
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let patience = self.awaited().and_then(|time| Timespec::try_from(time).ok());
        if poll(&mut fds, patience.as_ref()).is_err() {
            return;
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if ready[0] && self.signals.next() == Ok(Signal::TERM) {
            self.stopping = true;
            sys::kill_all(Signal::TERM);
        }
        for (place, _) in ready.iter().skip(2).enumerate().filter(|(_, ready)| **ready) {
            self.hear(place);
        }
        self.guests.retain(|guest| !guest.gone);
        if ready[1] {
            self.welcome();
        }
    }

    fn welcome(&mut self) {
        let flags = SocketFlags::CLOEXEC;
        if let Ok(link) = rustix::net::accept_with(&self.control, flags) {
            self.guests.push(Guest { link, command: None, came_late: false, gone: false });
        }
    }

    /// Does what a guest asks, or, where it has left, ends what it ran.
    fn hear(&mut self, place: usize) {
        let asked = control::receive::<Request>(&self.guests[place].link);
        let granted = match asked {
            Ok((Some(request), _)) => self.grant(request, place),
            Err(Errno::INTR | Errno::AGAIN) => return,
            Ok((None, _)) | Err(_) => return self.hang_up(place),
        };
        let link = &self.guests[place].link;
        let told = match granted {
            Ok(descriptors) => {
                let all: Vec<BorrowedFd<'_>> = descriptors.iter().map(|fd| fd.as_fd()).collect();
                control::send(link, &Answer::Granted, &all)
            }
            Err(OpError { operation, source }) => {
                let errno = source.raw_os_error().unwrap_or(libc::EIO);
                control::send(link, &Answer::Refused { operation, errno }, &[])
            }
        };
        if told.is_err() {
            self.hang_up(place);
        } else if let (Some(status), true) = (self.status, self.guests[place].came_late) {
            self.guests[place].tell_end(status);
        }
    }

    fn grant(&mut self, request: Request, place: usize) -> Result<Vec<OwnedFd>, OpError> {
        match request {
            Request::Sockets(count) => {
                (0..count.min(MOST_DESCRIPTORS)).map(|_| tcp_socket()).collect()
            }
            Request::Attach => {
                let near = self.near.take().ok_or(Errno::BUSY);
                let near = near.op(|| "attach to the command".to_owned())?;
                let guest = &mut self.guests[place];
                guest.came_late = self.status.is_some();
                guest.command = self.status.is_none().then_some(self.command);
                Ok(vec![near])
            }
            Request::Exec(request) => {
                let (near, far) = Ends::pair(request.terminal)?;
                let Told { spec, bounds_processes } = self.told;
                let (resources, bounds_processes) = (&spec.resources, *bounds_processes);
                let (command, env) = (&request.command, &request.env);
                let start = Start { command, env, resources, bounds_processes };
                let pid = command::start(&start, far)?;
                self.guests[place].command = Some(pid);
                Ok(vec![near])
            }
        }
    }

    /// A guest has left: what it ran hears of it as if its terminal was closed.
    fn hang_up(&mut self, place: usize) {
        let guest = &mut self.guests[place];
        guest.gone = true;
        if let Some(pid) = guest.command {
            let _ = rustix::process::kill_process_group(pid, Signal::HUP);
            // One that was started this moment leads no group yet.
            let _ = rustix::process::kill_process(pid, Signal::HUP);
        }
    }

    /// Reaps everyone who has exited; says whether anyone is left.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let signaled = status.terminating_signal().map(|signal| 128 + signal);
                    self.note_end(pid, status.exit_status().or(signaled).unwrap_or(1));
                }
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    fn note_end(&mut self, pid: Pid, status: i32) {
        if pid == self.command {
            (self.status, self.ended) = (Some(status), Some(Instant::now()));
        }
        for guest in self.guests.iter_mut().filter(|guest| guest.command == Some(pid)) {
            guest.tell_end(status);
        }
        self.guests.retain(|guest| !guest.gone);
    }
}

fn tcp_socket() -> Result<OwnedFd, OpError> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let made = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
    made.op(|| "make a socket".to_owned())
}
