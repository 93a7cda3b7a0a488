//! Following the spools of all dynos: one thread, woken by the kernel when a spool grows or its
//! supervisor is gone.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::process::test_kill_process;
use slugline_model::dyno::{DynoId, DynoState, Event, TimedEvent};
use slugline_model::port::EventSink;

use crate::op_error::{OpError, Operation};
use crate::spool::{self, Spool};
use crate::supervisor;

/// The name of the file that says how far a spool was read.
const OFFSET: &str = "offset";

/// What was read is freed in steps of this size (bytes).
const FREE_EVERY: u64 = 1 << 20;

/// How long a dead supervisor's lock may outlive it.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(5);

/// Follows spools and passes their events on.
pub(crate) struct Follower {
    inotify: OwnedFd,
    /// By the kernel's watch number. Held while events are passed on, so that each dyno's events
    /// stay in order.
    tails: Mutex<HashMap<i32, Tail>>,
    sink: EventSink,
}

/// How far one spool was read.
struct Tail {
    id: DynoId,
    directory: PathBuf,
    spool: fs_err::File,
    offset: u64,
    freed: u64,
    /// What the events so far made of the dyno.
    state: DynoState,
    /// Where the receipt begins, once it was passed on. The next server begins there: this one may
    /// be killed before the receipt is written down.
    receipt_at: Option<u64>,
}

impl Follower {
    /// Starts the thread.
    pub(crate) fn start(sink: EventSink) -> Result<Arc<Self>, OpError> {
        let inotify = inotify::init(CreateFlags::CLOEXEC).op(|| "start inotify".to_owned())?;
        let follower = Arc::new(Self { inotify, tails: Mutex::default(), sink });
        let thread = Arc::clone(&follower);
        std::thread::Builder::new()
            .name("spools".to_owned())
            .spawn(move || thread.run())
            .op(|| "start a thread".to_owned())?;
        Ok(follower)
    }

    /// Follows a dyno's spool, which must exist, from where it was read to.
    /// Gives what the dyno was there.
    pub(crate) fn follow(&self, id: DynoId, directory: &Path) -> Result<DynoState, OpError> {
        let path = directory.join(spool::NAME);
        let file = fs_err::OpenOptions::new().read(true).write(true).open(&path);
        let file = file.op(|| format!("open {}", path.display()))?;
        let mut tails = self.tails();
        let flags = WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE;
        let watch = inotify::add_watch(&self.inotify, &path, flags)
            .op(|| format!("watch {}", path.display()))?;
        let tail = Tail::new(id, directory, file);
        let state = tail.state;
        tails.insert(watch, tail);
        Ok(state)
    }

    /// Reads what is there, whether or not the kernel said so, and buries the dyno if its
    /// supervisor is gone.
    pub(crate) fn catch_up(&self, id: DynoId) {
        if let Some(tail) = self.tails().values_mut().find(|tail| tail.id == id) {
            tail.pump(&self.sink);
            tail.bury_if_orphaned(false, &self.sink);
        }
    }

    /// Stops following a dyno.
    pub(crate) fn forget(&self, id: DynoId) {
        let mut tails = self.tails();
        let watches: Vec<i32> =
            tails.iter().filter(|(_, tail)| tail.id == id).map(|(watch, _)| *watch).collect();
        for watch in watches {
            let _ = inotify::remove_watch(&self.inotify, watch);
            tails.remove(&watch);
        }
    }

    fn tails(&self) -> MutexGuard<'_, HashMap<i32, Tail>> {
        self.tails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut buffer = [MaybeUninit::uninit(); 4_096];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        loop {
            let (watch, closed) = match reader.next() {
                Ok(event) => (event.wd(), event.events().contains(ReadFlags::CLOSE_WRITE)),
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            };
            if let Some(tail) = self.tails().get_mut(&watch) {
                tail.pump(&self.sink);
                if closed {
                    tail.bury_if_orphaned(true, &self.sink);
                }
            }
        }
    }
}

impl Tail {
    fn new(id: DynoId, directory: &Path, spool: fs_err::File) -> Self {
        let remembered = std::fs::read_to_string(directory.join(OFFSET)).unwrap_or_default();
        let (offset, state) = recall(&remembered).unwrap_or((0, DynoState::Starting));
        let directory = directory.to_path_buf();
        Self { id, directory, spool, offset, freed: 0, state, receipt_at: None }
    }

