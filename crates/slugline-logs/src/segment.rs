//! An app's log on the disk: two files of JSON lines, the older of which is replaced in turn.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use slugline_model::logline::{LogLine, Origin};
use slugline_model::name::AppName;

/// A line and its number.
pub(crate) type Numbered = (u64, LogLine);

/// The same as it is saved, with what it tells of.
pub(crate) type Saved = (u64, LogLine, Option<Origin>);

/// Why the logs could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The directory could not be made or listed.
    #[error("open the logs in {}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An app's log could not be read.
    #[error("read the log {}", path.display())]
    Read {
        /// The log's file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The thread that writes to the disk could not be started.
    #[error("start the thread that writes logs")]
    Thread {
        /// Why not.
        source: io::Error,
    },
}

/// The two files of an app's log.
#[derive(Debug)]
pub(crate) struct Segments {
    current: PathBuf,
    older: PathBuf,
}

impl Segments {
    /// Of an app; none if the text is no app name, which could lead out of the directory.
    pub(crate) fn of(directory: &Path, app: &str) -> Option<Self> {
        let app: AppName = app.parse().ok()?;
        let current = directory.join(format!("{app}.log"));
        Some(Self { current, older: directory.join(format!("{app}.1.log")) })
    }

    /// Adds lines. `written` counts the lines of the current file; from `most` on, a new one is
    /// begun.
    pub(crate) fn append(
        &self,
        lines: &[Saved],
        written: &mut usize,
        most: usize,
    ) -> io::Result<()> {
        if *written >= most {
            fs_err::rename(&self.current, &self.older)?;
            *written = 0;
        }
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        let mut file = fs_err::OpenOptions::new().append(true).create(true).open(&self.current)?;
        file.write_all(&text)?;
        *written += lines.len();
        Ok(())
    }

    /// Lines in the current file.
    pub(crate) fn count(&self) -> usize {
        let ends = |text: Vec<u8>| text.split(|b| *b == b'\n').count() - 1;
        fs_err::read(&self.current).map_or(0, ends)
    }

    /// Takes another name, in place of what has it.
    pub(crate) fn rename(&self, to: &Self) -> io::Result<()> {
        to.remove()?;
        for (from, to) in [(&self.older, &to.older), (&self.current, &to.current)] {
            match fs_err::rename(from, to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn remove(&self) -> io::Result<()> {
        for path in [&self.current, &self.older] {
            match fs_err::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// All lines, in the order of their numbers. What a crash has torn is left out.
    fn load(&self) -> Result<Vec<Saved>, LogsError> {
        let mut lines = Vec::new();
        for path in [&self.older, &self.current] {
            let text = match fs_err::read(path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(LogsError::Read { path: path.clone(), source }),
            };
            lines.extend(text.split(|b| *b == b'\n').filter_map(parse));
            if text.last().is_some_and(|b| *b != b'\n') {
                self.end_torn_line();
            }
        }
        lines.sort_by_key(|(number, ..)| *number);
        lines.dedup_by_key(|(number, ..)| *number);
        Ok(lines)
    }

    fn end_torn_line(&self) {
        // If this fails, the next line is torn too, and no more.
        let file = fs_err::OpenOptions::new().append(true).open(&self.current);
        let _ = file.and_then(|mut file| file.write_all(b"\n"));
    }
}

/// The logs of all apps in a directory, which is made if need be.
pub(crate) fn load_all(directory: &Path) -> Result<Vec<(String, Vec<Saved>)>, LogsError> {
    let error = |source| LogsError::Directory { path: directory.to_owned(), source };
    fs_err::create_dir_all(directory).map_err(error)?;
    let mut all = Vec::new();
    for entry in fs_err::read_dir(directory).map_err(error)? {
        let name = entry.map_err(error)?.file_name();
        let app = name.to_str().and_then(|name| name.strip_suffix(".log"));
        let Some(app) = app else { continue };
        if let Some(segments) = Segments::of(directory, app) {
            all.push((app.to_owned(), segments.load()?));
        }
    }
    Ok(all)
}

fn parse(text: &[u8]) -> Option<Saved> {
    serde_json::from_slice(text).ok()
}
