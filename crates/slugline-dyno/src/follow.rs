//! Following the spools of all dynos: one thread, woken by the kernel when a spool grows or its
//! supervisor is gone.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::process::test_kill_process;
use slugline_model::dyno::{DynoId, DynoSpec, DynoState, Event, TimedEvent};
use slugline_model::port::EventSink;

use crate::kept::Kept;
use crate::op_error::{OpError, Operation};
use crate::spool::{self, Spool};
use crate::supervisor;

/// How long a dead supervisor's lock may outlive it.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(5);

/// Follows spools and passes their events on.
pub(crate) struct Follower {
    inotify: OwnedFd,
    /// By the kernel's watch number. Held while events are passed on, so that each dyno's events
    /// stay in order.
    tails: Mutex<HashMap<i32, Tail>>,
    /// Apart from the tails: whoever passes events on may wait for the log, which waits for this.
    kept: Mutex<HashMap<DynoId, Arc<Mutex<Kept>>>>,
    sink: EventSink,
}

/// How far one spool was read.
struct Tail {
    id: DynoId,
    directory: PathBuf,
    spool: Arc<fs_err::File>,
    offset: u64,
    kept: Arc<Mutex<Kept>>,
    /// Whether events count as kept once they are passed on, since they become no lines of a log.
    keeps_at_once: bool,
    /// What the events so far made of the dyno.
    state: DynoState,
    /// Where the receipt begins, once it was passed on. The next server begins there at the latest:
    /// this one may be killed before the receipt is written down.
    receipt_at: Option<u64>,
}

impl Follower {
    /// Starts the thread.
    pub(crate) fn start(sink: EventSink) -> Result<Arc<Self>, OpError> {
        let inotify = inotify::init(CreateFlags::CLOEXEC).op(|| "start inotify".to_owned())?;
        let (tails, kept) = (Mutex::default(), Mutex::default());
        let follower = Arc::new(Self { inotify, tails, kept, sink });
        let thread = Arc::clone(&follower);
        std::thread::Builder::new()
            .name("spools".to_owned())
            .spawn(move || thread.run())
            .op(|| "start a thread".to_owned())?;
        Ok(follower)
    }

    /// Follows a dyno's spool, which must exist, from where it was kept to.
    /// Gives what the dyno was there.
    pub(crate) fn follow(&self, spec: &DynoSpec, directory: &Path) -> Result<DynoState, OpError> {
        let path = directory.join(spool::NAME);
        let file = fs_err::OpenOptions::new().read(true).write(true).open(&path);
        let file = Arc::new(file.op(|| format!("open {}", path.display()))?);
        let mut tails = self.tails();
        let flags = WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE;
        let watch = inotify::add_watch(&self.inotify, &path, flags)
            .op(|| format!("watch {}", path.display()))?;
        let kept = Arc::new(Mutex::new(Kept::open(directory, Arc::clone(&file))));
        locked(&self.kept).insert(spec.id, Arc::clone(&kept));
        let (offset, state) = {
            let kept = locked(&kept);
            (kept.offset, kept.state)
        };
        let tail = Tail {
            id: spec.id,
            directory: directory.to_path_buf(),
            spool: file,
            offset,
            kept,
            // The lines of a build go to its output.
            keeps_at_once: spec.release == 0,
            state,
            receipt_at: None,
        };
        tails.insert(watch, tail);
        Ok(state)
    }

    /// What began before this position in a dyno's spool need not be told to the next server.
    pub(crate) fn keep(&self, id: DynoId, position: u64) {
        let kept = locked(&self.kept).get(&id).map(Arc::clone);
        if let Some(kept) = kept {
            locked(&kept).keep(position);
        }
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
        locked(&self.kept).remove(&id);
    }

