//! Ours: a release of the current slug and of files as they are in a dyno.

use axum::extract::{Path, State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::dyno::no_such_dyno;
use super::error::ApiError;
use super::{Answer, release, slug_blob};
use crate::bake::BakeError;
use crate::db;
use crate::platform::Platform;

/// How many of the baked paths an answer lists.
const LISTED: usize = 100;

#[derive(Deserialize)]
struct Body {
    paths: Vec<String>,
}

/// Bakes.
pub(crate) async fn create(
    State(platform): State<Platform>,
    Path((app, dyno)): Path<(String, String)>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body: Body = serde_json::from_str(&body)
        .map_err(|_| ApiError::bad_request("`paths` must be a list of paths"))?;
    let baked = platform.bake(&app, &dyno, &body.paths).await?;
    let current = platform.inner.db.read(|db| db::release::current(db, app.id))?;
    let release = release::render(&platform, &app, &baked.release, current.as_ref())?;
    let listed = &baked.added[..baked.added.len().min(LISTED)];
    let body = json!({
        "release": release,
        "files": baked.added.len(),
        "bytes": baked.bytes,
        "paths": listed,
        "stopgap": true,
        "properly": baked.properly,
    });
    Ok(super::json(StatusCode::CREATED, body))
}

impl From<BakeError> for ApiError {
    fn from(error: BakeError) -> Self {
        match error {
            BakeError::NoDyno(_) => no_such_dyno(),
            BakeError::Db(error) => error.into(),
            BakeError::Exchange(error) => slug_blob::refusal(error),
            // It may have ended this moment.
            BakeError::Engine(error) => {
                tracing::warn!(?error, "files of a dyno could not be baked");
                Self::invalid("the dyno's files could not be read: it may have ended meanwhile")
            }
            other => Self::invalid(other.to_string()),
        }
    }
}
