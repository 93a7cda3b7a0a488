//! Resources `pipeline-promotion` and `pipeline-promotion-target`.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::add_on::identity;
use super::error::ApiError;
use super::{Answer, list as lists, ok, pipeline};
use crate::clock::api_time;
use crate::db;
use crate::db::app::App;
use crate::db::pipeline_promotion::{Promotion, Target};
use crate::db::release::Status;
use crate::platform::Platform;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/pipeline-promotions", post(create))
        .route("/pipeline-promotions/{promotion}", get(info))
        .route("/pipeline-promotions/{promotion}/promotion-targets", get(targets))
}

async fn create(State(platform): State<Platform>, body: String) -> Answer {
    let body = super::formation::object(&body)?;
    let pipeline = identity(body.get("pipeline")).unwrap_or_default();
    let pipeline = pipeline::find(&platform, &pipeline)?;
    let source = body.get("source").map(|source| &source["app"]);
    let source = platform.app(&identity(source).unwrap_or_default())?;
    let targets = wanted(&platform, &body)?;
    if targets.is_empty() {
        return Err(ApiError::invalid("`targets` is missing: it must name at least one app"));
    }
    for app in targets.iter().chain([&source]) {
        let coupling = platform.inner.db.read(|db| db::pipeline_coupling::of_app(db, app.id))?;
        if coupling.is_none_or(|coupling| coupling.pipeline_id != pipeline.id) {
            let message = format!("{} is not in the pipeline {}", app.name, pipeline.name);
            return Err(ApiError::invalid(message));
        }
    }
    if targets.iter().any(|target| target.id == source.id) {
        return Err(ApiError::invalid(format!("{} cannot be promoted to itself", source.name)));
    }
    let running = platform.running(source.id)?.ok_or_else(|| {
        ApiError::invalid(format!("{} has no release with a slug yet", source.name))
    })?;
    let promotion = platform.promote(pipeline.id, (&source, &running), &targets)?;
    Ok(super::json(StatusCode::CREATED, render(&platform, &promotion)?))
}

fn wanted(platform: &Platform, body: &Map<String, Value>) -> Result<Vec<App>, ApiError> {
    let targets = body.get("targets").and_then(Value::as_array).map(Vec::as_slice);
    let app = |target: &Value| platform.app(&identity(target.get("app")).unwrap_or_default());
    targets.unwrap_or_default().iter().map(app).collect()
}

async fn info(State(platform): State<Platform>, Path(promotion): Path<String>) -> Answer {
    Ok(ok(render(&platform, &find(&platform, &promotion)?)?))
}

async fn targets(
    State(platform): State<Platform>,
    Path(promotion): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let promotion = find(&platform, &promotion)?;
    let items: Result<Vec<Value>, ApiError> = targets_of(&platform, &promotion)?
        .iter()
        .map(|(target, status, error)| {
            Ok(json!({
                "app": { "id": target.app_id },
                "error_message": error,
                "id": target.id,
                "pipeline_promotion": { "id": target.promotion_id },
                "release": target.release_id.map(|id| json!({ "id": id })),
                "status": status,
            }))
        })
        .collect();
    Ok(lists::list(&headers, items?))
}

/// A target, how its release stands, and why there is none.
type Standing = (Target, &'static str, Option<String>);

fn targets_of(platform: &Platform, promotion: &Promotion) -> Result<Vec<Standing>, ApiError> {
    let targets = platform.inner.db.read(|db| db::pipeline_promotion::targets(db, promotion.id))?;
    let stand = |target: Target| {
        let Some(id) = target.release_id else {
            let error = target.error.clone();
            return Ok((target, "failed", error));
        };
        let found =
            platform.inner.db.read(|db| db::release::find(db, target.app_id, &id.to_string()))?;
        let (status, error) = match found.map(|release| release.status) {
            Some(Status::Succeeded) => ("succeeded", None),
            Some(Status::Pending) => ("pending", None),
            Some(Status::Failed) => ("failed", Some("The release command failed.".to_owned())),
            None => ("failed", Some("The app was destroyed.".to_owned())),
        };
        Ok((target, status, error))
    };
    targets.into_iter().map(stand).collect()
}

fn find(platform: &Platform, id: &str) -> Result<Promotion, ApiError> {
    let id: Uuid = id.parse().map_err(|_| no_such())?;
    let found = platform.inner.db.read(|db| db::pipeline_promotion::find(db, id))?;
    let promotion = found.ok_or_else(no_such)?;
    pipeline::find(platform, &promotion.pipeline_id.to_string()).map_err(|_| no_such())?;
    Ok(promotion)
}

fn no_such() -> ApiError {
    ApiError::not_found("pipeline_promotion", "Couldn't find that pipeline promotion.")
}

fn render(platform: &Platform, promotion: &Promotion) -> Result<Value, ApiError> {
    let pending =
        targets_of(platform, promotion)?.iter().any(|(_, status, _)| *status == "pending");
    Ok(json!({
        "created_at": api_time(promotion.created_at),
        "id": promotion.id,
        "pipeline": { "id": promotion.pipeline_id },
        "source": {
            "app": { "id": promotion.source_app_id },
            "release": { "id": promotion.source_release_id },
        },
        "status": if pending { "pending" } else { "completed" },
        "updated_at": api_time(promotion.updated_at),
    }))
}