    /// Passes on every whole line that is new.
    fn pump(&mut self, sink: &EventSink) {
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let Ok(length) = self.spool.file().read_at(&mut buffer, self.offset) else { return };
            let Some(end) = buffer[..length].iter().rposition(|byte| *byte == b'\n') else {
                if length == buffer.len() {
                    buffer.resize(length * 2, 0);
                    continue;
                }
                return;
            };
            for line in buffer[..end].split(|byte| *byte == b'\n') {
                self.pass_on(line, sink);
                self.offset += line.len() as u64 + 1;
            }
            self.remember();
        }
    }

    fn pass_on(&mut self, line: &[u8], sink: &EventSink) {
        // A line that does not parse was cut by a full disk; what follows it is whole.
        let Ok(event) = serde_json::from_slice::<TimedEvent>(line) else { return };
        match event.event {
            Event::Up => self.state = DynoState::Up,
            Event::Stopping => self.state = DynoState::Stopping,
            Event::Exited { .. } | Event::LaunchFailed { .. } => self.state = DynoState::Down,
            Event::Discarded { .. } => self.receipt_at = Some(self.offset),
            _ => {}
        }
        sink(self.id, event);
    }

    /// Keeps the offset for the next server, and gives the disk space back.
    fn remember(&mut self) {
        let offset = self.receipt_at.unwrap_or(self.offset);
        // Of one width and written over, so that a killed server leaves the old text or the new.
        let text = format!("{offset:020} {:8}\n", self.state.as_str());
        let mut options = std::fs::OpenOptions::new();
        let file =
            options.write(true).create(true).truncate(false).open(self.directory.join(OFFSET));
        let _ = file.and_then(|file| file.write_all_at(text.as_bytes(), 0));
        if self.receipt_at.is_none() && self.offset - self.freed >= FREE_EVERY {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = fallocate(self.spool.file(), hole, 0, self.offset);
            self.freed = self.offset;
        }
    }

    /// A supervisor that was killed leaves no receipt: it is written here instead.
    fn bury_if_orphaned(&mut self, spool_was_closed: bool, sink: &EventSink) {
        if self.receipt_at.is_some() {
            return;
        }
        // Kept meanwhile: a supervisor that is about to begin waits, and then finds the dyno buried.
        let Some(_lock) = self.lock_of_the_dead(spool_was_closed) else { return };
        self.pump(sink);
        if self.receipt_at.is_some() {
            return;
        }
        let Ok(mut spool) = Spool::open(&self.directory) else { return };
        if self.state != DynoState::Down {
            spool.write(Event::Exited { status: 137 });
        }
        supervisor::finish(&self.directory, &mut spool);
        self.pump(sink);
    }

    /// The supervisor's lock, if nobody has it any more. After its spool was closed it is dead or
    /// dying, and init, which the kernel kills with it, may hold the lock a moment longer.
    fn lock_of_the_dead(&self, spool_was_closed: bool) -> Option<fs_err::File> {
        let tries = if spool_was_closed || self.supervisor_is_gone() { LOCK_TRIES } else { 1 };
        (0..tries).find_map(|attempt| {
            if attempt > 0 {
                std::thread::sleep(LOCK_PAUSE);
            }
            supervisor::lock(&self.directory).ok()
        })
    }

    fn supervisor_is_gone(&self) -> bool {
        supervisor::pid(&self.directory)
            .is_some_and(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
    }
}

/// Reads what [`Tail::remember`] wrote.
fn recall(text: &str) -> Option<(u64, DynoState)> {
    let (offset, state) = text.trim().split_once(' ')?;
    let states = [DynoState::Up, DynoState::Stopping, DynoState::Down];
    let state = states.into_iter().find(|known| known.as_str() == state.trim());
    Some((offset.parse().ok()?, state.unwrap_or(DynoState::Starting)))
}

#[cfg(test)]
mod tests {
    use slugline_model::ledger::{Change, ChangeKind, Receipt};

    use super::*;

    type Taken = Arc<Mutex<Vec<Event>>>;

    fn follower() -> (Arc<Follower>, Taken) {
        let taken = Taken::default();
        let sink = Arc::clone(&taken);
        let sink = Box::new(move |_, timed: TimedEvent| sink.lock().unwrap().push(timed.event));
        (Follower::start(sink).unwrap(), taken)
    }

    fn spool(directory: &Path, events: &[Event]) {
        for name in [spool::NAME, supervisor::LOCK] {
            std::fs::write(directory.join(name), "").unwrap();
        }
        let mut spool = Spool::open(directory).unwrap();
        for event in events {
            spool.write(event.clone());
        }
    }

    #[test]
    fn a_receipt_that_a_killed_server_took_is_told_to_the_next_one_and_nothing_else_twice() {
        let directory = tempfile::tempdir().unwrap();
        let id = DynoId::nil();
        let mut receipt = Receipt::default();
        receipt.add(Change { path: "/app/a".into(), kind: ChangeKind::Created, bytes: 7 });
        let discarded = Event::Discarded { receipt: receipt.finish() };
        let line = Event::Line { text: "a".into(), partial: false };
        let events = [Event::Up, line, Event::Exited { status: 0 }, discarded.clone()];
        spool(directory.path(), &events);
        for expected in [&events[..], &[discarded]] {
            let (follower, taken) = follower();
            follower.follow(id, directory.path()).unwrap();
            follower.catch_up(id);
            assert_eq!(taken.lock().unwrap().as_slice(), expected);
        }
    }

    #[test]
    fn a_dyno_that_was_stopping_is_adopted_as_such() {
        let directory = tempfile::tempdir().unwrap();
        let id = DynoId::nil();
        let events = [Event::Started { pid: 1 }, Event::Up, Event::Stopping];
        spool(directory.path(), &[]);
        let _supervisor = supervisor::lock(directory.path()).unwrap();
        for (count, state) in
            [DynoState::Starting, DynoState::Up, DynoState::Stopping].into_iter().enumerate()
        {
            spool(directory.path(), &events[..=count]);
            let _ = std::fs::remove_file(directory.path().join(OFFSET));
            let (first, _) = follower();
            first.follow(id, directory.path()).unwrap();
            first.catch_up(id);
            let (next, _) = follower();
            assert_eq!(next.follow(id, directory.path()).unwrap(), state);
        }
    }
}
