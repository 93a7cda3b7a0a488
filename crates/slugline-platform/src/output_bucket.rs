//! Outputs in a bucket: each goes there once it is finished, and comes back when somebody reads it
//! and it is not here any more.
//!
//! Nothing waits for the bucket but those who read what is only there. What it has is known by its
//! list, so a server that starts sends what the last one could not.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::outputs::Outputs;
use crate::platform::Platform;

/// How long a bucket that does not answer is left alone, the first time and at most.
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// What outputs that are on their way here are called.
const ARRIVING: &str = ".arriving-";

/// Where outputs are kept beside the data directory.
pub trait OutputBucket: Send + Sync {
    /// What it is called, for people.
    fn shown(&self) -> String;
    /// All that is there, each with its length (bytes).
    fn list(&self) -> BoxFuture<'_, io::Result<HashMap<Uuid, u64>>>;
    /// Puts a file there as a whole, in the place of an earlier one.
    fn put<'a>(&'a self, id: Uuid, file: &'a Path) -> BoxFuture<'a, io::Result<()>>;
    /// Writes what is there to a file.
    fn get<'a>(&'a self, id: Uuid, file: &'a Path) -> BoxFuture<'a, io::Result<()>>;
}

/// The way to the bucket, if there is one.
#[derive(Default)]
pub(crate) struct Away {
    bucket: Option<Arc<dyn OutputBucket>>,
    state: Mutex<State>,
    /// Wakes who sends.
    due: Notify,
}

#[derive(Debug, Default)]
struct State {
    is_listed: bool,
    known: HashSet<Uuid>,
    /// Finished here, and not there yet.
    due: VecDeque<Uuid>,
}

