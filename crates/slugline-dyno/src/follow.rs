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
use slugline_model::dyno::{DynoId, Event, TimedEvent};
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
    exited: bool,
    discarded: bool,
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
    pub(crate) fn follow(&self, id: DynoId, directory: &Path) -> Result<(), OpError> {
        let path = directory.join(spool::NAME);
        let file = fs_err::OpenOptions::new().read(true).write(true).open(&path);
        let file = file.op(|| format!("open {}", path.display()))?;
        let mut tails = self.tails();
        let flags = WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE;
        let watch = inotify::add_watch(&self.inotify, &path, flags)
            .op(|| format!("watch {}", path.display()))?;
        tails.insert(watch, Tail::new(id, directory, file));
        Ok(())
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
        let offset = std::fs::read_to_string(directory.join(OFFSET));
        let offset = offset.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let directory = directory.to_path_buf();
        Self { id, directory, spool, offset, freed: 0, exited: false, discarded: false }
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
            }
            self.offset += end as u64 + 1;
            self.remember();
        }
    }

    fn pass_on(&mut self, line: &[u8], sink: &EventSink) {
        // A line that does not parse was cut by a full disk; what follows it is whole.
        let Ok(event) = serde_json::from_slice::<TimedEvent>(line) else { return };
        match event.event {
            Event::Exited { .. } | Event::LaunchFailed { .. } => self.exited = true,
            Event::Discarded { .. } => self.discarded = true,
            _ => {}
        }
        sink(self.id, event);
    }

    /// Keeps the offset for the next server, and gives the disk space back.
    fn remember(&mut self) {
        let _ = std::fs::write(self.directory.join(OFFSET), self.offset.to_string());
        if self.offset - self.freed >= FREE_EVERY {
            let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = fallocate(self.spool.file(), hole, 0, self.offset);
            self.freed = self.offset;
        }
    }

    /// A supervisor that was killed leaves no receipt: it is written here instead.
    fn bury_if_orphaned(&mut self, spool_was_closed: bool, sink: &EventSink) {
        if self.discarded || !self.is_orphaned(spool_was_closed) {
            return;
        }
        self.pump(sink);
        if self.discarded {
            return;
        }
        let Ok(mut spool) = Spool::open(&self.directory) else { return };
        if !self.exited {
            spool.write(Event::Exited { status: 137 });
        }
        supervisor::finish(&self.directory, &mut spool);
        self.pump(sink);
    }

    /// Whether the supervisor's lock is free. After its spool was closed it is dead or dying, and
    /// init, which the kernel kills with it, may hold the lock a moment longer.
    fn is_orphaned(&self, spool_was_closed: bool) -> bool {
        let tries = if spool_was_closed { LOCK_TRIES } else { 1 };
        (0..tries).any(|attempt| {
            if attempt > 0 {
                std::thread::sleep(LOCK_PAUSE);
            }
            !supervisor::is_alive(&self.directory)
        })
    }
}
