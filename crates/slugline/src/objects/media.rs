//! Uploads of apps for the router, out of whatever bucket their config vars open: objects as they are
//! where they are public, else an address in the bucket that is good for a short while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{FutureExt as _, TryStreamExt as _};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE,
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap,
    HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE, LAST_MODIFIED, LOCATION, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::Frame;
use object_store::path::Path as Key;
use object_store::signer::Signer as _;
use slugline_model::media::{is_active, media_type};
use slugline_platform::Platform;
use slugline_router::{AsideBody, Found, MediaSource, Wanted};

use super::spelling::Access;
use crate::storage::{AppBucket, Wire, access_in};

/// How long the address is good that a browser is sent to.
const SHORT: Duration = Duration::from_mins(1);
/// How long browsers may send themselves there again: less.
const SENT_AGAIN: &str = "private, max-age=30";
/// How long they may keep an object that says nothing itself. Then they ask by its tag.
const KEPT: &str = "public, max-age=300";
/// What is said in the bucket's answer and is the client's business, too.
const TOLD: [HeaderName; 9] = [
    ACCEPT_RANGES,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    ETAG,
    EXPIRES,
    LAST_MODIFIED,
];

/// A bucket, opened.
#[derive(Debug)]
struct Opened {
    access: Access,
    wire: Wire,
    bucket: AppBucket,
}

/// Buckets that were opened, by app and attachment.
type Kept = Mutex<HashMap<String, Arc<Opened>>>;

/// What the router is told.
pub(crate) fn source(platform: Platform) -> MediaSource {
    let kept = Arc::new(Kept::default());
    Arc::new(move |wanted| {
        let (platform, kept) = (platform.clone(), Arc::clone(&kept));
        async move {
            let app = wanted.app.clone();
            find(platform, kept, wanted).await.unwrap_or_else(|why| {
                tracing::warn!(%app, why, "uploads cannot be answered from the bucket");
                Found::Unreachable
            })
        }
        .boxed()
    })
}

async fn find(platform: Platform, kept: Arc<Kept>, wanted: Wanted) -> Result<Found, String> {
    let (app, named) = (wanted.app.clone(), wanted.rule.bucket.clone());
    let opened = tokio::task::spawn_blocking(move || {
        let vars = platform.vars_of(&app).unwrap_or_default();
        let access = access_in(&vars, named.as_deref());
        let access = access.ok_or_else(|| "the app's config vars open no bucket".to_owned())?;
        open(&kept, format!("{app} {}", named.unwrap_or_default()), access)
    });
    let opened = opened.await.map_err(text)??;
    if wanted.rule.public {
        answer(&opened, wanted).await
    } else {
        send_there(&opened, wanted).await
    }
}

/// The bucket as it was opened before, if the app's key is the same.
fn open(kept: &Kept, name: String, access: Access) -> Result<Arc<Opened>, String> {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(opened) = kept.get(&name).filter(|opened| opened.access == access) {
        return Ok(Arc::clone(opened));
    }
    let bucket = AppBucket::open(&access).map_err(text)?;
    let wire = Wire::streaming(&access).map_err(text)?;
    let opened = Arc::new(Opened { access, wire, bucket });
    kept.insert(name, Arc::clone(&opened));
    Ok(opened)
}

