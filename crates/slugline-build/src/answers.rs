//! What programs answered when they were asked for their version, so that none is asked twice: an
//! interpreter takes longer to start than all that a warm build does beside it.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files;

/// The answers of one cache directory.
#[derive(Debug)]
pub(crate) struct Answers {
    path: PathBuf,
    known: BTreeMap<PathBuf, Answer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Answer {
    /// Inode, size and time of the file that answered.
    file: (u64, u64, i64, i64),
    text: String,
}

impl Answers {
    /// Those of earlier builds.
    pub(crate) fn read(cache_dir: &Path) -> Self {
        let path = cache_dir.join("answers.json");
        let text = fs_err::read_to_string(&path).unwrap_or_default();
        Self { path, known: serde_json::from_str(&text).unwrap_or_default() }
    }

    /// What a program answers: what it did the last time, if it is the same file still.
    pub(crate) fn of(
        &mut self,
        program: &Path,
        ask: impl FnOnce() -> Option<String>,
    ) -> Option<String> {
        let found = program.metadata().ok()?;
        let file = (found.ino(), found.size(), found.mtime(), found.mtime_nsec());
        if let Some(known) = self.known.get(program)
            && known.file == file
        {
            return Some(known.text.clone());
        }
        let text = ask()?;
        self.known.insert(program.to_owned(), Answer { file, text: text.clone() });
        // An answer that could not be kept is asked for again.
        let _ = serde_json::to_vec(&self.known)
            .map_err(std::io::Error::from)
            .and_then(|bytes| files::write_atomically(&self.path, &bytes));
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_asked_again_only_when_it_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("python3");
        fs_err::write(&program, "one").unwrap();
        let ask = |answer: &str| {
            Answers::read(dir.path()).of(&program, || Some(answer.to_owned())).unwrap()
        };
        assert_eq!(ask("3.11.2"), "3.11.2");
        assert_eq!(ask("asked again"), "3.11.2");
        fs_err::write(&program, "another").unwrap();
        assert_eq!(ask("3.12.1"), "3.12.1");
        assert_eq!(Answers::read(dir.path()).of(&dir.path().join("none"), || None), None);
    }
}
