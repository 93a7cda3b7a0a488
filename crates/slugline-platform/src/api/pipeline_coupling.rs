//! Resource `pipeline-coupling`, and the filter by which clients look up the apps of one.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use slugline_model::pipeline::Stage;
use uuid::Uuid;

use super::add_on::{identity, text};
use super::error::ApiError;
use super::{Answer, app as apps, is_seen, list as lists, ok, pipeline};
use crate::clock::{self, api_time};
use crate::db;
use crate::db::pipeline_coupling::Coupling;
use crate::platform::Platform;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/pipeline-couplings", get(list).post(create))
        .route("/users/{user}/pipeline-couplings", get(list))
        .route("/pipeline-couplings/{coupling}", get(info).patch(update).delete(delete))
        .route("/pipelines/{pipeline}/pipeline-couplings", get(of_pipeline))
        .route("/apps/{app}/pipeline-couplings", get(of_app))
        .route("/filters/apps", post(filter))
}

async fn list(State(platform): State<Platform>, headers: HeaderMap) -> Answer {
    let mut all = platform.inner.db.read(db::pipeline_coupling::all)?;
    all.retain(|coupling| is_seen(&platform, coupling.app_id));
    Ok(lists::list(&headers, all.iter().map(render).collect()))
}

async fn of_pipeline(
    State(platform): State<Platform>,
    Path(pipeline): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let pipeline = pipeline::find(&platform, &pipeline)?;
    let all = platform.inner.db.read(|db| db::pipeline_coupling::of_pipeline(db, pipeline.id))?;
    Ok(lists::list(&headers, all.iter().map(render).collect()))
}

async fn info(State(platform): State<Platform>, Path(coupling): Path<String>) -> Answer {
    Ok(ok(render(&find(&platform, &coupling)?)))
}

/// With the pipeline's name, which clients show.
async fn of_app(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    let found = platform.inner.db.read(|db| db::pipeline_coupling::of_app(db, app.id))?;
    let coupling = found.ok_or_else(no_such)?;
    let pipeline = pipeline::find(&platform, &coupling.pipeline_id.to_string())?;
    let mut item = render(&coupling);
    item["pipeline"]["name"] = pipeline.name.as_str().into();
    item["app"]["name"] = app.name.as_str().into();
    Ok(ok(item))
}

async fn create(State(platform): State<Platform>, body: String) -> Answer {
    let body = super::formation::object(&body)?;
    let app = platform.app(&identity(body.get("app")).unwrap_or_default())?;
    let pipeline = identity(body.get("pipeline")).unwrap_or_default();
    let pipeline = pipeline::find(&platform, &pipeline)?;
    let stage = stage(&text(&body, "stage").unwrap_or_default())?;
    let now = clock::now();
    let coupling = Coupling {
        id: Uuid::new_v4(),
        pipeline_id: pipeline.id,
        app_id: app.id,
        stage,
        created_at: now,
        updated_at: now,
    };
    let added = platform.inner.db.transaction(|db| {
        if db::pipeline_coupling::of_app(db, app.id)?.is_some() {
            return Ok(false);
        }
        db::pipeline_coupling::put(db, &coupling)?;
        Ok(true)
    })?;
    if !added {
        let message = format!("{} is in a pipeline already: heroku pipelines:remove", app.name);
        return Err(ApiError::invalid(message));
    }
    Ok(super::json(StatusCode::CREATED, render(&coupling)))
}

fn stage(text: &str) -> Result<Stage, ApiError> {
    text.parse().map_err(|error| ApiError::invalid(format!("{error}")))
}

async fn update(
    State(platform): State<Platform>,
    Path(coupling): Path<String>,
    body: String,
) -> Answer {
    let mut coupling = find(&platform, &coupling)?;
    let body = super::formation::object(&body)?;
    if let Some(asked) = text(&body, "stage") {
        coupling.stage = stage(&asked)?;
        coupling.updated_at = clock::now();
        platform.inner.db.transaction(|db| db::pipeline_coupling::put(db, &coupling))?;
    }
    Ok(ok(render(&coupling)))
}

async fn delete(State(platform): State<Platform>, Path(coupling): Path<String>) -> Answer {
    let coupling = find(&platform, &coupling)?;
    platform.inner.db.transaction(|db| db::pipeline_coupling::delete(db, coupling.id))?;
    Ok(ok(render(&coupling)))
}

/// The apps of these ids, as far as there are such.
async fn filter(State(platform): State<Platform>, headers: HeaderMap, body: String) -> Answer {
    let body = super::formation::object(&body)?;
    let ids = body.get("in").map(|within| &within["id"]).and_then(Value::as_array);
    let mut items = Vec::new();
    for id in ids.into_iter().flatten().filter_map(Value::as_str) {
        if let Ok(app) = platform.app(id) {
            let mut item = apps::render(&platform, &app)?;
            item["joined"] = true.into();
            item["locked"] = platform.inner.db.read(|db| db::app::is_locked(db, app.id))?.into();
            items.push(item);
        }
    }
    Ok(lists::list(&headers, items))
}

fn find(platform: &Platform, id: &str) -> Result<Coupling, ApiError> {
    let found = platform.inner.db.read(|db| db::pipeline_coupling::find(db, id))?;
    found.filter(|coupling| is_seen(platform, coupling.app_id)).ok_or_else(no_such)
}

pub(super) fn no_such() -> ApiError {
    ApiError::not_found("pipeline_coupling", "Couldn't find that pipeline coupling.")
}

fn render(coupling: &Coupling) -> Value {
    json!({
        "app": { "id": coupling.app_id },
        "created_at": api_time(coupling.created_at),
        "id": coupling.id,
        "pipeline": { "id": coupling.pipeline_id },
        "stage": coupling.stage,
        "updated_at": api_time(coupling.updated_at),
    })
}
