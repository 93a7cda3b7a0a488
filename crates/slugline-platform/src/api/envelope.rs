//! What every request and answer of the API has: an id, a version, an entity tag, and JSON where
//! something is wrong.

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use tracing::Instrument as _;
use uuid::Uuid;

use super::error::ApiError;

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");

/// The longest id of a request that is taken over (bytes). Clients add ids of earlier requests.
const LONGEST_ID: usize = 8_192;

/// Nothing that is tagged is larger (bytes): such answers are in memory already.
const TAGGED: usize = 64 << 20;

pub(super) async fn wrap(mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let span = tracing::error_span!("request", id = %id, path = request.uri().path());
    if let Ok(id) = HeaderValue::from_str(&id) {
        // The audit trail knows it too.
        request.headers_mut().insert(REQUEST_ID, id);
    }
    let mut response = answer(request, next).instrument(span).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

async fn answer(request: Request, next: Next) -> Response {
    if is_other_version(request.headers()) {
        return ApiError::not_acceptable().into_response();
    }
    let known = request.headers().get(IF_NONE_MATCH).cloned();
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let response = in_json(next.run(request).await);
    if is_read && response.status().is_success() && is_json(response.headers()) {
        return tagged(response, known.as_ref()).await;
    }
    response
}

/// The client's, where it is of use in a log, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let sent = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let sound = |id: &&str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_,. ".contains(&b);
        (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(allowed)
    };
    sent.filter(sound).map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

/// Whether a version of Heroku's API is asked for that this is not: `3`, `3.sdk` and nothing at all
/// are fine.
fn is_other_version(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let mut asked = accept.split(',').filter(|part| part.contains("application/vnd.heroku+json"));
    let version = |part: &str| {
        let mut parts = part.split(';').map(str::trim);
        parts.find_map(|part| part.strip_prefix("version=").map(str::to_owned))
    };
    let other = |version: String| version != "3" && !version.starts_with("3.");
    asked.next().and_then(version).is_some_and(other)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json"))
}

/// Heroku's clients read errors as JSON alone.
fn in_json(response: Response) -> Response {
    let status = response.status();
    let wrong = status.is_client_error() || status.is_server_error();
    // The rest of an output that has no rest is no error of the API's.
    let of_stream = status == StatusCode::RANGE_NOT_SATISFIABLE;
    if !wrong || of_stream || is_json(response.headers()) {
        return response;
    }
    ApiError::of_status(status).into_response()
}

/// With a tag of what is in it; without what is in it where the client has that.
async fn tagged(response: Response, known: Option<&HeaderValue>) -> Response {
    let (mut head, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, TAGGED).await else {
        return ApiError::internal().into_response();
    };
    let hash = blake3::hash(&bytes).to_hex();
    let tag = format!("\"{}\"", &hash[..32]);
    let is_known = known.and_then(|known| known.to_str().ok()).is_some_and(|known| {
        known
            .split(',')
            .map(str::trim)
            .any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    });
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        head.headers.insert(ETAG, tag);
    }
    if !is_known {
        return Response::from_parts(head, Body::from(bytes));
    }
    head.status = StatusCode::NOT_MODIFIED;
    head.headers.remove(CONTENT_LENGTH);
    head.headers.remove(CONTENT_TYPE);
    Response::from_parts(head, Body::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(accept: &str) -> bool {
        !is_other_version(&HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]))
    }

    #[test]
    fn version_3_and_whoever_does_not_say_are_answered() {
        for fine in [
            "application/vnd.heroku+json; version=3",
            "application/vnd.heroku+json; version=3.sdk",
            "application/vnd.heroku+json;version=3.webhooks, */*",
            "*/*",
            "application/json",
            "application/vnd.heroku+json",
            "text/event-stream",
        ] {
            assert!(accepting(fine), "{fine}");
        }
        for other in ["2", "4", "30", "edge"] {
            assert!(
                !accepting(&format!("application/vnd.heroku+json; version={other}")),
                "{other}"
            );
        }
    }

    #[test]
    fn a_requests_id_is_kept_where_a_log_can_take_it() {
        let of = |id: &str| {
            request_id(&HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_str(id).unwrap())]))
        };
        assert_eq!(of("a-1,b-2"), "a-1,b-2");
        assert_ne!(of("a\tb"), "a\tb");
        assert_eq!(request_id(&HeaderMap::new()).len(), 36);
    }
}
