//! A request's response: the decision is the model's, the headers and bytes are made here.

use std::convert::Infallible;
use std::io;
use std::time::{Duration, SystemTime};

use futures_util::stream;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Bytes, Frame};
use slugline_model::static_site::{Answer, Request, answer, content_type};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::Site;
use super::files::Found;

/// What is sent; an error cuts the connection, as the length is already said.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// How much of a file is read at a time.
const CHUNK: usize = 64 * 1024;

/// Compressed neighbours, best first.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// Answers one request.
pub(crate) async fn respond(
    site: &Site,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Response<Body> {
    let mut response = if matches!(*method, Method::GET | Method::HEAD) {
        decide(site, uri, headers).await
    } else {
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        response
    };
    add_own_headers(site, uri.path(), response.headers_mut());
    if *method == Method::HEAD {
        *response.body_mut() = empty();
    }
    response
}

async fn decide(site: &Site, uri: &Uri, headers: &HeaderMap) -> Response<Body> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let request = Request {
        path: uri.path(),
        query: uri.query(),
        host: text("host").unwrap_or_default(),
        scheme: text("x-forwarded-proto").unwrap_or_default(),
    };
    match answer(&site.says, &request, &|path| site.files.kind(path)) {
        Answer::File { path, status } => match file(site, &path, status, headers).await {
            Ok(response) => response,
            Err(error) if error.kind() == io::ErrorKind::NotFound => plain(StatusCode::NOT_FOUND),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR),
        },
        Answer::Redirect { location, status } => redirect(&location, status),
        Answer::NotFound => plain(StatusCode::NOT_FOUND),
        Answer::Malformed => plain(StatusCode::BAD_REQUEST),
    }
}

async fn file(
    site: &Site,
    path: &str,
    status: u16,
    headers: &HeaderMap,
) -> io::Result<Response<Body>> {
    let (found, encoding) = variant(site, path, headers)?;
    let mut response = Response::new(empty());
    let out = response.headers_mut();
    insert(out, header::CONTENT_TYPE, &content_type(path, &site.says.encoding));
    insert(out, header::ETAG, &found.tag);
    insert(out, header::LAST_MODIFIED, &http_date(found.modified));
    insert(out, header::ACCEPT_RANGES, "bytes");
    if let Some(encoding) = encoding {
        insert(out, header::CONTENT_ENCODING, encoding);
    }
    if has_variants(site, path) {
        insert(out, header::VARY, "Accept-Encoding");
    }
    if status != 200 {
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND);
        return with_bytes(response, &found, 0, found.length).await;
    }
    if is_unchanged(headers, &found) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    match range(headers, &found) {
        Wanted::All => with_bytes(response, &found, 0, found.length).await,
        Wanted::Part { first, length } => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let last = first + length - 1;
            let part = format!("bytes {first}-{last}/{}", found.length);
            insert(response.headers_mut(), header::CONTENT_RANGE, &part);
            with_bytes(response, &found, first, length).await
        }
        Wanted::Impossible => {
            let mut response = plain(StatusCode::RANGE_NOT_SATISFIABLE);
            let all = format!("bytes */{}", found.length);
            insert(response.headers_mut(), header::CONTENT_RANGE, &all);
            Ok(response)
        }
    }
}

/// The file itself, or its compressed neighbour if the client takes that.
fn variant(
    site: &Site,
    path: &str,
    headers: &HeaderMap,
) -> io::Result<(Found, Option<&'static str>)> {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let accepts = |name: &str| accepts(accepted.unwrap_or_default(), name);
    for (encoding, end) in ENCODINGS.into_iter().filter(|(encoding, _)| accepts(encoding)) {
        if let Ok(found) = site.files.find(&format!("{path}{end}")) {
            return Ok((found, Some(encoding)));
        }
    }
    Ok((site.files.find(path)?, None))
}

fn has_variants(site: &Site, path: &str) -> bool {
    ENCODINGS.iter().any(|(_, end)| site.files.kind(&format!("{path}{end}")).is_some())
}

/// `gzip;q=0.5, br;q=0`
fn accepts(header: &str, encoding: &str) -> bool {
    header.split(',').any(|part| {
        let (name, parameters) = part.split_once(';').unwrap_or((part, ""));
        let refused = parameters.trim().strip_prefix("q=").and_then(|q| q.trim().parse().ok());
        name.trim().eq_ignore_ascii_case(encoding) && refused != Some(0.0_f32)
    })
}

/// Whether the client has it already. A tag says so for sure, so that a time is not asked then.
fn is_unchanged(headers: &HeaderMap, found: &Found) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(tags) = text(header::IF_NONE_MATCH) {
        return tags
            .split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == found.tag);
    }
    let since = text(header::IF_MODIFIED_SINCE).and_then(parse_http_date);
    since.is_some_and(|since| found.modified < since + Duration::from_secs(1))
}

enum Wanted {
    All,
    Part { first: u64, length: u64 },
    Impossible,
}

