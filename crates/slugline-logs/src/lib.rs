//! Line to reader: an app's last lines, who reads them as they come, and what a restart keeps.
//! Line to drain: where they are sent as they come.
//!
//! A line that is written gets a number within its app and a place in the app's `history`; every
//! [`Session`] reads from there at its own pace. A `segment` on the disk keeps the history for
//! the next start of the server, and a line is shown once it is in there: no reader has seen what
//! a server that is killed takes with it.

mod drain;
mod history;
mod post;
mod segment;
mod session;
mod split;
mod writer;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use slugline_model::dyno::DynoId;
use slugline_model::limits::Limits;
use slugline_model::logline::{LogFilter, LogLine, LogSink, Origin};

use crate::history::History;
use crate::segment::{Numbered, Saved};
use crate::writer::Writer;

pub use crate::drain::{Drain, reached};
pub use crate::post::Post;
pub use crate::segment::LogsError;
pub use crate::session::Session;

/// The logs of all apps.
pub struct Hub {
    /// Held only to find or add an app; each history has a lock of its own.
    apps: Mutex<HashMap<String, Arc<History>>>,
    writer: Option<Writer>,
    /// Of dynos that an earlier server was told of: the last event whose line is kept.
    seen: HashMap<DynoId, Origin>,
    /// Lines kept per app.
    kept: usize,
    /// A line's length (bytes); longer ones are split.
    longest: usize,
}

impl Hub {
    /// Logs that end with the process.
    pub fn in_memory(limits: &Limits) -> Self {
        let (kept, longest) = (limits.log_history, limits.log_line);
        Self { apps: Mutex::default(), writer: None, seen: HashMap::new(), kept, longest }
    }

    /// Logs that are kept in a directory too, and taken up again from there. `on_saved` is told,
    /// from a thread of the hub's, of dynos' events whose lines are saved: what began before such an
    /// event need not be told again.
    pub fn open(
        directory: &Path,
        limits: &Limits,
        on_saved: impl Fn(Origin) + Send + 'static,
    ) -> Result<Self, LogsError> {
        let mut hub = Self::in_memory(limits);
        for (app, lines) in segment::load_all(directory)? {
            let origins = lines.iter().filter_map(|(_, _, origin)| *origin);
            hub.seen.extend(origins.map(|origin| (origin.dyno, origin)));
            let lines = lines.into_iter().map(|(number, line, _)| (number, line));
            let lines: Vec<Numbered> = lines.collect();
            let recent = lines.len().saturating_sub(hub.kept);
            let history = Arc::new(History::new(hub.kept, lines[recent..].to_vec()));
            hub.lock().insert(app, history);
        }
        let on_saved = Box::new(on_saved);
        hub.writer = Some(Writer::start(directory.to_owned(), hub.kept, on_saved)?);
        Ok(hub)
    }

    /// A reader of an app's log: first its last `lines` that pass the filter, then, with `tail`,
    /// every line that passes as it is written.
    pub fn session(&self, app: &str, filter: LogFilter, lines: usize, tail: bool) -> Session {
        let history = self.history(app);
        let from = history.last(lines, &filter);
        Session::new(history, filter, from, tail)
    }

    /// A reader that goes on after a line that it has seen already. Lines that are kept no more
    /// are reported as dropped.
    pub fn resume(&self, app: &str, filter: LogFilter, after: u64, tail: bool) -> Session {
        let history = self.history(app);
        let from = history.next().min(after.saturating_add(1));
        Session::new(history, filter, from, tail)
    }

    /// Lines that were shown but could not be written to the disk, since the start.
    pub fn unsaved(&self) -> u64 {
        self.writer.as_ref().map_or(0, Writer::unsaved)
    }

    fn history(&self, app: &str) -> Arc<History> {
        let mut apps = self.lock();
        if let Some(history) = apps.get(app) {
            return Arc::clone(history);
        }
        let history = Arc::new(History::new(self.kept, Vec::new()));
        apps.insert(app.to_owned(), Arc::clone(&history));
        history
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<History>>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    fn take(&self, app: &str, line: LogLine, origin: Option<Origin>) {
        let history = self.history(app);
        let _turn = history.turn();
        let lines = split::split(line, self.longest).into_iter();
        let lines = lines.map(|line| (history.push(line.clone()), line, origin));
        let lines: Vec<Saved> = lines.collect();
        match &self.writer {
            Some(writer) => writer.save(app, &history, lines),
            None => writer::show(&history, &lines),
        }
    }
}

impl LogSink for Hub {
    fn write(&self, app: &str, line: LogLine) {
        self.take(app, line, None);
    }

    fn write_once(&self, app: &str, line: LogLine, origin: Origin) {
        if self.seen.get(&origin.dyno).is_none_or(|seen| *seen < origin) {
            self.take(app, line, Some(origin));
        }
    }

    fn all_written(&self, next: Origin) {
        if let Some(writer) = &self.writer {
            writer.mark(next);
        }
    }

    /// On the disk too. Sessions that read it go on waiting.
    fn forget(&self, app: &str) {
        self.lock().remove(app);
        if let Some(writer) = &self.writer {
            writer.forget(app);
        }
    }

    /// Sessions that read it go on.
    fn rename(&self, app: &str, name: &str) {
        let mut apps = self.lock();
        if let Some(history) = apps.remove(app) {
            apps.insert(name.to_owned(), history);
        }
        if let Some(writer) = &self.writer {
            writer.rename(app, name);
        }
    }

    fn has_room(&self) -> bool {
        self.writer.as_ref().is_none_or(Writer::has_room)
    }
}
