//! What a supervisor has seen of its dyno, for whoever asks what that uses.

use std::path::{Path, PathBuf};

use rustix::process::Pid;
use serde::{Deserialize, Serialize};

/// The name of the file in the dyno's directory.
const NAME: &str = "seen";

/// Where the dyno is, what it may have, and what its layer held when it was measured last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// The dyno's first process, as the host counts.
    pub(crate) init: i32,
    /// Its quota of memory (bytes).
    pub(crate) quota: u64,
    /// Bytes.
    pub(crate) layer: u64,
    #[serde(skip)]
    path: Option<PathBuf>,
}

impl Seen {
    /// Writes down who the dyno's first process is.
    pub(crate) fn write_first(dyno_directory: Option<&Path>, init: Pid, quota: u64) -> Self {
        let path = dyno_directory.map(|directory| directory.join(NAME));
        let seen = Self { init: init.as_raw_nonzero().get(), quota, layer: 0, path };
        seen.write();
        seen
    }

    /// Writes down what the layer holds, if that has changed.
    pub(crate) fn note_layer(&mut self, bytes: u64) {
        if self.layer != bytes {
            self.layer = bytes;
            self.write();
        }
    }

    /// The dyno's directory.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.path.as_deref()?.parent()
    }

    /// Reads what was written; none before the dyno has begun.
    pub(crate) fn read(dyno_directory: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(dyno_directory.join(NAME)).ok()?).ok()
    }

    /// A full disk keeps nothing: it is only an estimate.
    fn write(&self) {
        if let (Some(path), Ok(json)) = (&self.path, serde_json::to_vec(self)) {
            let _ = std::fs::write(path, json);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Seen::read(directory.path()), None);
        let own = rustix::process::getpid();
        let mut seen = Seen::write_first(Some(directory.path()), own, 9);
        seen.note_layer(7);
        let found = Seen::read(directory.path()).unwrap();
        let own = own.as_raw_nonzero().get();
        assert_eq!((found.init, found.quota, found.layer), (own, 9, 7));
    }
}
