//! Output streams of builds: plain text, from the start or from a byte on.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use http::HeaderMap;
use uuid::Uuid;

use super::Answer;
use super::error::ApiError;
use crate::platform::Platform;

pub(crate) async fn output(
    State(platform): State<Platform>,
    Path(output): Path<Uuid>,
    headers: HeaderMap,
) -> Answer {
    let range = headers.get(http::header::RANGE).and_then(|value| value.to_str().ok());
    let from = range.and_then(first_byte).unwrap_or(0);
    let stream = platform.inner.outputs.read(output, from).ok_or_else(|| {
        ApiError::not_found("stream", "Couldn't find that output: it may not have begun yet.")
    })?;
    let content_type = [(http::header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((content_type, Body::from_stream(stream)).into_response())
}

/// `bytes=1024-` asks for the rest from byte 1024 on.
fn first_byte(range: &str) -> Option<u64> {
    range.strip_prefix("bytes=")?.split('-').next()?.parse().ok()
}
