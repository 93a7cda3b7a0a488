//! An app's last lines, numbered.
//!
//! Where lines are saved, a line is shown once it is: a server that is killed has shown nobody a
//! line, or the number of one, that the next server does not know.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use slugline_model::logline::{LogFilter, LogLine};
use tokio::sync::watch;

/// Lines that a reader takes at once.
const BATCH: usize = 128;

/// The last lines of an app. Readers read from here, each from the number that it needs next, so
/// what one reader sees does not depend on when it came or on how fast it is.
#[derive(Debug)]
pub(crate) struct History {
    lines: Mutex<Lines>,
    /// Lines kept, beside those that are yet to be shown.
    kept: usize,
    /// Held from a line's number until it is on its way to the disk: they get there in order.
    turn: Mutex<()>,
    /// The number of the next line to be shown. Changed under the lock of `lines`.
    shown: watch::Sender<u64>,
}

#[derive(Debug)]
struct Lines {
    kept: VecDeque<(u64, LogLine)>,
    /// The number that the next line will have.
    next: u64,
}

/// What a reader finds when it looks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Lines that it should have had, but that are kept no more.
    pub(crate) dropped: u64,
    pub(crate) lines: Vec<(u64, LogLine)>,
    /// Where it goes on.
    pub(crate) next: u64,
}

impl History {
    /// A history that starts with lines in the order of their numbers.
    pub(crate) fn new(kept: usize, lines: Vec<(u64, LogLine)>) -> Self {
        let next = lines.last().map_or(1, |(number, _)| number + 1);
        let lines = Mutex::new(Lines { kept: lines.into(), next });
        Self { lines, kept, turn: Mutex::default(), shown: watch::Sender::new(next) }
    }

    /// Whoever adds lines waits for it.
    pub(crate) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line that is yet to be shown, and tells its number.
    pub(crate) fn push(&self, line: LogLine) -> u64 {
        let mut lines = self.lock();
        let number = lines.next;
        lines.kept.push_back((number, line));
        lines.next += 1;
        number
    }

    /// Shows all lines up to a number.
    pub(crate) fn show(&self, last: u64) {
        let mut lines = self.lock();
        let shown = (last + 1).min(lines.next).max(*self.shown.borrow());
        let waiting = usize::try_from(lines.next - shown).unwrap_or(usize::MAX);
        let surplus = lines.kept.len().saturating_sub(self.kept.saturating_add(waiting));
        lines.kept.drain(..surplus);
        self.shown.send_replace(shown);
    }

    /// The number that the next line will have.
    pub(crate) fn next(&self) -> u64 {
        self.lock().next
    }

    /// Told of each line that is shown.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.shown.subscribe()
    }

    /// The number from which on `count` lines pass the filter, or as many as there are.
    pub(crate) fn last(&self, count: usize, filter: &LogFilter) -> u64 {
        let lines = self.lock();
        let end = lines.next;
        let passing = lines.kept.iter().rev().filter(|(_, line)| filter.passes(line));
        passing.take(count).last().map_or(end, |(number, _)| *number)
    }

    /// Some of the shown lines from a number on that pass the filter.
    pub(crate) fn read(&self, from: u64, filter: &LogFilter) -> Found {
        let lines = self.lock();
        let end = *self.shown.borrow();
        let lines = &lines.kept;
        let oldest = lines.front().map_or(end, |(number, _)| *number);
        let start = lines.partition_point(|(number, _)| *number < from);
        let shown = lines.partition_point(|(number, _)| *number < end);
        let mut found =
            Found { dropped: oldest.saturating_sub(from), lines: Vec::new(), next: end };
        for (number, line) in lines.range(start..shown.max(start)) {
            if found.lines.len() == BATCH {
                found.next = *number;
                break;
            }
            if filter.passes(line) {
                found.lines.push((*number, line.clone()));
            }
        }
        found
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
