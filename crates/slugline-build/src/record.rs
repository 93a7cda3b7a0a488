//! What a built-in buildpack tells the compile that started it: lines of JSON in a file.
//!
//! A buildpack is a process of its own and can only print and exit. The built-in ones also leave
//! their measures and, when they fail, the message for the app's author, so that it is printed once,
//! in the same place as all others.

use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use slugline_model::build::StepMeasure;
use slugline_model::message::Message;

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry {
    /// A hook ran.
    Step(StepMeasure),
    /// The buildpack cannot go on.
    Failure(Failure),
}

/// Why a built-in buildpack ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// By phase, from `slugline_model::build::exit_code`.
    pub exit_code: i32,
    what: String,
    found: String,
    allowed: String,
    next: String,
}

impl Failure {
    /// A failure with its message.
    pub(crate) fn new(exit_code: i32, message: Message) -> Self {
        let Message { what, found, allowed, next, state: _ } = message;
        Self { exit_code, what, found, allowed, next }
    }

    /// What to tell the app's author.
    pub(crate) fn message(&self) -> Message {
        let Self { what, found, allowed, next, .. } = self.clone();
        Message { what, found, allowed, next, state: String::new() }
    }
}

/// Adds an entry to the record.
pub(crate) fn append(path: &Path, entry: &Entry) -> io::Result<()> {
    let mut file = fs_err::OpenOptions::new().create(true).append(true).open(path)?;
    let mut line = serde_json::to_vec(entry)?;
    line.push(b'\n');
    file.write_all(&line)
}

/// Takes the entries of one buildpack, so that the next one starts with an empty record. Lines that
/// are none (the app's code can write here too) are passed over.
pub(crate) fn take(path: &Path) -> Vec<Entry> {
    let text = fs_err::read_to_string(path).unwrap_or_default();
    let _ = fs_err::remove_file(path);
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        let message = Message { what: "no".into(), ..Message::default() };
        let failure = Failure::new(40, message.clone());
        append(&path, &Entry::Failure(failure.clone())).unwrap();
        assert_eq!(take(&path), [Entry::Failure(failure.clone())]);
        assert_eq!(failure.message(), message);
        assert!(take(&path).is_empty());
    }
}