impl std::fmt::Debug for Away {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Away").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Away {
    pub(crate) fn new(bucket: Option<Arc<dyn OutputBucket>>) -> Self {
        Self { bucket, ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the bucket is known to have an output.
    pub(crate) fn has(&self, id: Uuid) -> bool {
        self.state().known.contains(&id)
    }

    /// An output is whole.
    pub(crate) fn finished(&self, id: Uuid) {
        if self.bucket.is_some() {
            self.state().due.push_back(id);
            self.due.notify_one();
        }
    }
}

impl Outputs {
    /// Makes sure that an output is here if it is anywhere.
    pub(crate) async fn recall(&self, id: Uuid) -> io::Result<()> {
        let Some(bucket) = &self.away.bucket else { return Ok(()) };
        if self.is_here(id) || !self.away.has(id) {
            return Ok(());
        }
        let arriving = tempfile::Builder::new().prefix(ARRIVING).tempfile_in(&self.directory)?;
        let arriving = arriving.into_temp_path();
        bucket.get(id, &arriving).await?;
        match arriving.persist_noclobber(self.path(id)) {
            // Another reader was faster.
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => Ok(other?),
        }
    }

    /// Sends what the bucket lacks, until it has all or does not take one.
    async fn send(&self, bucket: &dyn OutputBucket) -> io::Result<()> {
        if !self.away.state().is_listed {
            let there = bucket.list().await?;
            let due = self.lacking(&there)?;
            let mut state = self.away.state();
            state.due.extend(due);
            state.known.extend(there.into_keys());
            state.is_listed = true;
        }
        loop {
            let Some(id) = self.away.state().due.pop_front() else { return Ok(()) };
            // One that grows again is finished again; one that is gone has nothing to send.
            if self.whole(id).is_none() {
                continue;
            }
            if let Err(error) = bucket.put(id, &self.path(id)).await {
                // Last in the row: if it is the file that is to blame, the others get there.
                self.away.state().due.push_back(id);
                return Err(error);
            }
            self.away.state().known.insert(id);
        }
    }

    /// What is finished here and not there, or not all of it: outputs only grow.
    fn lacking(&self, there: &HashMap<Uuid, u64>) -> io::Result<Vec<Uuid>> {
        let mut lacking = vec![];
        for entry in fs_err::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(ARRIVING) {
                // A server was killed while it came.
                fs_err::remove_file(entry.path())?;
            }
            let Ok(id) = name.parse::<Uuid>() else { continue };
            if self.whole(id).is_some_and(|length| there.get(&id).is_none_or(|has| *has < length)) {
                lacking.push(id);
            }
        }
        Ok(lacking)
    }
}

impl Platform {
    /// Sends finished outputs to the bucket, and tries again while it is away.
    pub(crate) async fn send_outputs_for_ever(self) {
        let outputs = &self.inner.outputs;
        let Some(bucket) = &outputs.away.bucket else { return };
        let mut pause = PAUSE;
        loop {
            match outputs.send(bucket.as_ref()).await {
                Ok(()) => {
                    pause = PAUSE;
                    outputs.away.due.notified().await;
                }
                Err(error) => {
                    let bucket = bucket.shown();
                    tracing::warn!(%error, %bucket, "outputs wait for their bucket");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// A bucket that is a map, and may be away.
    #[derive(Default)]
    struct Map {
        is_away: Mutex<bool>,
        held: Mutex<HashMap<Uuid, Vec<u8>>>,
    }

    impl Map {
        fn ask<T: Send + 'static>(
            &self,
            with: impl FnOnce(&mut HashMap<Uuid, Vec<u8>>) -> io::Result<T>,
        ) -> BoxFuture<'_, io::Result<T>> {
            let answer = if *self.is_away.lock().unwrap() {
                Err(io::ErrorKind::ConnectionRefused.into())
            } else {
                with(&mut self.held.lock().unwrap())
            };
            std::future::ready(answer).boxed()
        }
    }

    impl OutputBucket for Map {
        fn shown(&self) -> String {
            "a map".to_owned()
        }

        fn list(&self) -> BoxFuture<'_, io::Result<HashMap<Uuid, u64>>> {
            self.ask(|held| Ok(held.iter().map(|(id, text)| (*id, text.len() as u64)).collect()))
        }

        fn put<'a>(&'a self, id: Uuid, file: &'a Path) -> BoxFuture<'a, io::Result<()>> {
            self.ask(|held| std::fs::read(file).map(|text| drop(held.insert(id, text))))
        }

        fn get<'a>(&'a self, id: Uuid, file: &'a Path) -> BoxFuture<'a, io::Result<()>> {
            self.ask(|held| std::fs::write(file, &held[&id]))
        }
    }

    fn outputs(directory: &Path, map: &Arc<Map>) -> Outputs {
        Outputs::new(directory.to_path_buf(), Some(Arc::clone(map) as _))
    }

    #[tokio::test]
    async fn what_could_not_be_sent_is_sent_by_the_next_server_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let map = Arc::<Map>::default();
        let (whole, grows) = (Uuid::new_v4(), Uuid::new_v4());
        *map.is_away.lock().unwrap() = true;
        let first = outputs(dir.path(), &map);
        first.append(whole, "built\n");
        first.send(&*map).await.unwrap_err();
        std::fs::write(dir.path().join(".arriving-of-one-killed"), "b").unwrap();

        *map.is_away.lock().unwrap() = false;
        let next = outputs(dir.path(), &map);
        next.start(grows).unwrap().line("not yet");
        next.send(&*map).await.unwrap();
        assert_eq!(map.held.lock().unwrap().keys().collect::<Vec<_>>(), [&whole]);
        next.finish(grows);
        next.send(&*map).await.unwrap();
        assert_eq!(map.held.lock().unwrap()[&grows], b"not yet\n");

        std::fs::remove_file(next.path(whole)).unwrap();
        assert!(next.exists(whole) && next.whole(whole).is_none());
        *map.is_away.lock().unwrap() = true;
        next.recall(whole).await.unwrap_err();
        *map.is_away.lock().unwrap() = false;
        next.recall(whole).await.unwrap();
        assert_eq!(next.text(whole), "built\n");
        next.recall(Uuid::new_v4()).await.unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left over");
    }

    #[tokio::test]
    async fn one_that_grew_after_it_was_sent_is_sent_again() {
        let dir = tempfile::tempdir().unwrap();
        let map = Arc::<Map>::default();
        let id = Uuid::new_v4();
        let first = outputs(dir.path(), &map);
        first.append(id, "one\n");
        first.send(&*map).await.unwrap();
        first.append(id, "two\n");
        let next = outputs(dir.path(), &map);
        next.send(&*map).await.unwrap();
        assert_eq!(map.held.lock().unwrap()[&id], b"one\ntwo\n");
    }
}
