//! An app's bucket, as its config vars tell of it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::{ClientOptions, RetryConfig};

use slugline_model::network::OBJECT_HOST;

use super::error::StorageCommandError;
use crate::builds::App;
use crate::errors::CommandError;
use crate::objects::spelling::Access;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_mins(5);

/// How long it may take until a bucket is connected, and how long it may say nothing then.
const CONNECTED: Duration = Duration::from_secs(5);
const SILENT: Duration = Duration::from_mins(1);

/// A bucket and the key to it.
#[derive(Debug, Clone)]
pub(crate) struct AppBucket {
    pub(crate) s3: Arc<AmazonS3>,
    builder: AmazonS3Builder,
    pub(crate) name: String,
    /// What all the app's keys begin with, where the bucket is shared.
    pub(crate) prefix: String,
}

impl AppBucket {
    /// That of an attachment, or the app's only one.
    pub(crate) async fn of(app: &App, attachment: Option<&str>) -> Result<Self, CommandError> {
        let vars = app.client.get(&app.path("/config-vars")).await?;
        let vars: BTreeMap<String, String> = serde_json::from_value(vars).unwrap_or_default();
        let wanted = attachment.map(str::to_ascii_uppercase);
        let found = access_in(&vars, wanted.as_deref());
        let found = found.ok_or_else(|| StorageCommandError::NoBucket {
            app: app.name.to_string(),
            wanted,
            known: attachments(&vars),
        })?;
        Ok(Self::open(&found).map_err(|source| {
            let (operation, bucket) = ("sign in".to_owned(), found.bucket.clone());
            StorageCommandError::Bucket { operation, bucket, source }
        })?)
    }

    /// Of what opens it.
    pub(crate) fn open(found: &Access) -> object_store::Result<Self> {
        Self::open_with(found, Self::http)
    }

    /// The same for objects that take as long as they take.
    pub(crate) fn open_streaming(found: &Access) -> object_store::Result<Self> {
        Self::open_with(found, Self::streaming)
    }

    fn open_with(
        found: &Access,
        http: fn() -> reqwest::Result<reqwest::Client>,
    ) -> object_store::Result<Self> {
        // Another part of the program may have chosen already: then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&found.bucket)
            .with_region(&found.region)
            .with_access_key_id(&found.key)
            .with_secret_access_key(&found.secret)
            .with_allow_http(true)
            .with_http_connector(Loopback(http))
            .with_client_options(ClientOptions::new().with_timeout(PATIENCE))
            .with_retry(RetryConfig { max_retries: 4, ..RetryConfig::default() });
        if let Some(endpoint) = &found.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        Ok(Self {
            s3: Arc::new(builder.clone().build()?),
            builder,
            name: found.bucket.clone(),
            prefix: found.prefix.clone().unwrap_or_default(),
        })
    }

    /// What its requests go through.
    pub(crate) fn http() -> reqwest::Result<reqwest::Client> {
        Self::client().timeout(PATIENCE).build()
    }

    /// The same for answers that take as long as whoever reads them takes.
    pub(super) fn streaming() -> reqwest::Result<reqwest::Client> {
        Self::client().connect_timeout(CONNECTED).read_timeout(SILENT).build()
    }

    fn client() -> reqwest::ClientBuilder {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let none = reqwest::redirect::Policy::none();
        reqwest::Client::builder().resolve(OBJECT_HOST, here).redirect(none)
    }

    /// A client whose uploads in parts are of a media type.
    pub(crate) fn describing(&self, content_type: &str) -> object_store::Result<AmazonS3> {
        let options = ClientOptions::new().with_default_content_type(content_type);
        self.builder.clone().with_client_options(options).build()
    }

    /// An error with what was to be done.
    pub(crate) fn failed(&self, operation: String, source: object_store::Error) -> CommandError {
        StorageCommandError::Bucket { operation, bucket: self.name.clone(), source }.into()
    }
}

/// Attachments of buckets, by the config vars that they set.
fn attachments(vars: &BTreeMap<String, String>) -> Vec<String> {
    let of = |name: &String| match name.as_str() {
        "S3_BUCKET" => Some("S3".to_owned()),
        "BUCKETEER_BUCKET_NAME" => Some("BUCKETEER".to_owned()),
        "CLOUDCUBE_URL" => Some("CLOUDCUBE".to_owned()),
        other => Some(other.strip_suffix("_BUCKET")?.to_owned()),
    };
    let names = vars.keys().filter_map(of);
    names.filter(|name| find(vars, name).is_some()).collect()
}

/// What config vars say of the attachment that is meant, or of the only one, or of that with the
/// service's own names.
pub(crate) fn access_in(
    vars: &BTreeMap<String, String>,
    attachment: Option<&str>,
) -> Option<Access> {
    if let Some(name) = attachment {
        return find(vars, name);
    }
    match attachments(vars).as_slice() {
        [only] => find(vars, only),
        several => several.iter().find(|name| *name == "S3").and_then(|name| find(vars, name)),
    }
}

/// What an add-on's own values say.
pub(super) fn access_of(vars: &BTreeMap<String, String>) -> Option<Access> {
    attachments(vars).first().and_then(|name| find(vars, name))
}

