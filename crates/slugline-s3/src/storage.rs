//! Objects on one machine's disk: what is there, and how it is changed so that a killed server has
//! lost nothing that it answered for.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::content::write::Arrived;
use crate::content::{ContentId, Pins, Places};
use crate::error::{Result, StorageError};
use crate::index::bucket::Bucket;
use crate::index::{Index, bucket, object, upload};
use crate::keys::{KeyPair, Secrets};

/// Uploads that nobody has completed after this time are removed.
const ABANDONED: Duration = Duration::from_hours(7 * 24);
/// Files that are removed between two looks at the index.
const REAPED_AT_ONCE: usize = 256;

/// Buckets and what is in them.
#[derive(Debug, Clone)]
pub struct Storage {
    pub(crate) index: Index,
    pub(crate) places: Places,
    pub(crate) pins: Pins,
    secrets: Secrets,
    /// Keys and their buckets: what every request asks for.
    known: Arc<RwLock<Known>>,
    reaper: mpsc::UnboundedSender<Vec<ContentId>>,
}

#[derive(Debug, Default)]
struct Known {
    buckets: HashMap<String, Arc<Bucket>>,
    keys: HashMap<String, String>,
}

/// What of a bucket's settings is to change.
#[derive(Debug, Clone, Default)]
pub struct BucketChange {
    /// How much it may hold (bytes).
    pub quota: Option<Setting<u64>>,
    /// Whether anybody may read its objects.
    pub public_read: Option<bool>,
    /// Rules for browsers, as JSON.
    pub(crate) cors: Option<Setting<String>>,
    /// Tags, as JSON.
    pub(crate) tags: Option<Setting<String>>,
}

/// How many files of content there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Files {
    /// That objects or uploads under way consist of.
    pub known: u64,
    /// In all, those among them that are about to go.
    pub on_disk: u64,
}

/// What a setting becomes.
#[derive(Debug, Clone)]
pub enum Setting<T> {
    /// This.
    To(T),
    /// As if it had never been set.
    Unset,
}

impl<T> Setting<T> {
    fn value(self) -> Option<T> {
        match self {
            Self::To(value) => Some(value),
            Self::Unset => None,
        }
    }
}

impl Storage {
    /// Opens what is below a directory, and puts in order what a killed server left. Needs a
    /// runtime, in which files go that nothing needs any more.
    pub fn open(root: &Path) -> Result<Self> {
        std::fs::create_dir_all(root).map_err(|error| StorageError::file("make", root, error))?;
        let places = Places::open(root)?;
        let index = Index::open(&root.join("index.sqlite3"))?;
        let secrets = Secrets::open(root)?;
        let (reaper, doomed) = mpsc::unbounded_channel();
        let pins = Pins::new(places.clone(), reaper.clone());
        let known = Arc::default();
        let storage = Self { index, places, pins, secrets, known, reaper };
        storage.recover()?;
        storage.learn()?;
        tokio::spawn(reap(storage.index.clone(), storage.pins.clone(), doomed));
        tokio::spawn(storage.clone().forget_abandoned());
        Ok(storage)
    }

    /// What arrived and is in the index goes to its place, what is not is removed.
    fn recover(&self) -> Result<()> {
        for id in self.places.arrived()? {
            if self.index.read_now(|db| object::knows(db, id))? {
                self.places.settle(id);
            } else {
                self.places.remove(id);
            }
        }
        let doomed = self.index.read_now(object::doomed)?;
        // A key that cannot be told only means that the rows are removed at the next start.
        let _ = self.reaper.send(doomed);
        Ok(())
    }

    /// Reads keys and settings anew.
    fn learn(&self) -> Result<()> {
        let (buckets, keys) =
            self.index.read_now(|db| Ok((bucket::all(db)?, bucket::keys(db)?)))?;
        let buckets = buckets.into_iter().map(|one| (one.name.clone(), Arc::new(one))).collect();
        let known = Known { buckets, keys: keys.into_iter().collect() };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
        Ok(())
    }

