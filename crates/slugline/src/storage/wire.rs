//! S3 as it goes over the wire, for keys that a path does not hold (`a//b`), and for what describes an
//! object: headers and tags are carried as they are.

mod xml;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, ETAG, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::HttpRequestBody;
use reqwest::Response;
use slugline_model::carry::Seen;

use super::bucket::AppBucket;
use crate::objects::spelling::Access;
use crate::slug_reading::encoded;

/// Requests that failed on the way are made this often in all.
const ATTEMPTS: u32 = 4;
/// Rest before the second attempt; it doubles.
const REST: Duration = Duration::from_millis(200);

/// Whom a list of grants names where anybody may read.
const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";

/// Why a bucket did not do as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// It answered so.
    #[error("{status} {code}: {message}")]
    Refused { status: StatusCode, code: String, message: String },
    /// It could not be asked.
    #[error("it does not answer: {0}")]
    Unreachable(#[from] reqwest::Error),
    /// What it was to be asked cannot be said.
    #[error("it cannot be asked: {0}")]
    Unsaid(String),
    /// Its answer makes no sense.
    #[error("its answer is not understood: {0}")]
    Strange(String),
}

impl WireError {
    pub(crate) fn is(&self, wanted: StatusCode) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == wanted)
    }

    /// Whether the server knows no grants, so that nobody but its own user reads anything.
    pub(crate) fn knows_no_grants(&self) -> bool {
        let codes = ["AccessControlListNotSupported", "NotImplemented"];
        matches!(self, Self::Refused { code, .. } if codes.contains(&code.as_str()))
    }

    fn may_pass(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                let for_good = [StatusCode::INSUFFICIENT_STORAGE, StatusCode::NOT_IMPLEMENTED];
                status.is_server_error() && !for_good.contains(status)
            }
            Self::Unreachable(_) => true,
            Self::Unsaid(_) | Self::Strange(_) => false,
        }
    }
}

/// Short for what a bucket answers.
pub(crate) type Result<T> = std::result::Result<T, WireError>;

/// One bucket.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    http: reqwest::Client,
    key: String,
    secret: String,
    region: String,
    /// The bucket's address, without a slash behind it.
    address: String,
    pub(crate) bucket: String,
    /// What all keys begin with.
    pub(crate) prefix: String,
}

impl Wire {
    pub(crate) fn open(access: &Access) -> Result<Self> {
        // Another part of the program may have chosen already: then that one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let amazon = || format!("https://s3.{}.amazonaws.com", access.region);
        let endpoint = access.endpoint.clone().unwrap_or_else(amazon);
        Ok(Self {
            http: AppBucket::http()?,
            key: access.key.clone(),
            secret: access.secret.clone(),
            region: access.region.clone(),
            address: format!("{}/{}", endpoint.trim_end_matches('/'), access.bucket),
            bucket: access.bucket.clone(),
            prefix: access.prefix.clone().unwrap_or_default(),
        })
    }

    /// The same for objects that are passed on as they come.
    pub(crate) fn streaming(access: &Access) -> Result<Self> {
        let opened = Self::open(access)?;
        Ok(Self { http: AppBucket::streaming()?, ..opened })
    }

    /// Asks once for an object of the app's, and gives whatever is answered.
    pub(crate) async fn fetch(
        &self,
        method: &Method,
        key: &str,
        headers: &HeaderMap,
    ) -> Result<Response> {
        let path = encoded(format!("{}{key}", self.prefix).as_bytes());
        self.send(method, &format!("{}/{path}", self.address), headers, Bytes::new()).await
    }

