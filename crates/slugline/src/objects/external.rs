//! The plan `external`: a part of a bucket that the operator has somewhere, checked before anything
//! is released.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use http::Method;
use object_store::aws::AmazonS3;
use object_store::path::Path as Key;
use object_store::signer::Signer as _;
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutPayload};
use slugline_model::addon::ProviderError;
use slugline_model::size::{self, files};
use slugline_store::bucket::BucketSettings;
use uuid::Uuid;

use super::spelling::Access;
use crate::storage::AppBucket;

/// The plan of parts of the operator's bucket.
pub(super) const EXTERNAL: &str = "external";

/// How long a signed address of the check is good.
const SOON: Duration = Duration::from_mins(1);
/// What the check puts, under a name of its own.
const CHECKED: &[u8] = b"Slugline was here, and removes this.";

/// The operator's bucket.
#[derive(Debug, Clone)]
pub(super) struct External(pub(super) BucketSettings);

impl External {
    /// What an add-on gets: everything below a prefix of its own.
    pub(super) fn access(&self, id: Uuid) -> Result<Access, ProviderError> {
        let settings = &self.0;
        let keys = settings.credentials.read().map_err(|found| {
            ProviderError::Refused(format!("The operator's credentials cannot be read: {found}"))
        })?;
        let slash = if settings.prefix.is_empty() { "" } else { "/" };
        Ok(Access {
            key: keys.key_id,
            secret: keys.secret,
            region: settings.region.clone(),
            bucket: settings.bucket.clone(),
            endpoint: settings.endpoint.clone(),
            prefix: Some(format!("{}{slash}{}/", settings.prefix, super::provider::bucket(id))),
        })
    }

    fn open(access: &Access) -> Result<AppBucket, ProviderError> {
        AppBucket::open(access).map_err(|error| ProviderError::Failed(Box::new(error)))
    }

    /// Does with the bucket what apps do: write, read, list, sign, delete. Says what browsers may do.
    pub(super) async fn check(access: &Access) -> Result<String, ProviderError> {
        let bucket = Self::open(access)?;
        let key = Key::from(format!("{}.slugline-{}", bucket.prefix, Uuid::new_v4().simple()));
        let checked = Self::try_out(&bucket.s3, &key).await;
        // It may never have got there.
        let removed = bucket.s3.delete(&key).await;
        let checked = checked.and_then(|told| removed.map(|()| told).map_err(cannot("delete")));
        checked.map_err(|why| {
            ProviderError::Refused(format!(
                "The bucket {} of [s3] in slugline.toml cannot be used: {why}. Nothing was released.",
                access.bucket
            ))
        })
    }

    async fn try_out(s3: &AmazonS3, key: &Key) -> Result<String, String> {
        s3.put(key, PutPayload::from_static(CHECKED)).await.map_err(cannot("write"))?;
        let got = s3.get(key).await.map_err(cannot("read"))?.bytes().await;
        if got.map_err(cannot("read"))? != CHECKED {
            return Err("it reads otherwise than it was written".to_owned());
        }
        let listed: Vec<_> = s3.list(Some(key)).try_collect().await.map_err(cannot("list"))?;
        let directory = key.as_ref().rsplit_once('/').map(|(directory, _)| Key::from(directory));
        let in_directory = s3.list(directory.as_ref()).try_collect::<Vec<_>>().await;
        let in_directory = in_directory.map_err(cannot("list"))?;
        if !listed.iter().chain(&in_directory).any(|one| one.location == *key) {
            return Err("what is written does not show in lists".to_owned());
        }
        let signed = s3.signed_url(Method::GET, key, SOON).await.map_err(cannot("sign for"))?;
        let client = AppBucket::http().map_err(cannot("reach"))?;
        let got =
            client.get(signed.clone()).send().await.map_err(cannot("get by a signed address"))?;
        if !got.status().is_success() {
            return Err(format!("a signed address answers {}", got.status()));
        }
        let ask = client
            .request(Method::OPTIONS, signed)
            .header("Origin", "http://app.localhost")
            .header("Access-Control-Request-Method", "PUT");
        let open = ask.send().await.is_ok_and(|answer| answer.status().is_success());
        Ok(if open {
            "Browsers may use signed addresses.".to_owned()
        } else {
            "The bucket has no CORS rule by which a page may put with a signed address; apps that let \
             browsers upload need one."
                .to_owned()
        })
    }

    /// What would be lost.
    pub(super) async fn held(access: &Access) -> Result<Option<String>, ProviderError> {
        let bucket = Self::open(access)?;
        let prefix = Key::from(bucket.prefix.trim_end_matches('/'));
        let listed: Vec<_> = bucket.s3.list(Some(&prefix)).try_collect().await.map_err(failed)?;
        let bytes = listed.iter().map(|object| object.size).sum();
        let count = listed.len() as u64;
        Ok((count > 0).then(|| format!("{}, {}", files(count), size::human(bytes))))
    }

    /// Removes everything below the prefix.
    pub(super) async fn empty(access: &Access) -> Result<(), ProviderError> {
        let bucket = Self::open(access)?;
        let prefix = Key::from(bucket.prefix.trim_end_matches('/'));
        let listed = bucket.s3.list(Some(&prefix)).map_ok(|object| object.location).boxed();
        bucket.s3.delete_stream(listed).try_collect::<Vec<_>>().await.map(drop).map_err(failed)
    }
}

fn failed(error: object_store::Error) -> ProviderError {
    ProviderError::Failed(Box::new(error))
}

fn cannot<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> String {
    move |error| format!("cannot {what}: {error}")
}