/// What an attachment's config vars say: under the service's own names, Bucketeer's, Cloud Cube's, or
/// its own.
fn find(vars: &BTreeMap<String, String>, name: &str) -> Option<Access> {
    let var = |name: String| vars.get(&name).filter(|value| !value.is_empty()).cloned();
    if name == "CLOUDCUBE" {
        return cube(|name| var(name.to_owned()));
    }
    let (keys, bucket, others) = match name {
        "S3" => (String::new(), "S3_BUCKET".to_owned(), "S3".to_owned()),
        "BUCKETEER" => {
            ("BUCKETEER_".to_owned(), "BUCKETEER_BUCKET_NAME".to_owned(), "S3".to_owned())
        }
        other => (format!("{other}_"), format!("{other}_BUCKET"), other.to_owned()),
    };
    Some(Access {
        key: var(format!("{keys}AWS_ACCESS_KEY_ID"))?,
        secret: var(format!("{keys}AWS_SECRET_ACCESS_KEY"))?,
        bucket: var(bucket)?,
        region: var(format!("{keys}AWS_REGION")).unwrap_or_else(|| "us-east-1".to_owned()),
        endpoint: var(format!("{others}_ENDPOINT_URL")),
        prefix: var(format!("{others}_PREFIX")),
    })
}

/// Cloud Cube's address is the bucket's own host, and the directory that all keys begin with.
fn cube(var: impl Fn(&str) -> Option<String>) -> Option<Access> {
    let (url, endpoint) = (var("CLOUDCUBE_URL")?, var("S3_ENDPOINT_URL"));
    let (host, directory) = url.split_once("://")?.1.split_once('/')?;
    let server = endpoint.as_deref().and_then(|endpoint| Some(endpoint.split_once("://")?.1));
    let server = server.unwrap_or("s3.amazonaws.com").trim_end_matches('/');
    Some(Access {
        key: var("CLOUDCUBE_ACCESS_KEY_ID")?,
        secret: var("CLOUDCUBE_SECRET_ACCESS_KEY")?,
        bucket: host.strip_suffix(server)?.strip_suffix('.')?.to_owned(),
        region: "us-east-1".to_owned(),
        endpoint,
        prefix: Some(format!("{}/", directory.trim_matches('/'))),
    })
}

/// Connects to names below `localhost` on this machine, whose resolver may not know them
/// (RFC 6761, 6.3).
#[derive(Debug)]
struct Loopback(fn() -> reqwest::Result<reqwest::Client>);

impl HttpConnector for Loopback {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = (self.0)().map_err(|error| object_store::Error::Generic {
            store: "S3",
            source: Box::new(error),
        })?;
        Ok(HttpClient::new(client))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(prefix: &str, bucket: &str, endpoint: &str) -> BTreeMap<String, String> {
        let own = [("AWS_ACCESS_KEY_ID", "K"), ("AWS_SECRET_ACCESS_KEY", "S"), ("AWS_REGION", "r")];
        let own = own.map(|(name, value)| (format!("{prefix}{name}"), value.to_owned()));
        let at =
            [(bucket.to_owned(), "b".to_owned()), (endpoint.to_owned(), "http://s3".to_owned())];
        own.into_iter().chain(at).collect()
    }

    #[test]
    fn a_bucket_is_found_under_each_spelling() {
        for (name, vars) in [
            ("S3", vars("", "S3_BUCKET", "S3_ENDPOINT_URL")),
            ("MEDIA", vars("MEDIA_", "MEDIA_BUCKET", "MEDIA_ENDPOINT_URL")),
            ("BUCKETEER", vars("BUCKETEER_", "BUCKETEER_BUCKET_NAME", "S3_ENDPOINT_URL")),
        ] {
            assert_eq!(attachments(&vars), [name]);
            let found = find(&vars, name).unwrap();
            let told = (found.key.as_str(), found.bucket.as_str(), found.region.as_str());
            assert_eq!(told, ("K", "b", "r"));
            assert_eq!(found.endpoint.as_deref(), Some("http://s3"), "{name}");
        }
        let name = |name: &str| format!("CLOUDCUBE_{name}");
        let cube = [
            (name("ACCESS_KEY_ID"), "K"),
            (name("SECRET_ACCESS_KEY"), "S"),
            (name("URL"), "http://up.loads.s3.localhost:5080/cube"),
            ("S3_ENDPOINT_URL".to_owned(), "http://s3.localhost:5080"),
        ];
        let cube = cube.map(|(name, value)| (name, value.to_owned())).into_iter().collect();
        assert_eq!(attachments(&cube), ["CLOUDCUBE"]);
        let found = access_of(&cube).unwrap();
        let told = (found.key.as_str(), found.bucket.as_str(), found.prefix.as_deref());
        assert_eq!(told, ("K", "up.loads", Some("cube/")));
        let none = BTreeMap::from([("S3_BUCKET".to_owned(), "b".to_owned())]);
        assert!(attachments(&none).is_empty(), "there is no key to it");
    }
}
