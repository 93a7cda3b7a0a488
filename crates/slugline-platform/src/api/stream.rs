//! Output streams of builds and release phases: from the start, or on from where a reader stopped.
//!
//! Plain text, of which a `Range: bytes=N-` gives the rest, or `text/event-stream`, of which a
//! `Last-Event-Id` does. Either way nothing is lost or told twice: both count the output's bytes.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use futures_util::{Stream, StreamExt as _};
use http::header::{ACCEPT, ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use http::{HeaderMap, StatusCode};
use uuid::Uuid;

use super::Answer;
use super::error::ApiError;
use crate::platform::Platform;

pub(crate) async fn output(
    State(platform): State<Platform>,
    Path(output): Path<Uuid>,
    headers: HeaderMap,
) -> Answer {
    let text = |name: http::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let as_events = text(ACCEPT).is_some_and(|accept| accept.contains("text/event-stream"));
    let last = http::HeaderName::from_static("last-event-id");
    let from = if as_events {
        text(last).and_then(|id| id.parse().ok())
    } else {
        text(RANGE).and_then(first_byte)
    };
    platform.recall_output(output).await?;
    // Asked before the output is opened: one that ends in between is told as one that grows.
    let whole = platform.inner.outputs.whole(output);
    let start = from.unwrap_or(0);
    let stream = platform.inner.outputs.read(output, start).ok_or_else(|| {
        ApiError::not_found("stream", "Couldn't find that output: it may not have begun yet.")
    })?;
    if as_events {
        let content_type = [(CONTENT_TYPE, "text/event-stream; charset=utf-8")];
        return Ok((content_type, Body::from_stream(events(stream, start))).into_response());
    }
    let body = Body::from_stream(stream);
    let plain = [(CONTENT_TYPE, "text/plain; charset=utf-8"), (ACCEPT_RANGES, "bytes")];
    Ok(match (from, whole) {
        (None | Some(0), _) => (plain, body).into_response(),
        (Some(_), None) => (StatusCode::PARTIAL_CONTENT, plain, body).into_response(),
        (Some(from), Some(length)) if from < length => {
            let range = [(CONTENT_RANGE, format!("bytes {from}-{}/{length}", length - 1))];
            (StatusCode::PARTIAL_CONTENT, plain, range, body).into_response()
        }
        (Some(_), Some(length)) => {
            let range = [(CONTENT_RANGE, format!("bytes */{length}"))];
            (StatusCode::RANGE_NOT_SATISFIABLE, range).into_response()
        }
    })
}

impl Platform {
    /// Has an output here that is only in the bucket.
    pub(crate) async fn recall_output(&self, id: Uuid) -> Result<(), ApiError> {
        self.inner.outputs.recall(id).await.map_err(|error| {
            tracing::warn!(%error, %id, "an output could not be read from its bucket");
            ApiError::unavailable(
                "That output is in the bucket of [logs], which does not give it right now. \
                 Nothing is lost: ask again later.",
            )
        })
    }
}

/// `bytes=1024-` asks for the rest from byte 1024 on.
fn first_byte(range: &str) -> Option<u64> {
    range.strip_prefix("bytes=")?.split('-').next()?.parse().ok()
}

/// Lines as events, each with the byte after it as its id.
fn events(
    chunks: impl Stream<Item = std::io::Result<Vec<u8>>> + Send + 'static,
    start: u64,
) -> impl Stream<Item = std::io::Result<Vec<u8>>> + Send {
    let ended = futures_util::stream::once(async { Ok(Vec::new()) });
    let state = (start, Vec::new());
    chunks.chain(ended).scan(state, |(at, pending), chunk| {
        let told = chunk.map(|chunk| {
            let at_end = chunk.is_empty();
            pending.extend(chunk);
            let mut out = Vec::new();
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                event(&mut out, at, &line);
            }
            if at_end && !pending.is_empty() {
                event(&mut out, at, &std::mem::take(pending));
            }
            out
        });
        std::future::ready(Some(told))
    })
}

fn event(out: &mut Vec<u8>, at: &mut u64, line: &[u8]) {
    *at += line.len() as u64;
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches('\n').replace('\r', "\ndata: ");
    out.extend(format!("id: {at}\ndata: {text}\n\n").bytes());
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt as _;

    use super::*;

    #[tokio::test]
    async fn lines_are_events_that_count_bytes() {
        let chunks = [b"one\nt".to_vec(), b"wo\n".to_vec(), b"rest".to_vec()];
        let chunks = futures_util::stream::iter(chunks.map(Ok));
        let told = events(chunks, 10).try_concat().await.unwrap();
        assert_eq!(
            String::from_utf8(told).unwrap(),
            "id: 14\ndata: one\n\nid: 18\ndata: two\n\nid: 22\ndata: rest\n\n"
        );
    }

    #[test]
    fn a_range_names_its_first_byte() {
        assert_eq!(first_byte("bytes=1024-"), Some(1024));
        assert_eq!(first_byte("bytes=0-99"), Some(0));
        assert_eq!(first_byte("lines=1-"), None);
    }
}
