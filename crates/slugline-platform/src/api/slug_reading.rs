//! What is in a slug: sub-resources of `slug`, which are ours.
//!
//! A slug is named by its id, by the version of a release that has it (`v42`, `42`), or as `current`.

use std::io::{self, Write};

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use http::header::{CONTENT_TYPE, HeaderName};
use serde_json::json;
use slugline_model::listing::{self, Item, Order};
use slugline_model::port::ReadError;
use slugline_model::retention::Object;
use slugline_model::slug::SlugId;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::error::ApiError;
use super::{Answer, ok};
use crate::db;
use crate::platform::Platform;
use crate::slug_reading::Named;

/// How much of a file is sent at a time (bytes).
const CHUNK: usize = 64 << 10;

/// How many of those wait for a slow client.
const AHEAD: usize = 16;

/// What was asked for: `file`, `directory` or `symlink`.
const KIND: HeaderName = HeaderName::from_static("x-slug-kind");
/// `755` or `644`, as a file's mode; a link's target is the body.
const MODE: HeaderName = HeaderName::from_static("x-slug-mode");

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        Self::invalid(format!(
            "The slug could not be read: {error}. slugline store:fsck says what is damaged"
        ))
    }
}

/// The tree below `path`, `depth` levels deep; `order=size` for the biggest first.
pub(crate) async fn tree(
    State(platform): State<Platform>,
    Path((app, slug)): Path<(String, String)>,
    uri: Uri,
) -> Answer {
    let named = found(&platform, &app, &slug)?;
    let path = query(&uri, "path").unwrap_or_default();
    let depth = query(&uri, "depth").map(|depth| String::from_utf8_lossy(&depth).parse());
    let depth = depth.transpose().map_err(|_| ApiError::invalid("`depth` must be a number"))?;
    let biggest = query(&uri, "order").is_some_and(|order| order == b"size");
    let order = if biggest { Order::Size } else { Order::Name };
    let listing = platform.blocking(move |inner| inner.listing(&named.slug)).await?;
    let tree = listing::tree(&listing, &path, depth.unwrap_or(1), order);
    Ok(ok(json!(tree.ok_or_else(|| nothing_at(&path))?)))
}

/// How a slug differs from that of `from`.
pub(crate) async fn diff(
    State(platform): State<Platform>,
    Path((app, slug)): Path<(String, String)>,
    uri: Uri,
) -> Answer {
    let from = query(&uri, "from").ok_or_else(|| ApiError::invalid("`from` must name a slug"))?;
    let before = found(&platform, &app, &String::from_utf8_lossy(&from))?;
    let after = found(&platform, &app, &slug)?;
    let diff = platform
        .blocking(move |inner| {
            let before = inner.listing(&before.slug)?;
            Ok::<_, ReadError>(listing::diff(&before, &inner.listing(&after.slug)?))
        })
        .await?;
    Ok(ok(json!(diff)))
}

/// A file's content, a link's target, or a tar of what lies in a directory.
pub(crate) async fn file(State(platform): State<Platform>, uri: Uri) -> Answer {
    let (app, slug, path) = file_named(uri.path());
    let named = found(&platform, &app, &slug)?;
    let slug = named.slug.clone();
    let listing = platform.blocking(move |inner| inner.listing(&slug)).await?;
    let (path, item) = listing.at(&path).ok_or_else(|| nothing_at(&path))?;
    match item {
        Item::Directory => Ok(archive(&platform, named.slug.tree, path)),
        Item::Symlink { target } => Ok(([(KIND, "symlink")], target).into_response()),
        Item::File { content, executable, .. } => {
            content_of(&platform, (content, executable)).await
        }
    }
}

/// The slug's bill of materials, as `CycloneDX` writes one.
pub(crate) async fn sbom(
    State(platform): State<Platform>,
    Path((app, slug)): Path<(String, String)>,
) -> Answer {
    let named = found(&platform, &app, &slug)?;
    Ok(ok(platform.blocking(move |inner| inner.sbom(&named)).await?))
}

/// How the slug came to be, as an in-toto statement.
pub(crate) async fn provenance(
    State(platform): State<Platform>,
    Path((app, slug)): Path<(String, String)>,
) -> Answer {
    let named = found(&platform, &app, &slug)?;
    Ok(ok(platform.blocking(move |inner| inner.provenance(&named)).await))
}

