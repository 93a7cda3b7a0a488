//! Resource `dynos/usage`, which is ours, and the same for Prometheus.

use axum::extract::State;
use axum::response::IntoResponse as _;
use http::header::CONTENT_TYPE;
use serde_json::json;

use super::{Answer, ok};
use crate::metrics::exposition;
use crate::platform::Platform;

/// What every dyno uses now, and since somebody last asked.
pub(crate) async fn usage(State(platform): State<Platform>) -> Answer {
    Ok(ok(json!(platform.usages().await)))
}

/// The same as Prometheus reads it: text format 0.0.4.
pub(crate) async fn prometheus(State(platform): State<Platform>) -> Answer {
    let content_type = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((content_type, exposition::text(&platform.usages().await.dynos)).into_response())
}
