//! One line of an app's log, in Heroku's format.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::dyno::DynoId;

/// Who a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The app itself, or the API acting for it (`app[api]`).
    App,
    /// The platform: dyno states, the router, errors.
    Heroku,
}

impl Source {
    /// As it stands in a line.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::App => "app",
            Source::Heroku => "heroku",
        }
    }
}

/// One line of an app's log: `2010-09-16T15:13:46.677020+00:00 app[web.1]: msg`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written (microseconds since 1970, UTC).
    pub time: i64,
    /// Who wrote it.
    pub source: Source,
    /// Which process: `web.1`, `router`, `api`.
    pub process: String,
    /// The text, without the newline.
    pub text: String,
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, process, text, .. } = self;
        write!(f, "{} {}[{process}]: {text}", timestamp(self.time), source.as_str())
    }
}

/// Microseconds since 1970 as Heroku's logs print them: `2010-09-16T15:13:46.677020+00:00`.
pub fn timestamp(micros: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}+00:00",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.microsecond()
    )
}

/// Where log lines go. The log history implements it, and so does a terminal.
pub trait LogSink: Send + Sync {
    /// Takes one line of one app. Must not block.
    fn write(&self, app: &str, line: LogLine);
    /// The same for a line that a dyno is the origin of. One that is kept from an earlier server is
    /// not taken again.
    fn write_once(&self, app: &str, line: LogLine, origin: Origin) {
        let _ = origin;
        self.write(app, line);
    }
    /// All lines of an event of a dyno were written, and this is where the next one stands.
    fn all_written(&self, next: Origin) {
        let _ = next;
    }
    /// The app is no more: its log goes, and another app of its name has none of it.
    fn forget(&self, app: &str) {
        let _ = app;
    }
    /// The app has another name, and keeps its log.
    fn rename(&self, app: &str, name: &str) {
        let _ = (app, name);
    }
    /// Whether another line can be taken without losing one.
    fn has_room(&self) -> bool {
        true
    }
}

/// Which event of a dyno a line tells of. What a server was told of and has not kept when it is
/// killed is told to the next one again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// The run of the dyno.
    pub dyno: DynoId,
    /// The event's position.
    pub position: u64,
    /// Which of the event's lines.
    pub part: u32,
}

/// Which lines a reader wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// Only this source.
    pub source: Option<Source>,
    /// Only this process (`web.1`) or all dynos of this process type (`web`).
    pub process: Option<String>,
}

impl LogFilter {
    /// Whether a line passes.
    pub fn passes(&self, line: &LogLine) -> bool {
        let of_process = |wanted: &String| {
            line.process == *wanted
                || line.process.strip_prefix(wanted.as_str()).is_some_and(|r| r.starts_with('.'))
        };
        self.source.is_none_or(|source| source == line.source)
            && self.process.as_ref().is_none_or(of_process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(process: &str) -> LogLine {
        LogLine {
            time: 1_284_650_026_677_020,
            source: Source::App,
            process: process.into(),
            text: "msg".into(),
        }
    }

    #[test]
    fn a_line_prints_in_herokus_format() {
        assert_eq!(line("web.1").to_string(), "2010-09-16T15:13:46.677020+00:00 app[web.1]: msg");
    }

    #[test]
    fn a_filter_takes_a_dyno_or_a_process_type() {
        let passes = |wanted: &str, process| {
            LogFilter { process: Some(wanted.into()), source: None }.passes(&line(process))
        };
        assert!(passes("web", "web.1") && passes("web.1", "web.1"));
        assert!(!passes("web.1", "web.11") && !passes("web", "webby.1"));
        let heroku = LogFilter { source: Some(Source::Heroku), process: None };
        assert!(!heroku.passes(&line("web.1")));
    }
}
