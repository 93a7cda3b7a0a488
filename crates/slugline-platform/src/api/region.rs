//! Resources `region` and `generation`: there is one of each.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use http::HeaderMap;
use serde_json::{Value, json};

use super::error::ApiError;
use super::{Answer, generation, list as lists, ok};
use crate::platform::Platform;

const NAME: &str = "local";
const ID: &str = "00000000-0000-4000-8000-00000000000b";

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/regions", get(async |headers: HeaderMap| lists::list(&headers, vec![render()])))
        .route("/regions/{region}", get(info))
        .route(
            "/generations",
            get(async |headers: HeaderMap| lists::list(&headers, vec![generation::render()])),
        )
        .route("/generations/{generation}", get(one_generation))
}

async fn info(Path(region): Path<String>) -> Answer {
    known(&region)?;
    Ok(ok(render()))
}

/// Refuses a region that there is not. Scripts name Heroku's own.
pub(super) fn known(wanted: &str) -> Result<(), ApiError> {
    if [NAME, ID, "us", "eu"].contains(&wanted) {
        return Ok(());
    }
    Err(ApiError::not_found("region", "Couldn't find that region."))
}

/// The region as other resources refer to it.
pub(super) fn reference() -> Value {
    json!({ "id": ID, "name": NAME })
}

async fn one_generation(Path(wanted): Path<String>) -> Answer {
    let one = generation::render();
    if one["name"] == wanted.as_str() || one["id"] == wanted.as_str() {
        return Ok(ok(one));
    }
    Err(ApiError::not_found("generation", "Couldn't find that generation."))
}

fn render() -> Value {
    json!({
        "country": "This machine",
        "created_at": "2026-01-01T00:00:00Z",
        "description": "This machine",
        "id": ID,
        "locale": "Here",
        "name": NAME,
        "private_capable": false,
        // Of Heroku's closed list of names; there is none for a machine of one's own.
        "provider": { "name": "slugline", "region": "us-east-1" },
        "updated_at": "2026-01-01T00:00:00Z",
    })
}
