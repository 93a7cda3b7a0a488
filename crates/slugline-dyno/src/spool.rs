//! The spool: a dyno's events on disk, so that they outlive the server.
//!
//! The supervisor appends; the server reads, and frees what it has read by punching holes. The
//! spool is bounded: when nobody reads, lines are dropped and counted, other events are kept.

use std::collections::VecDeque;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use fs_err::File;
use rustix::fs::FallocateFlags;
use slugline_model::dyno::{Event, TimedEvent};

use crate::op_error::{OpError, Operation};

/// The name of the spool in a dyno's directory.
pub(crate) const NAME: &str = "events";

/// How much of a spool may lie unread on disk before lines are dropped (bytes).
const UNREAD_LIMIT: u64 = 64 << 20;

/// How often the unread size is looked at (bytes written).
const CHECK_EVERY: u64 = 1 << 20;

/// The name of a file that only takes room, and gives it to the last events of a full disk.
const ROOM: &str = "room";

/// How much it takes (bytes): enough for a receipt.
const ROOM_SIZE: u64 = 512 << 10;

/// How long to wait before a full disk is asked again.
const PAUSE: Duration = Duration::from_millis(50);

/// The writing side.
pub(crate) struct Spool {
    file: Option<File>,
    /// What a full disk refused, and must not be lost.
    waiting: VecDeque<TimedEvent>,
    /// Given back when the disk is full.
    room: Option<File>,
    /// Whether the last line may have been cut.
    cut: bool,
    since_check: u64,
    full: bool,
    dropped: u64,
}

impl Spool {
    /// Opens a dyno's spool, which must exist, for appending.
    pub(crate) fn open(dyno_directory: &Path) -> Result<Self, OpError> {
        let path = dyno_directory.join(NAME);
        let file = fs_err::OpenOptions::new().append(true).open(&path);
        let file = file.op(|| format!("open {}", path.display()))?;
        Ok(Self {
            file: Some(file),
            waiting: VecDeque::new(),
            room: None,
            cut: false,
            since_check: CHECK_EVERY,
            full: false,
            dropped: 0,
        })
    }

    /// Keeps room on the disk for what has to be told of a dyno that filled it.
    pub(crate) fn keep_room(&mut self, dyno_directory: &Path) {
        if self.room.is_some() {
            return;
        }
        self.room = File::create(dyno_directory.join(ROOM)).ok();
        if let Some(room) = &self.room {
            let _ = rustix::fs::fallocate(room.file(), FallocateFlags::empty(), 0, ROOM_SIZE);
        }
    }

    /// Appends an event. A disk that is full loses lines, which are counted, and never the dyno;
    /// other events wait until there is room.
    pub(crate) fn write(&mut self, event: Event) {
        let is_line = matches!(event, Event::Line { .. });
        if is_line && (self.is_full() || !self.write_waiting()) {
            self.dropped += 1;
            return;
        }
        if self.dropped > 0 && self.write_waiting() {
            let dropped = timed(Event::Dropped { lines: self.dropped });
            if self.append(&dropped).is_ok() {
                self.dropped = 0;
            }
        }
        let event = timed(event);
        if is_line {
            self.dropped += u64::from(self.append(&event).is_err());
        } else {
            self.waiting.push_back(event);
            self.write_waiting();
        }
    }

    /// Waits at most so long for room for what a full disk has refused.
    pub(crate) fn finish(&mut self, patience: Duration) {
        let end = Instant::now() + patience;
        while !self.write_waiting() && Instant::now() < end {
            std::thread::sleep(PAUSE);
        }
    }

    /// Writes what waits, in order, into the room that was kept for it if need be. Tells whether
    /// nothing waits any more.
    fn write_waiting(&mut self) -> bool {
        while let Some(event) = self.waiting.pop_front() {
            let mut written = self.append(&event).is_ok();
            if !written && let Some(room) = self.room.take() {
                let _ = room.set_len(0);
                written = self.append(&event).is_ok();
            }
            if !written {
                self.waiting.push_front(event);
                return false;
            }
        }
        true
    }

    /// Whether nothing was ever written, and the dyno's directory is still there.
    pub(crate) fn is_fresh(&self) -> bool {
        self.file
            .as_ref()
            .and_then(|file| rustix::fs::fstat(file.file()).ok())
            .is_some_and(|stat| stat.st_size == 0 && stat.st_nlink > 0)
    }

    /// Lets the file go, in a process that has a copy of it by fork.
    pub(crate) fn close(&mut self) {
        self.file = None;
        self.room = None;
    }

    fn append(&mut self, event: &TimedEvent) -> std::io::Result<()> {
        let mut json = serde_json::to_vec(event)?;
        json.push(b'\n');
        if self.cut {
            json.insert(0, b'\n');
        }
        self.since_check += json.len() as u64;
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(&json));
        self.cut = written.is_err();
        written
    }

    fn is_full(&mut self) -> bool {
        if self.full || self.since_check >= CHECK_EVERY {
            self.since_check = 0;
            self.full = self
                .file
                .as_ref()
                .and_then(|file| rustix::fs::fstat(file.file()).ok())
                .is_some_and(|stat| {
                    u64::try_from(stat.st_blocks).unwrap_or(0) * 512 > UNREAD_LIMIT
                });
        }
        self.full
    }
}

fn timed(event: Event) -> TimedEvent {
    TimedEvent { time: now(), position: 0, end: 0, event }
}

/// Microseconds since 1970.
pub(crate) fn now() -> i64 {
    let nanos = time::OffsetDateTime::now_utc().unix_timestamp_nanos();
    i64::try_from(nanos / 1_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(directory: &Path) -> Vec<Event> {
        let text = std::fs::read_to_string(directory.join(NAME)).unwrap();
        let event = |line: &str| serde_json::from_str::<TimedEvent>(line).ok();
        text.lines().filter_map(event).map(|timed| timed.event).collect()
    }

    #[test]
    fn a_full_disk_cuts_a_line_and_not_the_event_after_it() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(NAME), "").unwrap();
        let mut spool = Spool::open(directory.path()).unwrap();
        let real = spool.file.take();
        // Takes no byte, as a full disk does.
        spool.file = Some(fs_err::OpenOptions::new().write(true).open("/dev/full").unwrap());
        spool.write(Event::Line { text: "lost".into(), partial: false });
        spool.file = real;
        spool.file.as_mut().unwrap().write_all(b"{\"time\":1,\"eve").unwrap();
        spool.write(Event::Up);
        assert_eq!(events(directory.path()), [Event::Dropped { lines: 1 }, Event::Up]);
    }

    #[test]
    fn what_must_be_told_waits_for_room() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(NAME), "").unwrap();
        let mut spool = Spool::open(directory.path()).unwrap();
        let full = Some(fs_err::OpenOptions::new().write(true).open("/dev/full").unwrap());
        let real = std::mem::replace(&mut spool.file, full);
        spool.write(Event::Up);
        spool.write(Event::Line { text: "lost".into(), partial: false });
        spool.write(Event::Exited { status: 137 });
        assert!(!spool.write_waiting());
        spool.file = real;
        spool.finish(Duration::ZERO);
        assert_eq!(events(directory.path()), [Event::Up, Event::Exited { status: 137 }]);
        spool.write(Event::Stopping);
        let last = [Event::Dropped { lines: 1 }, Event::Stopping];
        assert_eq!(events(directory.path())[2..], last);
    }
}
