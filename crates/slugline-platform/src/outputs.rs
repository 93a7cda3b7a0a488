//! Output of builds and release phases: kept in files, read while they grow.

use std::collections::HashMap;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::Stream;
use tokio::sync::watch;
use uuid::Uuid;

use crate::output_bucket::{Away, OutputBucket};

/// The most that one output keeps (bytes). Heroku: 300 MB.
const LIMIT: u64 = 300 << 20;

/// All outputs, those that still grow in memory by their id.
#[derive(Debug)]
pub(crate) struct Outputs {
    pub(crate) directory: PathBuf,
    pub(crate) away: Away,
    growing: Mutex<HashMap<Uuid, Arc<Output>>>,
}

/// One output that grows.
#[derive(Debug)]
pub(crate) struct Output {
    file: Mutex<fs_err::File>,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    bytes: u64,
    finished: bool,
}

impl Outputs {
    pub(crate) fn new(directory: PathBuf, bucket: Option<Arc<dyn OutputBucket>>) -> Self {
        Self { directory, away: Away::new(bucket), growing: Mutex::default() }
    }

    pub(crate) fn path(&self, id: Uuid) -> PathBuf {
        self.directory.join(id.to_string())
    }

    fn growing(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Output>>> {
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts an output, or goes on with one that was started.
    pub(crate) fn start(&self, id: Uuid) -> std::io::Result<Arc<Output>> {
        // Held until the entry is there: a reader that finds a file without one takes it for whole.
        let mut growing = self.growing();
        if let Some(output) = growing.get(&id) {
            return Ok(Arc::clone(output));
        }
        let path = self.path(id);
        let mut options = fs_err::OpenOptions::new();
        let file = options.create(true).append(true).read(true).open(path)?;
        let output =
            Output { file: Mutex::new(file), progress: watch::channel(Progress::default()).0 };
        let output = Arc::new(output);
        growing.insert(id, Arc::clone(&output));
        Ok(output)
    }

    /// Ends an output: its readers come to their end.
    pub(crate) fn finish(&self, id: Uuid) {
        if let Some(output) = self.growing().remove(&id) {
            output.progress.send_modify(|progress| progress.finished = true);
            self.away.finished(id);
        }
    }

    /// Adds to an output that was not finished, of which nobody knows any more.
    pub(crate) fn append(&self, id: Uuid, text: &str) {
        if let Ok(output) = self.start(id) {
            output.write(text);
        }
        self.finish(id);
    }

    /// What an output holds so far; nothing if there is none.
    pub(crate) fn text(&self, id: Uuid) -> String {
        let bytes = std::fs::read(self.path(id)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Whether there is such an output.
    pub(crate) fn exists(&self, id: Uuid) -> bool {
        self.is_here(id) || self.away.has(id)
    }

    /// Whether it is in the data directory.
    pub(crate) fn is_here(&self, id: Uuid) -> bool {
        self.path(id).exists()
    }

    /// How long an output is that has come to its end (bytes); none for one that still grows.
    pub(crate) fn whole(&self, id: Uuid) -> Option<u64> {
        let growing = self.growing();
        let file = std::fs::metadata(self.path(id));
        file.ok().filter(|_| !growing.contains_key(&id)).map(|metadata| metadata.len())
    }

    /// Reads an output from a byte on, until it is finished; none if there is no such output.
    pub(crate) fn read(
        &self,
        id: Uuid,
        from: u64,
    ) -> Option<impl Stream<Item = std::io::Result<Vec<u8>>> + Send + use<>> {
        let growing = self.growing();
        let progress = growing.get(&id).map(|output| output.progress.subscribe());
        let file = fs_err::File::open(self.path(id)).ok()?;
        let state = Reader { file, at: from, progress };
        Some(futures_util::stream::try_unfold(state, Reader::next))
    }
}

/// Where one reader is.
struct Reader {
    file: fs_err::File,
    at: u64,
    /// None once the output no longer grows.
    progress: Option<watch::Receiver<Progress>>,
}

impl Reader {
    async fn next(mut self) -> std::io::Result<Option<(Vec<u8>, Self)>> {
        loop {
            // Looked at before the file is read, so that nothing written in between is missed.
            let finished = self.progress.as_mut().is_none_or(|p| p.borrow_and_update().finished);
            let mut buffer = vec![0; 64 * 1024];
            let length = self.file.file().read_at(&mut buffer, self.at)?;
            if length > 0 {
                buffer.truncate(length);
                self.at += length as u64;
                return Ok(Some((buffer, self)));
            }
            if finished {
                return Ok(None);
            }
            if let Some(progress) = &mut self.progress
                && progress.changed().await.is_err()
            {
                self.progress = None;
            }
        }
    }
}

impl Output {
    /// Adds a line.
    pub(crate) fn line(&self, text: &str) {
        self.write(&format!("{text}\n"));
    }

    /// Adds text as it is.
    pub(crate) fn write(&self, text: &str) {
        let written = self.progress.borrow().bytes;
        let text = match written {
            LIMIT.. => return,
            n if n + text.len() as u64 >= LIMIT => " !     The rest of the output was cut\n",
            _ => text,
        };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk loses output, never the build.
        let _ = file.write_all(text.as_bytes());
        drop(file);
        let bytes =
            if text.starts_with(" !     The rest") { LIMIT } else { written + text.len() as u64 };
        self.progress.send_modify(|progress| progress.bytes = bytes);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;

    #[tokio::test]
    async fn a_reader_sees_all_of_an_output_that_grows() {
        let dir = tempfile::tempdir().unwrap();
        let outputs = Outputs::new(dir.path().to_path_buf(), None);
        let id = Uuid::new_v4();
        assert!(outputs.read(id, 0).is_none());
        let output = outputs.start(id).unwrap();
        let reader = outputs.read(id, 0).unwrap();
        let reader = tokio::spawn(reader.try_concat());
        for number in 0..1_000 {
            output.line(&number.to_string());
            tokio::task::yield_now().await;
        }
        outputs.finish(id);
        let text = String::from_utf8(reader.await.unwrap().unwrap()).unwrap();
        assert_eq!(text.lines().count(), 1_000);
        let again = outputs.read(id, text.len() as u64 - 4).unwrap().try_concat().await.unwrap();
        assert_eq!(again, b"999\n");
    }
}
