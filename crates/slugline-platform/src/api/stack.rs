//! Resource `stack`: what lies beneath the slug, and as which of Heroku's builds are told of it.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use http::HeaderMap;
use serde_json::{Value, json};

use super::error::ApiError;
use super::{Answer, list as lists, ok};
use crate::platform::Platform;

const NAME: &str = "host";
const ID: &str = "00000000-0000-4000-8000-00000000000a";

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/stacks", get(list))
        .route("/stacks/{stack}", get(info))
        .route("/apps/{app}/available-stacks", get(of_app))
}

async fn list(headers: HeaderMap) -> Answer {
    Ok(lists::list(&headers, vec![render()]))
}

async fn of_app(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Answer {
    platform.app(&app)?;
    Ok(lists::list(&headers, vec![render()]))
}

async fn info(Path(stack): Path<String>) -> Answer {
    known(&stack)?;
    Ok(ok(render()))
}

/// Refuses a stack that there is not.
pub(super) fn known(wanted: &str) -> Result<(), ApiError> {
    if wanted == NAME || wanted == ID {
        return Ok(());
    }
    Err(ApiError::not_found("stack", "Couldn't find that stack."))
}

/// The stack as other resources refer to it.
pub(super) fn reference() -> Value {
    json!({ "id": ID, "name": NAME })
}

fn render() -> Value {
    json!({
        "created_at": "2026-01-01T00:00:00Z",
        "default": true,
        "id": ID,
        "name": NAME,
        "state": "public",
        "updated_at": "2026-01-01T00:00:00Z",
    })
}
