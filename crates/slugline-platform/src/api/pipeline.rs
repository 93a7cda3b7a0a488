//! Resource `pipeline`, with its config vars, its transfer, and what is newest in it.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use slugline_model::config_vars;
use slugline_model::pipeline::{PipelineName, Stage};
use uuid::Uuid;

use super::add_on::text;
use super::error::ApiError;
use super::{Answer, account, list as lists, ok, pipeline_coupling, pipeline_promotion};
use crate::clock::{self, api_time};
use crate::db;
use crate::db::app::App;
use crate::db::pipeline::Pipeline;
use crate::platform::Platform;

/// Pipelines, the apps in them, and their promotions.
pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/pipelines", get(list).post(create))
        .route("/pipelines/{pipeline}", get(info).patch(update).delete(delete))
        .route("/pipelines/{pipeline}/stage/{stage}/config-vars", get(vars).patch(update_vars))
        .route("/pipelines/{pipeline}/latest-builds", get(latest_builds))
        .route("/pipelines/{pipeline}/latest-releases", get(latest_releases))
        // What takes effect at once is its release.
        .route("/pipelines/{pipeline}/latest-deployments", get(latest_releases))
        .route("/pipelines/{pipeline}/pipeline-stack", get(stack))
        .route("/pipeline-transfers", post(transfer))
        .merge(pipeline_coupling::routes())
        .merge(pipeline_promotion::routes())
}