/// Checks every file of the slug.
pub(crate) async fn verify(
    State(platform): State<Platform>,
    Path((app, slug)): Path<(String, String)>,
) -> Answer {
    let named = found(&platform, &app, &slug)?;
    let (tree, release) = (named.slug.tree, named.release);
    let id = tree.clone();
    platform.blocking(move |inner| inner.store.verify(&id)).await?;
    Ok(ok(json!({ "verified": true, "checksum": format!("BLAKE3:{tree}"), "version": release })))
}

fn found(platform: &Platform, app: &str, slug: &str) -> Result<Named, ApiError> {
    let app = platform.app(app)?;
    let named = platform.slug_named(&app, slug)?;
    let named = named.ok_or_else(|| {
        ApiError::not_found("slug", "Couldn't find that slug: name a release (v42) or a slug's id.")
    })?;
    if platform.inner.db.read(|db| db::retention::is_expired(db, named.slug.id))? {
        let kept = platform.inner.config.retention.releases;
        return Err(ApiError::gone(format!(
            "That slug has expired: those of an app's newest {kept} releases are kept"
        )));
    }
    Ok(named)
}

fn nothing_at(path: &[u8]) -> ApiError {
    let path = String::from_utf8_lossy(path);
    ApiError::not_found("file", &format!("Nothing lies at `{path}` in that slug."))
}

async fn content_of(platform: &Platform, content: Object) -> Answer {
    // Checked before the first byte is sent.
    let mut reader = platform.blocking(move |inner| inner.store.open(content)).await?;
    let mode = if content.1 { "755" } else { "644" };
    let body = streamed(platform, move |out| io::copy(&mut reader, out).map(drop));
    let headers = [(KIND, "file"), (MODE, mode), (CONTENT_TYPE, "application/octet-stream")];
    Ok((headers, body).into_response())
}

fn archive(platform: &Platform, tree: SlugId, path: Vec<u8>) -> Response {
    let inner = std::sync::Arc::clone(&platform.inner);
    let body = streamed(platform, move |out| {
        inner.store.archive(&tree, &path, out).map_err(|error| io::Error::other(error.0))
    });
    let headers = [(KIND, "directory"), (CONTENT_TYPE, "application/x-tar")];
    (headers, body).into_response()
}

/// A body of what a blocking writer writes. One that fails ends without its end, which clients see.
fn streamed(
    platform: &Platform,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
) -> Body {
    let (send, chunks) = mpsc::channel::<io::Result<Bytes>>(AHEAD);
    let platform = platform.clone();
    tokio::spawn(async move {
        let work = platform.blocking(move |_| {
            let sink = Sink(send.clone());
            let mut out = io::BufWriter::with_capacity(CHUNK, sink);
            if let Err(error) = write(&mut out).and_then(|()| out.flush()) {
                let _ = send.blocking_send(Err(error));
            }
        });
        work.await;
    });
    Body::from_stream(ReceiverStream::new(chunks))
}

struct Sink(mpsc::Sender<io::Result<Bytes>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A value of the query, as bytes: a path need not be text.
fn query(uri: &Uri, name: &str) -> Option<Vec<u8>> {
    let pairs = uri.query()?.split('&');
    let mut values = pairs.filter_map(|pair| pair.split_once('=')).filter(|(key, _)| *key == name);
    values.next().map(|(_, value)| decoded(value))
}

/// The app, the slug, and the path within it, which need not be text:
/// `/apps/APP/slugs/SLUG/files/PATH`.
fn file_named(path: &str) -> (String, String, Vec<u8>) {
    let mut parts = path.splitn(7, '/').map(decoded);
    let text =
        |part: Option<Vec<u8>>| String::from_utf8_lossy(&part.unwrap_or_default()).into_owned();
    (text(parts.nth(2)), text(parts.nth(1)), parts.nth(1).unwrap_or_default())
}

/// Bytes of percent-encoded text; what is none stays as it is.
pub(super) fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let byte = byte.filter(|_| bytes[at] == b'%');
        out.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_bytes_even_in_a_url() {
        let named = file_named("/apps/a/slugs/v1/files/caf%e9/%2fx y%");
        assert_eq!(named, ("a".into(), "v1".into(), b"caf\xe9//x y%".to_vec()));
        assert_eq!(file_named("/apps/a/slugs/v1/files").2, b"");
        let uri: Uri = "/tree?depth=2&path=a%20b".parse().unwrap();
        assert_eq!(query(&uri, "path"), Some(b"a b".to_vec()));
        assert_eq!(query(&uri, "order"), None);
    }
}