    /// A bucket's settings; what it holds is as of some time ago.
    pub(crate) fn settings(&self, name: &str) -> Result<Arc<Bucket>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.buckets.get(name).cloned().ok_or_else(bucket::no_such_bucket)
    }

    /// The bucket that a key opens, if there is such a key.
    pub(crate) fn bucket_of_key(&self, name: &str) -> Option<String> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.keys.get(name).cloned()
    }

    /// The secret of a key.
    pub(crate) fn secret(&self, name: &str) -> String {
        self.secrets.of(name)
    }

    /// Changes the index; a file that arrived for it goes to its place, and files that nothing
    /// needs afterwards go, whether or not whoever asked still waits.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        arrived: Option<Arrived>,
        change: impl FnOnce(&Connection, &mut Vec<ContentId>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let reaper = self.reaper.clone();
        let change = move |db: &Connection| {
            let mut gone = Vec::new();
            change(db, &mut gone).map(|changed| (changed, gone))
        };
        let after = move |outcome: &mut Result<(T, Vec<ContentId>)>| match outcome {
            Ok((_, gone)) => {
                if let Some(arrived) = arrived {
                    arrived.settle();
                }
                if !gone.is_empty() {
                    // Without a reaper they go at the next start.
                    let _ = reaper.send(std::mem::take(gone));
                }
            }
            // What became of the commit is not known.
            Err(StorageError::Index { .. }) => {
                if let Some(arrived) = arrived {
                    arrived.leave();
                }
            }
            Err(_) => drop(arrived),
        };
        self.index.write(change, after).await.map(|(changed, _)| changed)
    }

    /// Makes a bucket with a key of its own.
    pub async fn create_bucket(&self, name: &str) -> Result<KeyPair> {
        if !s3s::path::check_bucket_name(name) {
            return Err(StorageError::refused(
                s3s::S3ErrorCode::InvalidBucketName,
                format!("{name} is no name for a bucket"),
            ));
        }
        let (now, owned) = (now(), name.to_owned());
        self.change(None, move |db, _| bucket::add(db, &owned, now)).await?;
        self.add_key(name).await
    }

    /// Another key for a bucket.
    pub async fn add_key(&self, bucket: &str) -> Result<KeyPair> {
        let pair = self.secrets.draw()?;
        let (name, bucket, now) = (pair.name.clone(), bucket.to_owned(), now());
        self.change(None, move |db, _| {
            let row = bucket::find(db, &bucket)?.ok_or_else(bucket::no_such_bucket)?;
            bucket::add_key(db, &name, row.id, now)
        })
        .await?;
        self.learn()?;
        Ok(pair)
    }

    /// Takes all keys of a bucket away but one, or all.
    pub async fn remove_keys(&self, bucket: &str, except: Option<&str>) -> Result<()> {
        let (bucket, except) = (bucket.to_owned(), except.map(str::to_owned));
        self.change(None, move |db, _| {
            let row = bucket::find(db, &bucket)?.ok_or_else(bucket::no_such_bucket)?;
            bucket::remove_keys(db, row.id, except.as_deref())
        })
        .await?;
        self.learn()
    }

    /// Changes a bucket's settings.
    pub async fn change_bucket(&self, name: &str, change: BucketChange) -> Result<()> {
        let name = name.to_owned();
        self.change(None, move |db, _| {
            let mut row = bucket::find(db, &name)?.ok_or_else(bucket::no_such_bucket)?;
            row.quota = change.quota.map_or(row.quota, Setting::value);
            row.public_read = change.public_read.unwrap_or(row.public_read);
            row.cors = change.cors.map_or(row.cors, Setting::value);
            row.tags = change.tags.map_or(row.tags, Setting::value);
            bucket::set(db, &row)
        })
        .await?;
        self.learn()
    }

    /// A bucket as it is now, with what it holds.
    pub async fn bucket(&self, name: &str) -> Result<Bucket> {
        let name = name.to_owned();
        let found = self.index.read(move |db| bucket::find(db, &name)).await?;
        found.ok_or_else(bucket::no_such_bucket)
    }

    /// All buckets.
    pub async fn buckets(&self) -> Result<Vec<Bucket>> {
        self.index.read(bucket::all).await
    }

    /// Removes a bucket, its keys, and all that is in it. One that is not there is removed.
    pub async fn destroy_bucket(&self, name: &str) -> Result<()> {
        let Ok(row) = self.bucket(name).await else { return Ok(()) };
        // Nobody gets in any more, so that it becomes empty.
        self.remove_keys(name, None).await?;
        let id = row.id;
        while !self.change(None, move |db, gone| empty_a_bit(db, id, gone)).await? {}
        self.change(None, move |db, _| bucket::remove(db, id)).await?;
        self.learn()
    }

    /// Files of content, for those who look after a storage.
    pub async fn files(&self) -> Result<Files> {
        let known = self.index.read(object::count_files).await?;
        let places = self.places.clone();
        let on_disk = tokio::task::spawn_blocking(move || places.count()).await;
        Ok(Files { known, on_disk: on_disk.map_err(|_| StorageError::Closed)?? })
    }

    async fn forget_abandoned(self) {
        let mut daily = tokio::time::interval(Duration::from_hours(24));
        loop {
            daily.tick().await;
            let before = now() - i64::try_from(ABANDONED.as_micros()).unwrap_or(i64::MAX);
            let removed = self.change(None, move |db, gone| {
                upload::older_than(db, before)?
                    .iter()
                    .try_for_each(|upload| upload::remove(db, upload, gone))
            });
            if let Err(error) = removed.await {
                tracing::warn!(%error, "abandoned uploads stay");
            }
        }
    }
}

