//! Resources `test-run`, `test-node` and `test-case`: no tests are run here, and none are listed.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::HeaderMap;

use super::error::ApiError;
use super::{Answer, list as lists, pipeline};
use crate::platform::Platform;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/test-runs", post(create))
        .route("/test-runs/{run}", get(missing).patch(missing))
        .route("/test-runs/{run}/test-nodes", get(missing))
        .route("/test-runs/{run}/test-cases", get(missing))
        .route("/pipelines/{pipeline}/test-runs", get(list))
        .route("/pipelines/{pipeline}/test-runs/{number}", get(missing))
}

async fn list(
    State(platform): State<Platform>,
    Path(pipeline): Path<String>,
    headers: HeaderMap,
) -> Answer {
    pipeline::find(&platform, &pipeline)?;
    Ok(lists::list(&headers, vec![]))
}

async fn missing() -> Answer {
    Err(ApiError::not_found("test_run", "Couldn't find that test run: no tests are run here."))
}

async fn create() -> Answer {
    Err(ApiError::not_implemented(
        "No tests are run here. A build's hooks may run them, and fail it: bin/post_compile.",
    ))
}
