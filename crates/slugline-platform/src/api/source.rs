//! Resource `source`.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use futures_util::StreamExt as _;
use http::StatusCode;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use uuid::Uuid;

use super::Answer;
use super::error::ApiError;
use crate::platform::Platform;

pub(crate) async fn create(State(platform): State<Platform>) -> Answer {
    platform.blocking(crate::platform::Inner::remove_old_sources).await;
    let url = platform.source_url(Uuid::new_v4());
    let body = json!({ "source_blob": { "get_url": url, "put_url": url } });
    Ok(super::json(StatusCode::CREATED, body))
}

/// The same, as older clients ask for it.
pub(crate) async fn create_for_app(
    State(platform): State<Platform>,
    Path(app): Path<String>,
) -> Answer {
    platform.app(&app)?;
    create(State(platform)).await
}

/// Takes a source; it is there whole or not at all.
pub(crate) async fn upload(
    State(platform): State<Platform>,
    Path(source): Path<Uuid>,
    body: Body,
) -> Answer {
    receive_source(&platform, source, body).await?;
    Ok(StatusCode::OK.into_response())
}

/// Takes a source from a body; gives where it lies.
pub(super) async fn receive_source(
    platform: &Platform,
    source: Uuid,
    body: Body,
) -> Result<std::path::PathBuf, ApiError> {
    let path = platform.source_path(source);
    let part = path.with_extension("part");
    let limit = platform.inner.config.limits.source;
    match receive(&part, body, limit).await {
        Ok(true) => {}
        Ok(false) => {
            let _ = tokio::fs::remove_file(&part).await;
            return Err(ApiError::invalid(format!(
                "the source is larger than {}: leave what a build does not need out with \
                 .gitignore or .slugignore",
                slugline_model::size::human(limit)
            )));
        }
        Err(error) => {
            let _ = tokio::fs::remove_file(&part).await;
            tracing::error!(?error, path = %part.display(), "a source could not be kept");
            let is_full = error.kind() == std::io::ErrorKind::StorageFull;
            return Err(if is_full { ApiError::full() } else { ApiError::internal() });
        }
    }
    tokio::fs::rename(&part, &path).await.map_err(|_| ApiError::internal())?;
    Ok(path)
}

/// False if there was too much.
async fn receive(part: &std::path::Path, body: Body, limit: u64) -> std::io::Result<bool> {
    let mut file = tokio::fs::File::create(part).await?;
    let mut received = 0;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(std::io::Error::other)?;
        received += chunk.len() as u64;
        if received > limit {
            return Ok(false);
        }
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    Ok(true)
}

pub(crate) async fn download(State(platform): State<Platform>, Path(source): Path<Uuid>) -> Answer {
    let no_such_source = |_| ApiError::not_found("source", "Couldn't find that source.");
    let bytes = tokio::fs::read(platform.source_path(source)).await.map_err(no_such_source)?;
    Ok(([(http::header::CONTENT_TYPE, "application/gzip")], bytes).into_response())
}