/// The object itself.
async fn answer(opened: &Opened, wanted: Wanted) -> Result<Found, String> {
    let Wanted { key, method, headers, .. } = wanted;
    let mut asked = asked(&headers);
    let got = opened.wire.fetch(&method, &key, &asked).await.map_err(text)?;
    let got = if got.status() == StatusCode::PRECONDITION_FAILED && headers.contains_key(IF_RANGE) {
        // It is another one meanwhile: all of it.
        for condition in [IF_MATCH, IF_UNMODIFIED_SINCE, RANGE] {
            asked.remove(condition);
        }
        opened.wire.fetch(&method, &key, &asked).await.map_err(text)?
    } else {
        got
    };
    match got.status() {
        StatusCode::NOT_FOUND => Ok(Found::NotThere),
        StatusCode::OK
        | StatusCode::PARTIAL_CONTENT
        | StatusCode::NOT_MODIFIED
        | StatusCode::PRECONDITION_FAILED
        | StatusCode::RANGE_NOT_SATISFIABLE => Ok(Found::Answer(told(got, &key, &method))),
        status => Err(format!("the bucket answers {status}")),
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What of a client's headers is the bucket's business. S3 knows no `If-Range`, and conditions that
/// say the same.
fn asked(headers: &HeaderMap) -> HeaderMap {
    let names = [RANGE, IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE];
    let kept = names.into_iter().filter_map(|name| {
        let value = headers.get(&name)?.clone();
        Some((name, value))
    });
    let mut asked: HeaderMap = kept.collect();
    if let (Some(condition), true) = (headers.get(IF_RANGE), asked.contains_key(RANGE)) {
        let is_tag = condition.as_bytes().starts_with(b"\"");
        let name = if is_tag { IF_MATCH } else { IF_UNMODIFIED_SINCE };
        asked.entry(name).or_insert_with(|| condition.clone());
    }
    asked
}

/// The bucket's answer as the app's own. What people have uploaded is not run as the app's.
fn told(got: reqwest::Response, key: &str, method: &Method) -> Response<AsideBody> {
    let (status, theirs) = (got.status(), got.headers().clone());
    let has_object = status.is_success();
    let is_empty = !has_object || *method == Method::HEAD;
    let mut answer = Response::new(if is_empty { empty() } else { body(got) });
    *answer.status_mut() = status;
    let ours = answer.headers_mut();
    for name in TOLD {
        // The length of what S3 says about an error is of no use.
        let is_of_error = !has_object && name == CONTENT_LENGTH;
        if let Some(value) = theirs.get(&name).filter(|_| !is_of_error) {
            ours.insert(name, value.clone());
        }
    }
    let cache = theirs.get(CACHE_CONTROL).cloned();
    ours.insert(CACHE_CONTROL, cache.unwrap_or(HeaderValue::from_static(KEPT)));
    if has_object {
        let kind = theirs.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = media_type(kind, key);
        if is_active(&kind) {
            ours.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
        }
        if let Ok(kind) = HeaderValue::from_str(&kind) {
            ours.insert(CONTENT_TYPE, kind);
        }
        ours.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    }
    answer
}

fn body(got: reqwest::Response) -> AsideBody {
    let frames = got.bytes_stream().map_ok(Frame::data).map_err(Into::into);
    StreamBody::new(frames).boxed_unsync()
}

fn empty() -> AsideBody {
    Empty::new().map_err(|none| match none {}).boxed_unsync()
}

/// Sends the browser to the bucket, with a signature.
async fn send_there(opened: &Opened, wanted: Wanted) -> Result<Found, String> {
    let none = HeaderMap::new();
    let there = opened.wire.fetch(&Method::HEAD, &wanted.key, &none).await.map_err(text)?;
    match there.status() {
        StatusCode::NOT_FOUND => return Ok(Found::NotThere),
        StatusCode::OK => {}
        status => return Err(format!("the bucket answers {status}")),
    }
    let key = format!("{}{}", opened.bucket.prefix, wanted.key);
    let key = Key::parse(&key).map_err(text)?;
    let url = opened.bucket.s3.signed_url(wanted.method, &key, SHORT).await;
    let url = url.map_err(text)?;
    let location = HeaderValue::from_str(url.as_str()).map_err(text)?;
    let mut answer = Response::new(empty());
    *answer.status_mut() = StatusCode::FOUND;
    answer.headers_mut().insert(LOCATION, location);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(SENT_AGAIN));
    answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    Ok(Found::Answer(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(HeaderName, &'static str)| {
            (name.clone(), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_range_of_what_is_still_the_same_is_asked_by_conditions_that_s3_knows() {
        let by_tag = headers(&[(RANGE, "bytes=0-1"), (IF_RANGE, "\"t\"")]);
        assert_eq!(asked(&by_tag), headers(&[(RANGE, "bytes=0-1"), (IF_MATCH, "\"t\"")]));
        let time = "Sun, 06 Nov 1994 08:49:37 GMT";
        let by_time = headers(&[(RANGE, "bytes=0-1"), (IF_RANGE, time)]);
        assert_eq!(asked(&by_time)[IF_UNMODIFIED_SINCE], time);
        assert!(
            asked(&headers(&[(IF_RANGE, "\"t\"")])).is_empty(),
            "without a range it says nothing"
        );
    }

    #[test]
    fn nothing_of_the_apps_own_goes_to_the_bucket() {
        let cookie = headers(&[(http::header::COOKIE, "session=1"), (IF_NONE_MATCH, "\"t\"")]);
        assert_eq!(asked(&cookie), headers(&[(IF_NONE_MATCH, "\"t\"")]));
    }
}