    fn tails(&self) -> MutexGuard<'_, HashMap<i32, Tail>> {
        locked(&self.tails)
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tail {
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
            if self.keeps_at_once {
                locked(&self.kept).keep(self.receipt_at.unwrap_or(self.offset));
            }
        }
    }

    fn pass_on(&mut self, line: &[u8], sink: &EventSink) {
        // A line that does not parse was cut by a full disk; what follows it is whole.
        let Ok(mut event) = serde_json::from_slice::<TimedEvent>(line) else { return };
        let before = self.state;
        match event.event {
            Event::Up => self.state = DynoState::Up,
            Event::Stopping => self.state = DynoState::Stopping,
            Event::Exited { .. } | Event::LaunchFailed { .. } => self.state = DynoState::Down,
            Event::Discarded { .. } => self.receipt_at = Some(self.offset),
            _ => {}
        }
        if self.state != before {
            locked(&self.kept).note(self.offset, self.state);
        }
        event.position = self.offset;
        event.end = self.offset + line.len() as u64 + 1;
        sink(self.id, event);
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
        supervisor::finish(&self.directory, &mut spool, LOCK_PAUSE);
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

#[cfg(test)]
mod tests {
    use slugline_model::ledger::{Change, ChangeKind, Class, Receipt};

    use super::*;

    type Taken = Arc<Mutex<Vec<(u64, Event)>>>;

    fn follower() -> (Arc<Follower>, Taken) {
        let taken = Taken::default();
        let sink = Arc::clone(&taken);
        let take = move |_, timed: TimedEvent| {
            sink.lock().unwrap().push((timed.position, timed.event));
        };
        let sink = Box::new(take);
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

    fn spec(directory: &Path) -> DynoSpec {
        let text = serde_json::json!({
            "id": DynoId::nil(), "app": "owl", "dyno": "web.1", "release": 1, "command": "",
            "env": {}, "slug": null, "binds": [], "port": null, "host_uid": null,
            "times": { "boot": 1, "stop": 1, "run": null },
        });
        std::fs::write(directory.join(supervisor::SPEC), text.to_string()).unwrap();
        serde_json::from_value(text).unwrap()
    }

    fn told(directory: &Path) -> (Arc<Follower>, DynoState, Taken) {
        let (follower, taken) = follower();
        let state = follower.follow(&spec(directory), directory).unwrap();
        follower.catch_up(DynoId::nil());
        (follower, state, taken)
    }

    #[test]
    fn the_next_server_is_told_from_the_last_event_on_that_was_kept() {
        let directory = tempfile::tempdir().unwrap();
        let mut receipt = Receipt::default();
        let (kind, class) = (ChangeKind::Created, Class::Other);
        let path = "/app/a".into();
        receipt.add(Change { path, kind, bytes: 7, class, time: 0, hash: None, by: None });
        let discarded = Event::Discarded { receipt: receipt.finish(), kept: false };
        let line = Event::Line { text: "a".into(), partial: false };
        let events = [Event::Up, line, Event::Exited { status: 0 }, discarded];
        spool(directory.path(), &events);
        for first in 0..events.len() {
            let (follower, state, taken) = told(directory.path());
            let taken: Vec<(u64, Event)> = std::mem::take(&mut *taken.lock().unwrap());
            let all: Vec<Event> = taken.iter().map(|(_, event)| event.clone()).collect();
            assert_eq!(all, events[first..], "from {first} on");
            let states = [DynoState::Starting, DynoState::Up, DynoState::Up, DynoState::Down];
            assert_eq!(state, states[first]);
            // What a log says when all of the first event is written.
            if let Some((position, _)) = taken.get(1) {
                follower.keep(DynoId::nil(), *position);
            }
        }
    }

    #[test]
    fn a_dyno_that_was_stopping_is_adopted_as_such() {
        let directory = tempfile::tempdir().unwrap();
        let _ = spec(directory.path());
        let events = [Event::Started { pid: 1 }, Event::Up, Event::Stopping, Event::BootTimeout];
        spool(directory.path(), &events);
        let _supervisor = supervisor::lock(directory.path()).unwrap();
        for state in [DynoState::Starting, DynoState::Starting, DynoState::Up, DynoState::Stopping]
        {
            let (follower, found, taken) = told(directory.path());
            assert_eq!(found, state);
            let next = taken.lock().unwrap().get(1).map(|(position, _)| *position);
            follower.keep(DynoId::nil(), next.unwrap_or(0));
        }
    }
}
