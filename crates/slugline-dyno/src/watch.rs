//! Watching a running dyno: its output, its port, its deadlines, its end.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, pidfd_send_signal, waitpid};
use slugline_model::dyno::{DynoSpec, Event, Times};

use crate::left;
use crate::limits::{Finding, Guard};
use crate::lines::Lines;
use crate::listen::listens;
use crate::pipes::Output;
use crate::spool::Spool;
use crate::sys::Signals;
use crate::writers::Writers;

/// Bytes read at once.
const BUFFER: usize = 16 * 1024;

/// The most that a pipe can hold (bytes): the kernel's `fs.pipe-max-size` for ordinary users.
const FULLEST_PIPE: usize = 1 << 20;

/// As a shell counts what SIGKILL ended.
const KILLED: i32 = 137;

/// How often a booting web dyno's port is looked at.
const BOOT_POLL: Duration = Duration::from_millis(20);

/// A running dyno's first process.
pub(crate) struct First {
    pub(crate) pid: Pid,
    pub(crate) pidfd: OwnedFd,
    /// Its mounts, which are let go once its end is told.
    pub(crate) mounts: Option<OwnedFd>,
}

/// A running dyno, as its supervisor sees it.
pub(crate) struct Watch {
    pid: Pid,
    pidfd: OwnedFd,
    mounts: Option<OwnedFd>,
    signals: Signals,
    pipes: [Option<(OwnedFd, Lines)>; 2],
    times: Times,
    started: Instant,
    /// The port that it has yet to bind.
    awaited_port: Option<u16>,
    /// When SIGTERM becomes SIGKILL; known once the dyno is stopping.
    kill_at: Option<Instant>,
    killed: bool,
    /// Until the dyno has gone beyond a limit.
    guard: Option<Guard>,
    /// As long as the kernel tells who writes what.
    writers: Option<Writers>,
    /// Whether it was ended at a limit.
    over: bool,
    /// Where init tells what was left running.
    left: OwnedFd,
}

impl Watch {
    pub(crate) fn new(
        spec: &DynoSpec,
        first: First,
        signals: Signals,
        output: Output,
        guard: Option<Guard>,
    ) -> Self {
        let First { pid, pidfd, mounts } = first;
        let directory = guard.as_ref().and_then(Guard::directory);
        let writers = spec.layer.keep.then(|| Writers::of(directory, pid)).flatten();
        let pipe = |fd| Some((fd, Lines::default()));
        Self {
            pid,
            pidfd,
            mounts,
            signals,
            pipes: [pipe(output.stdout), pipe(output.stderr)],
            times: spec.times,
            started: Instant::now(),
            awaited_port: spec.port,
            kill_at: None,
            killed: false,
            guard,
            writers,
            over: false,
            left: output.left,
        }
    }

    /// Reports what happens until all processes are gone.
    pub(crate) fn run(mut self, spool: &mut Spool) {
        if self.awaited_port.is_none() {
            spool.write(Event::Up);
        }
        while !self.wait(spool) {
            self.look_at_port(spool);
            self.look_at_clock(spool);
            self.look_at_limits(spool);
            if self.writers.as_mut().is_some_and(|writers| !writers.look()) {
                self.writers = None;
            }
        }
        self.drain(spool);
        self.look_back(spool);
        spool.write(Event::Exited { status: self.status() });
        drop(self.mounts.take());
    }

    /// Waits for the next thing to happen; true once init has exited.
    fn wait(&mut self, spool: &mut Spool) -> bool {
        let [out, err] = &self.pipes;
        let mut fds = vec![
            PollFd::new(&self.pidfd, PollFlags::IN),
            PollFd::new(&self.signals, PollFlags::IN),
        ];
        let open: Vec<usize> =
            [out, err].iter().enumerate().filter(|(_, p)| p.is_some()).map(|(i, _)| i).collect();
        for (fd, _) in [out, err].into_iter().flatten() {
            fds.push(PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN));
        }
        if let Some(notice) = self.guard.as_ref().and_then(Guard::notice) {
            fds.push(PollFd::new(notice, PollFlags::IN));
        }
        if let Some(notice) = self.writers.as_ref().and_then(Writers::notice) {
            fds.push(PollFd::new(notice, PollFlags::IN));
        }
        let timeout = self.timeout();
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        if poll(&mut fds, timeout.as_ref()).is_err() {
            return false;
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        for (place, pipe) in open.into_iter().enumerate() {
            if ready[place + 2] {
                self.read(pipe, spool);
            }
        }
        if ready[1] && self.signals.next() == Ok(Signal::TERM) {
            self.stop(spool);
        }
        ready[0]
    }

    fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        let run_end = self.times.run.map(|run| self.started + Duration::from_millis(run));
        let deadline = if self.killed { None } else { self.kill_at.or(run_end) };
        let deadline = deadline.map(|at| at.saturating_duration_since(now));
        let boot = self.awaited_port.filter(|_| self.kill_at.is_none()).map(|_| BOOT_POLL);
        let look = self.guard.as_ref().filter(|_| !self.killed);
        let look = look.map(|guard| guard.next_look().saturating_duration_since(now));
        let writers = self.writers.as_ref().and_then(Writers::next_look);
        let writers = writers.map(|at| at.saturating_duration_since(now));
        [deadline, boot, look, writers].into_iter().flatten().min()
    }

    /// Reads what a pipe holds; closes it at its end.
    fn read(&mut self, pipe: usize, spool: &mut Spool) {
        let Some((fd, lines)) = &mut self.pipes[pipe] else { return };
        let mut buffer = [0; BUFFER];
        match rustix::io::retry_on_intr(|| rustix::io::read(&*fd, &mut buffer)) {
            Ok(0) | Err(_) => {
                lines.finish(|event| spool.write(event));
                self.pipes[pipe] = None;
            }
            Ok(length) => lines.push(&buffer[..length], |event| spool.write(event)),
        }
    }

    /// Reads the rest, which is there already. A dyno may have handed its pipe to somebody else,
    /// who is not waited for: so no end of the pipe is awaited, and no more read than it can hold.
    fn drain(&mut self, spool: &mut Spool) {
        for pipe in 0..self.pipes.len() {
            for _ in 0..FULLEST_PIPE / BUFFER {
                let Some((fd, _)) = &self.pipes[pipe] else { break };
                let mut waiting = [PollFd::new(fd, PollFlags::IN)];
                let now = Timespec { tv_sec: 0, tv_nsec: 0 };
                if !matches!(poll(&mut waiting, Some(&now)), Ok(1..)) {
                    break;
                }
                self.read(pipe, spool);
            }
            if let Some((_, mut lines)) = self.pipes[pipe].take() {
                lines.finish(|event| spool.write(event));
            }
        }
    }

    fn look_at_port(&mut self, spool: &mut Spool) {
        let Some(port) = self.awaited_port else { return };
        if listens(self.pid, port) {
            self.awaited_port = None;
            spool.write(Event::Up);
        } else if self.started.elapsed() > Duration::from_millis(self.times.boot) {
            self.awaited_port = None;
            spool.write(Event::BootTimeout);
            self.kill();
        }
    }

    fn look_at_clock(&mut self, spool: &mut Spool) {
        let run_time = self.times.run.map(Duration::from_millis);
        if self.kill_at.is_none() && run_time.is_some_and(|time| self.started.elapsed() > time) {
            spool.write(Event::RunTimeout);
            self.stop(spool);
        }
        if !self.killed && self.kill_at.is_some_and(|at| Instant::now() >= at) {
            spool.write(Event::ExitTimeout);
            self.kill();
        }
    }

    /// One that goes beyond a limit gets no time to stop, in which it would go on.
    fn look_at_limits(&mut self, spool: &mut Spool) {
        let Some(guard) = self.guard.as_mut().filter(|_| !self.killed) else { return };
        let found = guard.look();
        if let Some(place) = guard.place_for_room() {
            spool.keep_room(place);
        }
        match found {
            None => {}
            Some(Finding::AboveQuota(used)) => {
                spool.write(Event::MemoryQuota { used, allowed: guard.quota() });
            }
            Some(over) => {
                self.guard = None;
                self.kill();
                self.tell_over(over, spool);
            }
        }
    }

    fn tell_over(&mut self, finding: Finding, spool: &mut Spool) {
        if let Finding::Over { excess, biggest } = finding {
            self.over = true;
            spool.write(Event::LimitExceeded { excess, biggest });
        }
    }

    /// What can only be told at the end.
    fn look_back(&mut self, spool: &mut Spool) {
        if let Some(finding) = self.guard.take().as_mut().and_then(Guard::last_look) {
            self.tell_over(finding, spool);
        }
        let commands = left::read(&self.left);
        if !commands.is_empty() && self.kill_at.is_none() {
            spool.write(Event::LeftRunning { commands });
        }
    }

    /// SIGTERM to init, which passes it to everyone.
    fn stop(&mut self, spool: &mut Spool) {
        if self.kill_at.is_none() {
            self.kill_at = Some(Instant::now() + Duration::from_millis(self.times.stop));
            spool.write(Event::Stopping);
            let _ = pidfd_send_signal(&self.pidfd, Signal::TERM);
        }
    }

    /// SIGKILL to init; the kernel then kills everyone in its pid namespace.
    fn kill(&mut self) {
        self.killed = true;
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }

    fn status(&self) -> i32 {
        let Ok(Some((_, status))) = waitpid(Some(self.pid), WaitOptions::empty()) else { return 1 };
        let signaled = status.terminating_signal().map(|signal| 128 + signal);
        // The kernel may have ended another process than the command, at the same limit.
        let status = if self.over { Some(KILLED) } else { status.exit_status() };
        status.or(signaled).unwrap_or(1)
    }
}