/// Removes some of what is in a bucket, and says whether that was all.
fn empty_a_bit(db: &Connection, id: i64, gone: &mut Vec<ContentId>) -> Result<bool> {
    const AT_ONCE: usize = 500;
    let query = crate::index::list::Query { most: AT_ONCE, ..Default::default() };
    let page = crate::index::list::page(db, id, &query)?;
    for object in &page.objects {
        object::remove(db, id, object, gone)?;
    }
    let uploads = upload::list(db, id, (&[], ""), AT_ONCE)?;
    for upload in &uploads {
        upload::remove(db, upload, gone)?;
    }
    Ok(page.next.is_none() && uploads.len() < AT_ONCE)
}

/// Removes files, and then what says that they are to be removed.
async fn reap(index: Index, pins: Pins, mut doomed: mpsc::UnboundedReceiver<Vec<ContentId>>) {
    while let Some(mut ids) = doomed.recv().await {
        while ids.len() < REAPED_AT_ONCE
            && let Ok(more) = doomed.try_recv()
        {
            ids.extend(more);
        }
        if ids.is_empty() {
            continue;
        }
        let pins = pins.clone();
        let removed = tokio::task::spawn_blocking(move || pins.remove(&ids)).await;
        let removed = removed.map_err(|_| StorageError::Closed).flatten();
        let forgotten = match removed {
            Ok(ids) => index.write(move |db| object::undoom(db, &ids), |_| ()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = forgotten {
            tracing::warn!(%error, "files that nothing needs are left to the next start");
        }
    }
}

/// Microseconds since the epoch.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

impl BucketChange {
    /// Lets pages of any site use addresses and forms that are signed: without such a signature a
    /// browser gets nothing that anybody else would not get.
    pub fn open_to_browsers() -> Self {
        let cors = serde_json::to_string(&[crate::cors::Rule::open()]).ok().map(Setting::To);
        Self { cors, ..Self::default() }
    }
}
