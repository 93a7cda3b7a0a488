//! A bucket as the store's home: whatever S3 speaks to, shared by machines, and outliving them.
//!
//! The local directory stays the place that dynos run from. What is new in a slug goes to the bucket
//! before its release is written ([`Store::share`]); what a slug lacks here comes from there
//! ([`Store::fetch`]). In the bucket, below the prefix:
//!
//! - `packs/` holds what slugs are made of. Small objects and pages are put together, each of them
//!   squeezed by itself, so that one can be read without the others; a large object has a pack of
//!   its own.
//! - `indexes/` says what lies where in which pack ([`index`]).
//! - `slugs/` holds a record for each slug, which is written last ([`record`]).
//! - `owners/` says which machines need which slugs, so that the last one may remove them.
//!
//! Nothing in `packs/` and `indexes/` is ever changed. A name is never used again, so that whoever
//! removes a pack cannot hit another one that was just put there.

mod arrive;
mod cache;
mod check;
mod client;
mod collect;
mod copies;
mod crew;
mod fetch;
pub mod index;
mod large;
mod packing;
pub mod record;
mod repack;
mod settings;
mod trouble;
mod upload;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Runtime;

pub use self::check::Checked;
pub use self::collect::Collected;
pub use self::copies::InBucket;
pub use self::settings::{BucketSettings, Credentials, Keys, parse};
pub use self::trouble::{BucketError, Trouble};
pub use self::upload::Shared;

use self::cache::Cache;
use self::client::Client;
use crate::error::{Result, StoreError};
use crate::{Store, writing};

/// The way to one bucket. It has threads of its own, and must be used from threads that may block.
#[derive(Debug)]
pub struct Bucket {
    client: Arc<Client>,
    /// None only while it is dropped.
    runtime: Option<Runtime>,
    settings: BucketSettings,
}

impl Bucket {
    /// Prepares the way; nothing is asked of the bucket yet.
    pub fn open(settings: BucketSettings) -> std::result::Result<Self, BucketError> {
        let client = Arc::new(Client::new(&settings)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("bucket")
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| {
            client.error("start threads", "", Trouble::Settings(error.to_string()))
        })?;
        Ok(Self { client, runtime: Some(runtime), settings })
    }

    /// How it was configured.
    pub fn settings(&self) -> &BucketSettings {
        &self.settings
    }

    /// Whether it has done anything yet that it was asked for.
    pub fn has_answered(&self) -> bool {
        self.client.answered.load(Ordering::Relaxed)
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("only dropping takes the runtime")
    }

    fn wait<F: Future>(&self, future: F) -> F::Output {
        self.runtime().block_on(future)
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // It may be dropped where waiting for its threads is not allowed.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A store's bucket, and what is known of it here.
#[derive(Debug)]
pub(crate) struct Home {
    bucket: Arc<Bucket>,
    cache: Cache,
    /// Held while a slug is sent, and while slugs are given up.
    turn: std::sync::Mutex<()>,
}

impl Store {
    /// Gives the store a bucket as its home.
    pub fn with_bucket(mut self, bucket: impl Into<Arc<Bucket>>) -> Result<Self> {
        let bucket = bucket.into();
        let cache = Cache::open(self.layout.bucket(&bucket.settings.mark()))?;
        self.home = Some(Home { bucket, cache, turn: std::sync::Mutex::default() });
        Ok(self)
    }

    /// The store's bucket, if it has one.
    pub fn bucket(&self) -> Option<&Bucket> {
        self.home.as_ref().map(|home| &*home.bucket)
    }

    /// The directory `app` that holds a slug's files, for dynos to use as a read-only lower layer;
    /// nothing lies beside it. What is missing or damaged here comes from the bucket.
    ///
    /// The first call since the machine started checks every file against its hash, but for those
    /// that this process has checked for another slug; later ones check the manifest. Callers in
    /// any number of threads and processes may ask at once.
    pub fn checkout(&self, id: &slugline_model::slug::SlugId) -> Result<PathBuf> {
        self.with_what_the_bucket_has(id, || self.checkout_here(id))
    }

    /// The image of a slug's tree: an EROFS file system that holds `app` with all its names, and of
    /// each file the place of its object below [`Store::objects`], as an overlay with a data-only
    /// layer understands it. What is missing or damaged here comes from the bucket.
    ///
    /// Files are checked as for [`Store::checkout`], and the same callers may ask.
    pub fn image(&self, id: &slugline_model::slug::SlugId) -> Result<PathBuf> {
        self.with_what_the_bucket_has(id, || self.image_here(id))
    }

    fn with_what_the_bucket_has<T>(
        &self,
        id: &slugline_model::slug::SlugId,
        make: impl Fn() -> Result<T>,
    ) -> Result<T> {
        self.bring(id)?;
        match make() {
            Err(error) if self.home.is_some() && is_damage(&error) => {
                self.mend(id)?;
                make()
            }
            other => other,
        }
    }
}

/// Whether a good copy from elsewhere would help.
fn is_damage(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::DamagedManifest { .. }
            | StoreError::DamagedPage { .. }
            | StoreError::DamagedObject { .. }
            | StoreError::MissingObject { .. }
    )
}

/// Writes a file whole or not at all. It only saves time: it need not survive power loss.
fn write_small(path: &Path, content: &[u8]) -> Result<()> {
    let new = path.with_extension(format!("{}.new", std::process::id()));
    fs_err::write(&new, content).map_err(writing(&new))?;
    fs_err::rename(&new, path).map_err(writing(path))
}
