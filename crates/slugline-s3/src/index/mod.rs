//! The index of objects: embedded SQLite, one writer that commits for many at once, several readers.

pub(crate) mod bucket;
pub(crate) mod list;
pub(crate) mod object;
mod schema;
pub(crate) mod upload;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{mpsc, oneshot};

use crate::error::{Result, StorageError};

/// Changes that are committed together at most.
const BATCH: usize = 256;
/// Readers that are kept for the next one who asks.
const READERS: usize = 16;
/// Statements that a connection remembers.
const STATEMENTS: usize = 64;

/// Reads and changes the index.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    path: Arc<PathBuf>,
    readers: Arc<Mutex<Vec<Connection>>>,
    jobs: mpsc::UnboundedSender<Job>,
}

/// What a change says once it is known whether all of it is on the disk.
type Done = Box<dyn FnOnce(std::result::Result<(), StorageError>) + Send>;
/// A change: whether it is to be kept, and whom to tell. Without a connection it is not made.
type Job = Box<dyn FnOnce(Option<&Connection>) -> (bool, Done) + Send>;

impl Index {
    /// Opens the index, and starts the thread that writes it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut connection =
            Connection::open(path).map_err(|error| StorageError::index("open", error))?;
        prepare(&connection).map_err(|error| StorageError::index("open", error))?;
        schema::migrate(&mut connection)?;
        let (jobs, waiting) = mpsc::unbounded_channel();
        std::thread::Builder::new()
            .name("s3-index".to_owned())
            .spawn(move || write(&connection, waiting))
            .map_err(|error| StorageError::file("start the writer of", path, error))?;
        Ok(Self { path: Arc::new(path.to_path_buf()), readers: Arc::default(), jobs })
    }

    /// Changes the index. When this returns, the change is on the disk, or there is none.
    ///
    /// `after` hears of it on the writer's thread, whether or not whoever asked still waits; of a
    /// change that never began it is only dropped.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
        after: impl FnOnce(&mut Result<T>) + Send + 'static,
    ) -> Result<T> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let changed = connection.map_or(Err(StorageError::Closed), change);
            let keep = changed.is_ok();
            let done: Done = Box::new(move |committed| {
                let mut outcome = committed.and(changed);
                after(&mut outcome);
                // Whoever asked may have left.
                let _ = tell.send(outcome);
            });
            (keep, done)
        });
        self.jobs.send(job).map_err(|_| StorageError::Closed)?;
        told.await.map_err(|_| StorageError::Closed)?
    }

    /// Looks something up, beside whatever is being written.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let index = self.clone();
        let looked = tokio::task::spawn_blocking(move || index.read_now(look)).await;
        looked.map_err(|_| StorageError::Closed)?
    }

    /// The same, on a thread that may wait.
    pub(crate) fn read_now<T>(&self, look: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let spare = self.spare().pop();
        let connection = match spare {
            Some(connection) => connection,
            None => self.reader().map_err(|error| StorageError::index("open", error))?,
        };
        let found = look(&connection);
        let mut spare = self.spare();
        if spare.len() < READERS {
            spare.push(connection);
        }
        found
    }

    fn spare(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&*self.path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    }
}

/// Committed means on the disk; a few thousand pages wait in the log before they are moved.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.execute_batch(
        "PRAGMA auto_vacuum = INCREMENTAL;
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA wal_autocheckpoint = 8000;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -32768;",
    )
}

/// Takes what waits, commits it as one, and tells all.
fn write(connection: &Connection, mut waiting: mpsc::UnboundedReceiver<Job>) {
    while let Some(first) = waiting.blocking_recv() {
        let mut jobs = vec![first];
        while jobs.len() < BATCH
            && let Ok(next) = waiting.try_recv()
        {
            jobs.push(next);
        }
        commit(connection, jobs);
    }
}

fn commit(connection: &Connection, jobs: Vec<Job>) {
    let mut told = Vec::with_capacity(jobs.len());
    let committed = transact(connection, jobs, &mut told);
    if committed.is_err() && !connection.is_autocommit() {
        // There may be nothing to take back.
        let _ = connection.execute_batch("ROLLBACK");
    }
    for done in told {
        done(committed.clone());
    }
}

fn transact(connection: &Connection, jobs: Vec<Job>, told: &mut Vec<Done>) -> Result<()> {
    let run = |statement: &str| {
        let mut prepared = connection.prepare_cached(statement)?;
        prepared.execute([]).map(drop)
    };
    let wrong = |error| StorageError::index("write", error);
    let mut begun = run("BEGIN IMMEDIATE").map_err(wrong);
    for job in jobs {
        begun = begun.and_then(|()| run("SAVEPOINT one").map_err(wrong));
        let (keep, done) = job(begun.is_ok().then_some(connection));
        told.push(done);
        if begun.is_ok() {
            let end = if keep { Ok(()) } else { run("ROLLBACK TO one") };
            begun = end.and_then(|()| run("RELEASE one")).map_err(wrong);
        }
    }
    begun?;
    run("COMMIT").map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_that_fails_takes_no_other_with_it() {
        let directory = tempfile::tempdir().unwrap();
        let index = Index::open(&directory.path().join("index.sqlite3")).unwrap();
        let doom = |byte: u8, well: bool| {
            let add = move |db: &Connection| {
                let add = "INSERT INTO doomed (content) VALUES (?1)";
                db.execute(add, [[byte]]).map_err(|error| StorageError::index("write", error))?;
                if well { Ok(()) } else { Err(StorageError::Closed) }
            };
            index.write(add, |_| ())
        };
        let (first, second, third) = tokio::join!(doom(1, true), doom(2, false), doom(3, true));
        assert!(first.is_ok() && second.is_err() && third.is_ok());
        let left = index.read(|db| {
            let count = db.query_row("SELECT count(*) FROM doomed", [], |row| row.get::<_, i64>(0));
            count.map_err(|error| StorageError::index("read", error))
        });
        assert_eq!(left.await.unwrap(), 2);
    }
}
