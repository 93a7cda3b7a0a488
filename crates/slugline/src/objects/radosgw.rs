//! Buckets at Ceph's gateway, each with a user of its own, whose key opens nothing else: made and
//! removed through the gateway's admin API, by an operator whose user has the capability `users=*`.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use slugline_model::addon::ProviderError;
use slugline_store::bucket::BucketSettings;
use uuid::Uuid;

use super::spelling::Access;
use crate::storage::{Wire, WireError};

/// Pages of every site may use signed addresses, as with the embedded server.
const OPEN_TO_BROWSERS: &str = "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin>\
    <AllowedMethod>GET</AllowedMethod><AllowedMethod>HEAD</AllowedMethod>\
    <AllowedMethod>PUT</AllowedMethod><AllowedMethod>POST</AllowedMethod>\
    <AllowedMethod>DELETE</AllowedMethod><AllowedHeader>*</AllowedHeader>\
    <ExposeHeader>ETag</ExposeHeader></CORSRule></CORSConfiguration>";

/// The gateway, and what names of buckets begin with there.
#[derive(Debug, Clone)]
pub(super) struct Radosgw(pub(super) BucketSettings);

/// A user as the gateway tells of it.
#[derive(Deserialize)]
struct User {
    keys: Vec<Pair>,
}

#[derive(Deserialize)]
struct Pair {
    access_key: String,
    secret_key: String,
}

impl Radosgw {
    /// The name of an add-on's bucket, and of its user.
    fn name(&self, id: Uuid) -> String {
        format!("{}-{}", self.0.bucket, super::provider::bucket(id))
    }

    /// Makes the user and the bucket, or finds them.
    pub(super) async fn make(&self, id: Uuid) -> Result<Access, ProviderError> {
        let name = self.name(id);
        // It may make the one bucket.
        let query = [("display-name", name.as_str()), ("max-buckets", "1"), ("uid", &name)];
        match self.admin(Method::PUT, &query).await {
            Err(error) if error.is(StatusCode::CONFLICT) => {}
            made => drop(made.map_err(|error| refused("make a user", &error))?),
        }
        let access = self.access(id).await?;
        let (wire, none) = (open(&access)?, HeaderMap::new());
        let bucket = wire.ask(Method::PUT, None, &[], &none, Bytes::new()).await;
        bucket.map_err(|error| refused("make a bucket", &error))?;
        let rules = Bytes::from_static(OPEN_TO_BROWSERS.as_bytes());
        let opened = wire.ask(Method::PUT, None, &[("cors", "")], &none, rules).await;
        opened.map_err(|error| refused("let browsers at the bucket", &error))?;
        Ok(access)
    }

    /// What opens an add-on's bucket: the user's youngest key.
    pub(super) async fn access(&self, id: Uuid) -> Result<Access, ProviderError> {
        let name = self.name(id);
        let told = self.admin(Method::GET, &[("uid", &name)]).await;
        let told = told.map_err(|error| refused("look at a user", &error))?;
        let user: User = serde_json::from_slice(&told).map_err(failed)?;
        let no_key = || ProviderError::Refused(format!("The gateway's user {name} has no key"));
        let pair = user.keys.into_iter().next().ok_or_else(no_key)?;
        Ok(Access {
            key: pair.access_key,
            secret: pair.secret_key,
            region: self.0.region.clone(),
            bucket: name,
            endpoint: self.0.endpoint.clone(),
            prefix: None,
        })
    }

    /// Gives the user another key, and takes the one that it has away.
    pub(super) async fn rotate(&self, id: Uuid) -> Result<Access, ProviderError> {
        let (name, old) = (self.name(id), self.access(id).await?);
        let query = [("generate-key", "true"), ("key", ""), ("uid", name.as_str())];
        let made = self.admin(Method::PUT, &query).await;
        made.map_err(|error| refused("make a key", &error))?;
        let query = [("access-key", old.key.as_str()), ("key", ""), ("uid", &name)];
        let gone = self.admin(Method::DELETE, &query).await;
        gone.map_err(|error| refused("take a key away", &error))?;
        self.access(id).await
    }

    /// Removes the user with all that is its own.
    pub(super) async fn remove(&self, id: Uuid) -> Result<(), ProviderError> {
        let name = self.name(id);
        match self.admin(Method::DELETE, &[("purge-data", "true"), ("uid", &name)]).await {
            Err(error) if !error.is(StatusCode::NOT_FOUND) => Err(refused("remove a user", &error)),
            _ => Ok(()),
        }
    }

    async fn admin(&self, method: Method, query: &[(&str, &str)]) -> Result<Bytes, WireError> {
        let settings = &self.0;
        let unsaid = |error: String| WireError::Unsaid(error);
        let keys = settings.credentials.read().map_err(unsaid)?;
        let wire = Wire::open(&Access {
            key: keys.key_id,
            secret: keys.secret,
            region: settings.region.clone(),
            bucket: "admin".to_owned(),
            endpoint: settings.endpoint.clone(),
            prefix: None,
        })?;
        let query: Vec<_> = query.iter().copied().chain([("format", "json")]).collect();
        let answer =
            wire.ask(method, Some("user"), &query, &HeaderMap::new(), Bytes::new()).await?;
        Ok(answer.bytes().await?)
    }
}

fn open(access: &Access) -> Result<Wire, ProviderError> {
    Wire::open(access).map_err(failed)
}

fn failed<E: std::error::Error + Send + Sync + 'static>(error: E) -> ProviderError {
    ProviderError::Failed(Box::new(error))
}

fn refused(what: &str, error: &WireError) -> ProviderError {
    ProviderError::Refused(format!(
        "The gateway of [s3] in slugline.toml does not let Slugline {what}: {error}. Its operator's user \
         needs `radosgw-admin caps add --caps users=*`. Nothing was released."
    ))
}