/// One range; of several, or of what is no range, the whole file is the answer that the standard
/// allows.
fn range(headers: &HeaderMap, found: &Found) -> Wanted {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let condition = text(header::IF_RANGE);
    let holds = condition.is_none_or(|value| {
        value == found.tag
            || parse_http_date(value).is_some_and(|at| found.modified < at + Duration::from_secs(1))
    });
    let asked =
        text(header::RANGE).filter(|_| holds).and_then(|value| value.strip_prefix("bytes="));
    let Some((first, last)) = asked.and_then(|value| value.trim().split_once('-')) else {
        return Wanted::All;
    };
    let number = |text: &str| text.trim().parse::<u64>();
    let (first, end) = match (number(first), number(last)) {
        (Ok(first), Ok(last)) if first <= last => (first, found.length.min(last.saturating_add(1))),
        (Ok(first), Err(_)) if last.trim().is_empty() => (first, found.length),
        (Err(_), Ok(suffix)) if first.trim().is_empty() => {
            (found.length.saturating_sub(suffix), if suffix == 0 { 0 } else { found.length })
        }
        _ => return Wanted::All,
    };
    if first < end { Wanted::Part { first, length: end - first } } else { Wanted::Impossible }
}

async fn with_bytes(
    mut response: Response<Body>,
    found: &Found,
    first: u64,
    length: u64,
) -> io::Result<Response<Body>> {
    let mut file = tokio::fs::File::open(&found.path).await?;
    file.seek(io::SeekFrom::Start(first)).await?;
    let chunks = stream::try_unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let mut chunk = vec![0; most];
        let read = file.read(&mut chunk).await?;
        if read == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        chunk.truncate(read);
        Ok(Some((Frame::data(Bytes::from(chunk)), (file, left - read as u64))))
    });
    insert(response.headers_mut(), header::CONTENT_LENGTH, &length.to_string());
    *response.body_mut() = StreamBody::new(chunks).boxed_unsync();
    Ok(response)
}

fn redirect(location: &str, status: u16) -> Response<Body> {
    let mut response = plain(StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND));
    insert(response.headers_mut(), header::LOCATION, location);
    response
}

/// A response that says no more than its status.
fn plain(status: StatusCode) -> Response<Body> {
    let text = format!("{} {}\n", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    insert(headers, header::CONTENT_TYPE, "text/plain; charset=UTF-8");
    insert(headers, header::CONTENT_LENGTH, &text.len().to_string());
    *response.body_mut() = full(text.into());
    response
}

/// Those of static.json: of the patterns that match, the last.
fn add_own_headers(site: &Site, path: &str, headers: &mut HeaderMap) {
    let Some((_, own)) = site.says.headers.iter().rfind(|(glob, _)| glob.matches(path)) else {
        return;
    };
    for (name, value) in own {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            headers.insert(name, value);
        }
    }
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        headers.insert(name, value);
    }
}

fn empty() -> Body {
    full(Bytes::new())
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
const HTTP_DATE: &[time::format_description::BorrowedFormatItem] = time::macros::format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);

fn http_date(at: SystemTime) -> String {
    time::OffsetDateTime::from(at).format(HTTP_DATE).unwrap_or_default()
}

fn parse_http_date(text: &str) -> Option<SystemTime> {
    let parsed = time::PrimitiveDateTime::parse(text.trim(), HTTP_DATE).ok()?;
    Some(parsed.assume_utc().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_accepted_by_name_and_refused_by_weight() {
        assert!(accepts("gzip, deflate, br", "br"));
        assert!(accepts("GZIP;q=0.5", "gzip"));
        assert!(!accepts("br;q=0, gzip", "br"));
        assert!(!accepts("", "gzip"));
    }

    #[test]
    fn dates_are_those_of_the_web() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(http_date(at), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(at));
        assert_eq!(parse_http_date("yesterday"), None);
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        let found = Found {
            path: "x".into(),
            length: 10,
            modified: SystemTime::UNIX_EPOCH,
            tag: "\"t\"".into(),
        };
        let check = |value: &str, expect: Option<(u64, u64)>| {
            let mut headers = HeaderMap::new();
            insert(&mut headers, header::RANGE, value);
            let got = match range(&headers, &found) {
                Wanted::All => Some((0, 10)),
                Wanted::Part { first, length } => Some((first, length)),
                Wanted::Impossible => None,
            };
            assert_eq!(got, expect, "{value}");
        };
        check("bytes=0-3", Some((0, 4)));
        check("bytes=8-99", Some((8, 2)));
        check("bytes=4-", Some((4, 6)));
        check("bytes=-3", Some((7, 3)));
        check("bytes=-99", Some((0, 10)));
        check("bytes=10-", None);
        check("bytes=-0", None);
        check("bytes=5-2", Some((0, 10)));
        check("bytes=0-1,4-5", Some((0, 10)));
        check("lines=0-1", Some((0, 10)));
    }
}
