//! An app's last lines, numbered.

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
    lines: Mutex<VecDeque<(u64, LogLine)>>,
    /// Lines kept.
    kept: usize,
    /// The number that the next line will have. Changed under the lock of `lines`.
    next: watch::Sender<u64>,
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
        Self { lines: Mutex::new(lines.into()), kept, next: watch::Sender::new(next) }
    }

    /// Adds a line, and tells its number.
    pub(crate) fn push(&self, line: LogLine) -> u64 {
        let mut lines = self.lock();
        let number = *self.next.borrow();
        if lines.len() >= self.kept {
            lines.pop_front();
        }
        lines.push_back((number, line));
        self.next.send_replace(number + 1);
        number
    }

    /// The number that the next line will have.
    pub(crate) fn next(&self) -> u64 {
        *self.next.borrow()
    }

    /// Told of each line that is added.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    /// The number from which on `count` lines pass the filter, or as many as there are.
    pub(crate) fn last(&self, count: usize, filter: &LogFilter) -> u64 {
        let lines = self.lock();
        let end = *self.next.borrow();
        let passing = lines.iter().rev().filter(|(_, line)| filter.passes(line));
        passing.take(count).last().map_or(end, |(number, _)| *number)
    }

    /// Some of the lines from a number on that pass the filter.
    pub(crate) fn read(&self, from: u64, filter: &LogFilter) -> Found {
        let lines = self.lock();
        let end = *self.next.borrow();
        let oldest = lines.front().map_or(end, |(number, _)| *number);
        let start = lines.partition_point(|(number, _)| *number < from);
        let mut found =
            Found { dropped: oldest.saturating_sub(from), lines: Vec::new(), next: end };
        for (number, line) in lines.range(start..) {
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

    fn lock(&self) -> MutexGuard<'_, VecDeque<(u64, LogLine)>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
