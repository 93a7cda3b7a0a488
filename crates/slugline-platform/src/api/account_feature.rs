//! Resource `account-feature`.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use http::HeaderMap;
use serde_json::{Value, json};

use super::error::ApiError;
use super::named_id::named_id;
use super::{Answer, list as lists, ok};
use crate::db;
use crate::platform::Platform;

/// The one that clients ask for: it says that `/pipelines/PIPELINE/repo` answers, without which the
/// stock command line asks a server of Heroku's that only Heroku has.
const REPOSITORIES: &str = "dashboard-repositories-api";

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/account/features", get(list))
        .route("/account/features/{feature}", get(info).patch(update))
}

async fn list(State(platform): State<Platform>, headers: HeaderMap) -> Answer {
    Ok(lists::list(&headers, vec![render(&platform)?]))
}

async fn info(State(platform): State<Platform>, Path(feature): Path<String>) -> Answer {
    known(&feature)?;
    Ok(ok(render(&platform)?))
}

async fn update(
    State(platform): State<Platform>,
    Path(feature): Path<String>,
    body: String,
) -> Answer {
    known(&feature)?;
    let enabled = super::app_feature::enabled(&body)?;
    platform.inner.db.transaction(|db| db::feature::set_of_account(db, REPOSITORIES, enabled))?;
    Ok(ok(render(&platform)?))
}

fn known(feature: &str) -> Result<(), ApiError> {
    if feature == REPOSITORIES || feature == named_id("account-feature", REPOSITORIES).to_string() {
        return Ok(());
    }
    Err(ApiError::not_found("account_feature", "Couldn't find that account feature."))
}

fn render(platform: &Platform) -> Result<Value, ApiError> {
    let set = platform.inner.db.read(|db| db::feature::of_account(db, REPOSITORIES))?;
    Ok(json!({
        "created_at": "2026-01-01T00:00:00Z",
        "description": "Ask this server, not GitHub, which repository a pipeline has",
        "display_name": "Repositories of pipelines",
        "doc_url": "",
        "enabled": set.unwrap_or(true),
        "feedback_email": "",
        "id": named_id("account-feature", REPOSITORIES),
        "name": REPOSITORIES,
        "state": "beta",
        "updated_at": "2026-01-01T00:00:00Z",
    }))
}
