//! What was carried and compared already, so that whoever is killed goes on from there.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use slugline_model::carry::{Carried, Seen};

/// A line each object; the last one of a key counts.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    pub(super) path: PathBuf,
    known: BTreeMap<String, Carried>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    key: String,
    /// Size and tag in the source, and in the target; none of an object that was removed.
    carried: Option<(u64, String, u64, String)>,
}

impl Journal {
    /// That of a move, wherever this user keeps such things.
    pub(super) fn open(of: &str) -> std::io::Result<Self> {
        let directory = super::super::put::records()?.join("moves");
        std::fs::create_dir_all(&directory)?;
        Self::at(&directory.join(format!("{of}.jsonl")))
    }

    fn at(path: &Path) -> std::io::Result<Self> {
        let text = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut known = BTreeMap::new();
        // The last line may have been cut off.
        for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
            match line.carried {
                Some((size, tag, there, target)) => {
                    let source = Seen { size, tag };
                    known.insert(
                        line.key,
                        Carried { source, target: Seen { size: there, tag: target } },
                    );
                }
                None => drop(known.remove(&line.key)),
            }
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n")?;
        }
        Ok(Self { file, path: path.to_path_buf(), known })
    }

    pub(super) fn known(&self, key: &str) -> Option<&Carried> {
        self.known.get(key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &String> {
        self.known.keys()
    }

    /// Notes what was carried, or that the object is gone.
    pub(super) fn note(&mut self, key: &str, carried: Option<Carried>) -> std::io::Result<()> {
        let told = carried.as_ref().map(|Carried { source, target }| {
            (source.size, source.tag.clone(), target.size, target.tag.clone())
        });
        let line = Line { key: key.to_owned(), carried: told };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        self.file.write_all(&text)?;
        match carried {
            Some(carried) => drop(self.known.insert(key.to_owned(), carried)),
            None => drop(self.known.remove(key)),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_is_as_if_it_had_never_been_begun() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.jsonl");
        let seen = |tag: &str| Seen { size: 3, tag: tag.to_owned() };
        let carried = Carried { source: seen("a"), target: seen("b") };
        let mut journal = Journal::at(&path).unwrap();
        journal.note("kept", Some(carried.clone())).unwrap();
        journal.note("gone", Some(carried.clone())).unwrap();
        journal.note("gone", None).unwrap();
        drop(journal);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"key\":\"half\",\"carr").unwrap();
        let mut journal = Journal::at(&path).unwrap();
        journal.note("next", Some(carried.clone())).unwrap();
        drop(journal);
        let journal = Journal::at(&path).unwrap();
        assert_eq!(journal.keys().collect::<Vec<_>>(), ["kept", "next"]);
        assert_eq!(journal.known("kept"), Some(&carried));
    }
}
