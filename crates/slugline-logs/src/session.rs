//! A reader of an app's log.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use slugline_model::code::Code;
use slugline_model::logline::{LogFilter, LogLine, Source, timestamp};
use tokio::sync::watch;

use crate::history::History;

/// Reads an app's log: each line that passes the filter once, in order.
#[derive(Debug)]
pub struct Session {
    history: Arc<History>,
    filter: LogFilter,
    /// Where it ends: what was written before it began has been shown by then. With tail, nowhere.
    end: Option<u64>,
    /// Told of each line that is shown.
    shown: watch::Receiver<u64>,
    /// The number of the next line to look at.
    next: u64,
    /// Lines that were read but not given out yet.
    read: VecDeque<(u64, LogLine)>,
    /// When the last line that was given out was written (microseconds since 1970).
    seen: i64,
}

impl Session {
    pub(crate) fn new(history: Arc<History>, filter: LogFilter, next: u64, tail: bool) -> Self {
        let (shown, end) = (history.watch(), (!tail).then(|| history.next()));
        Self { history, filter, end, shown, next, read: VecDeque::new(), seen: now() }
    }

    /// The next line and its number. Without tail, `None` once the history is read.
    ///
    /// A reader that is so slow that lines are gone before it reads them gets one line with the
    /// code L10 in their place, which carries the number of the last of them.
    ///
    /// May be cancelled and called again without losing a line.
    pub async fn next(&mut self) -> Option<(u64, LogLine)> {
        loop {
            if let Some((number, line)) = self.read.pop_front() {
                self.seen = line.time;
                return Some((number, line));
            }
            // Marked as seen before it is read, so that a line shown in between wakes us.
            let shown = *self.shown.borrow_and_update();
            if self.next < shown {
                self.fill();
            } else if self.end.is_some_and(|end| shown >= end)
                || self.shown.changed().await.is_err()
            {
                return None;
            }
        }
    }

    fn fill(&mut self) {
        let found = self.history.read(self.next, &self.filter);
        if found.dropped > 0 {
            let last = self.next + found.dropped - 1;
            self.read.push_back((last, overflow(found.dropped, self.seen)));
        }
        self.read.extend(found.lines);
        self.next = found.next;
    }
}

/// What stands in the place of dropped lines, in Heroku's words.
fn overflow(dropped: u64, since: i64) -> LogLine {
    let (code, since) = (Code::L10.as_str(), timestamp(since));
    LogLine {
        time: now(),
        source: Source::Heroku,
        process: "logplex".to_owned(),
        text: format!(
            "Error {code} (output buffer overflow): {dropped} messages dropped since {since}."
        ),
    }
}

/// Microseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
