//! One bucket's requests, each bounded in time and in memory, and tried again with patience.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, GetOptions, GetRange, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, RetryConfig,
};

use crate::bucket::settings::BucketSettings;
use crate::bucket::trouble::{BucketError, Trouble};

/// How often something is asked for that comes damaged.
pub(crate) const ATTEMPTS: usize = 3;

/// Short for a result of the bucket.
pub(crate) type Result<T> = std::result::Result<T, BucketError>;

/// Speaks to one bucket, below one prefix.
#[derive(Debug)]
pub(crate) struct Client {
    s3: AmazonS3,
    prefix: String,
    shown: String,
    /// Whether anything was ever written there.
    pub(super) answered: AtomicBool,
}

impl Client {
    pub(crate) fn new(settings: &BucketSettings) -> Result<Self> {
        let shown = settings.shown();
        let wrong = |trouble| BucketError {
            operation: "sign in".to_owned(),
            bucket: shown.clone(),
            trouble,
        };
        // Another part of the program may have chosen already: then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let credentials =
            settings.credentials.read().map_err(|why| wrong(Trouble::Credentials(why)))?;
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&settings.bucket)
            .with_region(&settings.region)
            .with_virtual_hosted_style_request(!settings.path_style)
            .with_access_key_id(credentials.key_id)
            .with_secret_access_key(credentials.secret)
            // Not every server knows how to remove many at once.
            .with_disable_bulk_delete(true)
            .with_client_options(options(settings))
            .with_retry(retry(settings));
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(settings.endpoint_of_bucket(endpoint));
        }
        if let Some(token) = credentials.session_token {
            builder = builder.with_token(token);
        }
        let s3 = builder.build().map_err(|error| wrong(Trouble::Settings(error.to_string())))?;
        Ok(Self { s3, prefix: settings.prefix.clone(), shown, answered: AtomicBool::new(false) })
    }

    /// A whole object of at most so many bytes.
    pub(crate) async fn get(&self, name: &str, most: u64) -> Result<Bytes> {
        self.get_sensible(name, None, most).await
    }

    /// A part of an object.
    pub(crate) async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes> {
        let most = range.end - range.start;
        self.get_sensible(name, Some(range), most).await
    }

    /// Asks a few times where what comes makes no sense: somebody on the way may have answered.
    async fn get_sensible(
        &self,
        name: &str,
        range: Option<Range<u64>>,
        most: u64,
    ) -> Result<Bytes> {
        for _ in 1..ATTEMPTS {
            match self.get_once(name, range.clone(), most).await {
                Err(BucketError { trouble: Trouble::Damaged | Trouble::Strange(_), .. }) => {}
                other => return other,
            }
        }
        self.get_once(name, range, most).await
    }

    async fn get_once(&self, name: &str, range: Option<Range<u64>>, most: u64) -> Result<Bytes> {
        let options =
            GetOptions { range: range.clone().map(GetRange::Bounded), ..GetOptions::default() };
        let result = self.s3.get_opts(&self.path(name), options).await;
        let result = result.map_err(|error| self.failed("read", name, &error))?;
        let size = result.range.end - result.range.start;
        if size > most || range.is_some_and(|range| range != result.range) {
            return Err(self.error("read", name, Trouble::Damaged));
        }
        self.collect(name, result, size).await
    }

    /// Reads a body that says that it has so many bytes, and no more than those.
    async fn collect(
        &self,
        name: &str,
        result: object_store::GetResult,
        size: u64,
    ) -> Result<Bytes> {
        // It is of a bounded size: growing bit by bit would take up to three times as much.
        let mut bytes = BytesMut::with_capacity(usize::try_from(size).unwrap_or(0));
        let mut body = result.into_stream();
        while let Some(chunk) = body.next().await {
            bytes.extend_from_slice(&chunk.map_err(|error| self.failed("read", name, &error))?);
            if bytes.len() as u64 > size {
                break;
            }
        }
        if bytes.len() as u64 == size {
            Ok(bytes.freeze())
        } else {
            Err(self.error("read", name, Trouble::Damaged))
        }
    }

    pub(crate) async fn put(&self, name: &str, content: Bytes) -> Result<()> {
        let put = self.s3.put(&self.path(name), content.into()).await;
        put.map_err(|error| self.failed("write", name, &error))?;
        self.answered.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Whether there is an object of this name, and how the bucket describes it.
    pub(crate) async fn head(&self, name: &str) -> Result<Option<ObjectMeta>> {
        match self.s3.head(&self.path(name)).await {
            Ok(meta) => Ok(Some(meta)),
            Err(error) => match Trouble::of(&error) {
                Trouble::Missing => Ok(None),
                trouble => Err(self.error("look for", name, trouble)),
            },
        }
    }

    /// What lies in a directory: the names in it, with what the bucket says of them.
    pub(crate) async fn list(&self, directory: &str) -> Result<Vec<(String, ObjectMeta)>> {
        let prefix = self.path(directory);
        let listed = self.s3.list(Some(&prefix)).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|error| self.failed("list", directory, &error))?;
        let named = listed.into_iter().filter_map(|meta| {
            let name = meta.location.filename()?.to_owned();
            (meta.location == self.path(&format!("{directory}/{name}"))).then_some((name, meta))
        });
        Ok(named.collect())
    }

    /// Removes an object. One that is not there is none to remove.
    pub(crate) async fn delete(&self, name: &str) -> Result<()> {
        match self.s3.delete(&self.path(name)).await {
            Ok(()) => Ok(()),
            Err(error) => match Trouble::of(&error) {
                Trouble::Missing => Ok(()),
                trouble => Err(self.error("remove", name, trouble)),
            },
        }
    }

    /// Starts an object that comes in parts.
    pub(crate) async fn start(&self, name: &str) -> Result<String> {
        let started = self.s3.create_multipart(&self.path(name)).await;
        started.map_err(|error| self.failed("start", name, &error))
    }

    /// Puts one part, counted from zero, and says by what the bucket knows it.
    pub(crate) async fn put_part(
        &self,
        name: &str,
        upload: &str,
        part: usize,
        content: Bytes,
    ) -> Result<String> {
        let upload = upload.to_owned();
        let put = self.s3.put_part(&self.path(name), &upload, part, content.into()).await;
        put.map(|part| part.content_id).map_err(|error| self.failed("write", name, &error))
    }

    /// Makes an object of its parts.
    pub(crate) async fn finish(&self, name: &str, upload: &str, parts: Vec<String>) -> Result<()> {
        let parts = parts.into_iter().map(|content_id| PartId { content_id }).collect();
        let done = self.s3.complete_multipart(&self.path(name), &upload.to_owned(), parts).await;
        done.map(drop).map_err(|error| self.failed("finish", name, &error))
    }

    pub(crate) fn error(&self, what: &str, name: &str, trouble: Trouble) -> BucketError {
        BucketError { operation: format!("{what} {name}"), bucket: self.shown.clone(), trouble }
    }

    fn failed(&self, what: &str, name: &str, error: &object_store::Error) -> BucketError {
        self.error(what, name, Trouble::of(error))
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }
}

fn options(settings: &BucketSettings) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(true)
        .with_connect_timeout(settings.patience.min(Duration::from_secs(10)))
        .with_timeout(settings.patience)
        .with_pool_max_idle_per_host(super::crew::WIDTH)
}

fn retry(settings: &BucketSettings) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: settings.patience.min(Duration::from_secs(10)),
            base: 2.0,
        },
        max_retries: settings.retries,
        retry_timeout: settings.patience * 2,
    }
}
