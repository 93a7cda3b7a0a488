//! Resource `slug`.

use axum::extract::{Path, State};
use serde_json::json;

use super::error::ApiError;
use super::{Answer, ok};
use crate::clock::api_time;
use crate::db;
use crate::platform::Platform;

pub(crate) async fn info(
    State(platform): State<Platform>,
    Path((app, slug)): Path<(String, String)>,
) -> Answer {
    platform.app(&app)?;
    let no_such_slug = || ApiError::not_found("slug", "Couldn't find that slug.");
    let id = slug.parse().map_err(|_| no_such_slug())?;
    let slug = platform.inner.db.read(|db| db::slug::find(db, id))?.ok_or_else(no_such_slug)?;
    Ok(ok(json!({
        "buildpack_provided_description": slug.buildpack,
        "checksum": format!("BLAKE3:{}", slug.tree),
        "commit": slug.source_version,
        "commit_description": null,
        "created_at": api_time(slug.created_at),
        "id": slug.id,
        "process_types": slug.process_types,
        "size": slug.size,
        "stack": { "id": "00000000-0000-4000-8000-00000000000a", "name": "host" },
        "updated_at": api_time(slug.created_at),
    })))
}