/// All of them, or the one that `eq[name]` names.
async fn list(
    State(platform): State<Platform>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Answer {
    let mut all = platform.inner.db.read(db::pipeline::all)?;
    for (_, name) in query.iter().filter(|(key, _)| key == "eq[name]") {
        all.retain(|pipeline| pipeline.name.as_str() == name);
    }
    all.retain(|pipeline| is_own(&platform, pipeline));
    Ok(lists::list(&headers, all.iter().map(render).collect()))
}

async fn info(State(platform): State<Platform>, Path(pipeline): Path<String>) -> Answer {
    Ok(ok(render(&find(&platform, &pipeline)?)))
}

async fn create(State(platform): State<Platform>, body: String) -> Answer {
    let body = super::formation::object(&body)?;
    let now = clock::now();
    let pipeline = Pipeline {
        id: Uuid::new_v4(),
        name: name(text(&body, "name").as_deref().unwrap_or_default())?,
        owner: Some(match body.get("owner").filter(|owner| owner["id"].is_string()) {
            Some(asked) => owner(asked),
            None => json!({ "id": account::reference()["id"], "type": "user" }),
        }),
        created_at: now,
        updated_at: now,
    };
    put(&platform, &pipeline)?;
    Ok(super::json(StatusCode::CREATED, render(&pipeline)))
}

fn name(text: &str) -> Result<PipelineName, ApiError> {
    text.parse().map_err(|error| ApiError::invalid(format!("{error}")))
}

fn owner(asked: &Value) -> Value {
    let kind = asked["type"].as_str().filter(|kind| *kind == "team").unwrap_or("user");
    json!({ "id": asked["id"], "type": kind })
}

fn put(platform: &Platform, pipeline: &Pipeline) -> Result<(), ApiError> {
    let free = platform.inner.db.transaction(|db| {
        let other = db::pipeline::find(db, pipeline.name.as_str())?;
        if other.is_some_and(|other| other.id != pipeline.id) {
            return Ok(false);
        }
        db::pipeline::put(db, pipeline)?;
        Ok(true)
    })?;
    let taken = || ApiError::invalid(format!("Name {} is already taken", pipeline.name));
    if free { Ok(()) } else { Err(taken()) }
}

async fn update(
    State(platform): State<Platform>,
    Path(pipeline): Path<String>,
    body: String,
) -> Answer {
    let mut pipeline = find(&platform, &pipeline)?;
    let body = super::formation::object(&body)?;
    if let Some(asked) = text(&body, "name") {
        pipeline.name = name(&asked)?;
        pipeline.updated_at = clock::now();
        put(&platform, &pipeline)?;
    }
    Ok(ok(render(&pipeline)))
}

/// The apps that were in it stay.
async fn delete(State(platform): State<Platform>, Path(pipeline): Path<String>) -> Answer {
    let pipeline = find(&platform, &pipeline)?;
    platform.forget_test_runs(pipeline.id).await?;
    platform.inner.db.transaction(|db| db::pipeline::delete(db, pipeline.id))?;
    Ok(ok(render(&pipeline)))
}

async fn transfer(State(platform): State<Platform>, body: String) -> Answer {
    let body = super::formation::object(&body)?;
    let wanted = super::add_on::identity(body.get("pipeline")).unwrap_or_default();
    let mut pipeline = find(&platform, &wanted)?;
    let asked = body.get("new_owner").cloned().unwrap_or_default();
    if !asked["id"].is_string() {
        return Err(ApiError::invalid("`new_owner` is missing: it must have an id and a type"));
    }
    let before = owner_of(&pipeline);
    pipeline.owner = Some(owner(&asked));
    pipeline.updated_at = clock::now();
    put(&platform, &pipeline)?;
    Ok(super::json(
        StatusCode::CREATED,
        json!({
            "new_owner": owner_of(&pipeline),
            "pipeline": { "id": pipeline.id },
            "previous_owner": before,
        }),
    ))
}

async fn vars(
    State(platform): State<Platform>,
    Path((pipeline, stage)): Path<(String, String)>,
) -> Answer {
    let (pipeline, stage) = (find(&platform, &pipeline)?, passing(&stage)?);
    Ok(ok(json!(platform.inner.db.read(|db| db::pipeline::vars(db, pipeline.id, stage))?)))
}

async fn update_vars(
    State(platform): State<Platform>,
    Path((pipeline, stage)): Path<(String, String)>,
    body: String,
) -> Answer {
    let (pipeline, stage) = (find(&platform, &pipeline)?, passing(&stage)?);
    let change = super::config_var::changes(super::formation::object(&body)?)?;
    let limits = &platform.inner.config.limits;
    let changed = platform.inner.db.transaction(|db| {
        let before = db::pipeline::vars(db, pipeline.id, stage)?;
        let changed = config_vars::change(&before, &change, limits);
        if let Ok(vars) = &changed {
            db::pipeline::set_vars(db, pipeline.id, stage, vars)?;
        }
        Ok(changed)
    })?;
    Ok(ok(json!(changed.map_err(|error| ApiError::invalid(error.to_string()))?)))
}

/// Only apps that come and go take their config vars from the pipeline.
fn passing(stage: &str) -> Result<Stage, ApiError> {
    let stage: Stage = stage.parse().map_err(|error| ApiError::invalid(format!("{error}")))?;
    if stage.is_passing() {
        return Ok(stage);
    }
    Err(ApiError::invalid(format!(
        "Apps in {stage} have config vars of their own; a pipeline has them for test and review"
    )))
}

async fn latest_builds(
    State(platform): State<Platform>,
    Path(pipeline): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let mut items = Vec::new();
    for app in apps_of(&platform, &find(&platform, &pipeline)?)? {
        let builds = platform.inner.db.read(|db| db::build::of_app(db, app.id))?;
        items.extend(builds.last().map(|build| super::build::render(&platform, &app, build)));
    }
    Ok(lists::list(&headers, items))
}

async fn latest_releases(
    State(platform): State<Platform>,
    Path(pipeline): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let mut items = Vec::new();
    for app in apps_of(&platform, &find(&platform, &pipeline)?)? {
        if let Some(release) = platform.inner.db.read(|db| db::release::current(db, app.id))? {
            items.push(super::release::render(&platform, &app, &release, Some(&release))?);
        }
    }
    Ok(lists::list(&headers, items))
}

fn apps_of(platform: &Platform, pipeline: &Pipeline) -> Result<Vec<App>, ApiError> {
    let couplings =
        platform.inner.db.read(|db| db::pipeline_coupling::of_pipeline(db, pipeline.id))?;
    let apps = couplings.iter().map(|coupling| platform.app(&coupling.app_id.to_string()));
    // Those that who asks may see.
    Ok(apps.filter_map(Result::ok).collect())
}

async fn stack(State(platform): State<Platform>, Path(pipeline): Path<String>) -> Answer {
    find(&platform, &pipeline)?;
    Ok(ok(json!({ "stack": super::stack::reference() })))
}

pub(super) fn find(platform: &Platform, name_or_id: &str) -> Result<Pipeline, ApiError> {
    let found = platform.inner.db.read(|db| db::pipeline::find(db, name_or_id))?;
    let found = found.filter(|pipeline| is_own(platform, pipeline));
    found.ok_or_else(|| ApiError::not_found("pipeline", "Couldn't find that pipeline."))
}

/// Whether it is theirs who ask, or has an app of theirs. Those of teams are the operator's.
fn is_own(platform: &Platform, pipeline: &Pipeline) -> bool {
    let Some(who) = crate::asking::who() else { return false };
    let owner = owner_of(pipeline);
    if who.account.is_admin || owner["id"] == who.account.id.to_string() {
        return true;
    }
    let couplings = |db: &_| db::pipeline_coupling::of_pipeline(db, pipeline.id);
    let couplings = platform.inner.db.read(couplings).unwrap_or_default();
    couplings.iter().any(|coupling| super::is_seen(platform, coupling.app_id))
}

/// Who owns it: whoever made it, unless it was given to somebody.
fn owner_of(pipeline: &Pipeline) -> Value {
    let own = || json!({ "id": db::account::FIRST, "type": "user" });
    pipeline.owner.clone().unwrap_or_else(own)
}

fn render(pipeline: &Pipeline) -> Value {
    json!({
        "created_at": api_time(pipeline.created_at),
        "generation": super::generation::cedar(),
        "id": pipeline.id,
        "name": pipeline.name.as_str(),
        "owner": owner_of(pipeline),
        "updated_at": api_time(pipeline.updated_at),
    })
}