    /// Asks, several times where that may help. A key is the app's: without the prefix.
    pub(crate) async fn ask(
        &self,
        method: Method,
        key: Option<&str>,
        query: &[(&str, &str)],
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response> {
        let path = key.map(|key| encoded(format!("{}{key}", self.prefix).as_bytes()));
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value.as_bytes())))
            .collect();
        let mut url = format!("{}/{}", self.address, path.unwrap_or_default());
        if !query.is_empty() {
            url = format!("{url}?{}", query.join("&"));
        }
        let mut rest = REST;
        for attempt in 1.. {
            match self.ask_once(&method, &url, headers, body.clone()).await {
                Err(error) if attempt < ATTEMPTS && error.may_pass() => {
                    tokio::time::sleep(rest).await;
                    rest *= 2;
                }
                answered => return answered,
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn ask_once(
        &self,
        method: &Method,
        url: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response> {
        let answer = self.send(method, url, headers, body).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        let xml::Trouble { code, message } = xml::read(&text).unwrap_or_default();
        Err(WireError::Refused { status, code, message })
    }

    async fn send(
        &self,
        method: &Method,
        url: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response> {
        let unsaid = |error: &dyn std::fmt::Display| WireError::Unsaid(error.to_string());
        let request = http::Request::builder().method(method).uri(url);
        let mut request =
            request.body(HttpRequestBody::from(body.clone())).map_err(|error| unsaid(&error))?;
        *request.headers_mut() = headers.clone();
        let credential = AwsCredential {
            key_id: self.key.clone(),
            secret_key: self.secret.clone(),
            token: None,
        };
        let signer = AwsAuthorizer::new(&credential, "s3", &self.region);
        signer.try_authorize(&mut request, None).map_err(|error| unsaid(&error))?;
        let (mut head, _) = request.into_parts();
        // Ceph wants to be told that there is nothing.
        if body.is_empty() && (method == Method::PUT || method == Method::POST) {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let asked = self.http.request(method.clone(), url).headers(head.headers).body(body);
        Ok(asked.send().await?)
    }

    /// Every key that begins with the prefix, without it.
    pub(crate) async fn list(&self) -> Result<BTreeMap<String, Seen>> {
        let mut all = BTreeMap::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = vec![("encoding-type", "url"), ("list-type", "2")];
            if let Some(token) = &token {
                query.push(("continuation-token", token));
            }
            query.push(("prefix", &self.prefix));
            let page = self.ask(Method::GET, None, &query, &HeaderMap::new(), Bytes::new()).await?;
            let page: xml::Page = xml::read(&page.text().await?)?;
            for entry in page.contents {
                let key = xml::decoded(&entry.key);
                let Some(key) = key.strip_prefix(&self.prefix) else { continue };
                let seen = Seen { size: entry.size, tag: bare(&entry.e_tag) };
                all.insert(key.to_owned(), seen);
            }
            token = page.next_continuation_token;
            if !page.is_truncated || token.is_none() {
                return Ok(all);
            }
        }
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Response> {
        self.ask(Method::GET, Some(key), &[], &HeaderMap::new(), Bytes::new()).await
    }

    pub(crate) async fn put(&self, key: &str, headers: &HeaderMap, body: Bytes) -> Result<()> {
        self.ask(Method::PUT, Some(key), &[], headers, body).await.map(drop)
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<()> {
        let gone = self.ask(Method::DELETE, Some(key), &[], &HeaderMap::new(), Bytes::new()).await;
        match gone {
            Err(error) if error.is(StatusCode::NOT_FOUND) => Ok(()),
            gone => gone.map(drop),
        }
    }

    /// Whether anybody may read an object. Where a server does not say, nobody may.
    pub(crate) async fn is_public(&self, key: &str) -> bool {
        let path = encoded(format!("{}{key}", self.prefix).as_bytes());
        let (url, none) = (format!("{}/{path}?acl=", self.address), HeaderMap::new());
        let answer = self.ask_once(&Method::GET, &url, &none, Bytes::new()).await;
        let Ok(answer) = answer else { return false };
        answer.text().await.is_ok_and(|text| text.contains(EVERYBODY))
    }

    /// The tags of an object, as the header of a put has them.
    pub(crate) async fn tags(&self, key: &str) -> Result<Option<HeaderValue>> {
        let query = [("tagging", "")];
        let answer =
            self.ask(Method::GET, Some(key), &query, &HeaderMap::new(), Bytes::new()).await?;
        let tags: xml::Tagging = xml::read(&answer.text().await?)?;
        let pair = |tag: &xml::Tag| {
            let strict = |text: &str| encoded(text.as_bytes()).replace('/', "%2F");
            format!("{}={}", strict(&tag.key), strict(&tag.value))
        };
        let pairs: Vec<String> = tags.tag_set.tags.iter().map(pair).collect();
        Ok(HeaderValue::from_str(&pairs.join("&")).ok().filter(|value| !value.is_empty()))
    }

    /// Begins an upload in parts.
    pub(crate) async fn begin(&self, key: &str, headers: &HeaderMap) -> Result<String> {
        let query = [("uploads", "")];
        let answer = self.ask(Method::POST, Some(key), &query, headers, Bytes::new()).await?;
        let begun: xml::Begun = xml::read(&answer.text().await?)?;
        Ok(begun.upload_id)
    }

    /// Puts a part, counted from one, and gives its tag.
    pub(crate) async fn part(
        &self,
        key: &str,
        upload: &str,
        number: usize,
        body: Bytes,
    ) -> Result<String> {
        let number = number.to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", upload)];
        let answer = self.ask(Method::PUT, Some(key), &query, &HeaderMap::new(), body).await?;
        let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
        tag.map(bare).ok_or_else(|| WireError::Strange("a part without a tag".to_owned()))
    }

    /// Makes an object of parts.
    pub(crate) async fn complete(
        &self,
        key: &str,
        upload: &str,
        tags: &[String],
        headers: &HeaderMap,
    ) -> Result<()> {
        let part = |(at, tag): (usize, &String)| {
            let number = at + 1;
            format!("<Part><PartNumber>{number}</PartNumber><ETag>&quot;{tag}&quot;</ETag></Part>")
        };
        let parts = tags.iter().enumerate().map(part).collect::<Vec<_>>().concat();
        let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
        let query = [("uploadId", upload)];
        let answer = self.ask(Method::POST, Some(key), &query, headers, Bytes::from(body)).await?;
        // What went wrong late is said in an answer that began well.
        let (status, text) = (answer.status(), answer.text().await?);
        match xml::read::<xml::Trouble>(&text) {
            Ok(xml::Trouble { code, message }) if !code.is_empty() => {
                Err(WireError::Refused { status, code, message })
            }
            _ => Ok(()),
        }
    }

    /// Gives up what an earlier attempt left in parts.
    pub(crate) async fn abort_all(&self) -> Result<()> {
        let query = [("encoding-type", "url"), ("prefix", self.prefix.as_str()), ("uploads", "")];
        let answer = self.ask(Method::GET, None, &query, &HeaderMap::new(), Bytes::new()).await?;
        let uploads: xml::Uploads = xml::read(&answer.text().await?)?;
        for upload in uploads.uploads {
            let key = xml::decoded(&upload.key);
            let Some(key) = key.strip_prefix(&self.prefix) else { continue };
            self.abort(key, &upload.upload_id).await?;
        }
        Ok(())
    }

    pub(crate) async fn abort(&self, key: &str, upload: &str) -> Result<()> {
        let query = [("uploadId", upload)];
        let none = HeaderMap::new();
        self.ask(Method::DELETE, Some(key), &query, &none, Bytes::new()).await.map(drop)
    }
}

/// A tag without its quotes.
pub(crate) fn bare(tag: &str) -> String {
    tag.trim_matches('"').to_owned()
}

/// What describes an object and goes with it.
pub(crate) fn description(answer: &HeaderMap) -> HeaderMap {
    const KEPT: [&str; 6] = [
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    ];
    let is_kept = |name: &HeaderName| {
        KEPT.contains(&name.as_str()) || name.as_str().starts_with("x-amz-meta-")
    };
    let kept = answer.iter().filter(|(name, _)| is_kept(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}
