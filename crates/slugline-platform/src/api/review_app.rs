//! Resources `review-app` and `review-app-config`: an app a branch, which comes and goes.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use slugline_model::app_setup::review_app_name;
use slugline_model::pipeline::Stage;
use uuid::Uuid;

use super::add_on::{identity, text};
use super::error::ApiError;
use super::{Answer, account, app_setup, list as lists, ok, pipeline};
use crate::clock::{self, api_time};
use crate::db;
use crate::db::app_setup::{AppSetup, ReviewApp};
use crate::db::pipeline::Pipeline;
use crate::db::pipeline_coupling::Coupling;
use crate::platform::Platform;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/review-apps", post(create))
        .route("/review-apps/{review}", get(info).delete(delete))
        .route("/apps/{app}/review-app", get(of_app))
        .route("/pipelines/{pipeline}/review-apps", get(list))
        .route(
            "/pipelines/{pipeline}/review-app-config",
            get(config).post(enable).patch(change).delete(disable),
        )
        .route("/pipelines/{pipeline}/repo", get(repository))
        .route("/pipelines/{pipeline}/repo/branches/{*branch}", get(branch))
}

/// No repository is connected to a pipeline; clients want a name all the same.
async fn repository(State(platform): State<Platform>, Path(pipeline): Path<String>) -> Answer {
    let pipeline = pipeline::find(&platform, &pipeline)?;
    Ok(ok(json!({ "full_name": format!("slugline/{}", pipeline.name), "id": 0 })))
}

async fn branch() -> Answer {
    Err(ApiError::not_found(
        "branch",
        "Couldn't find that branch: no repository is connected to a pipeline here. A review app is \
         made from an uploaded source: POST /review-apps.",
    ))
}

async fn config(State(platform): State<Platform>, Path(pipeline): Path<String>) -> Answer {
    let pipeline = pipeline::find(&platform, &pipeline)?;
    let config = platform.inner.db.read(|db| db::app_setup::config(db, pipeline.id))?;
    Ok(ok(render_config(&pipeline, &config.ok_or_else(not_enabled)?)))
}

async fn enable(
    State(platform): State<Platform>,
    Path(pipeline): Path<String>,
    body: String,
) -> Answer {
    let pipeline = pipeline::find(&platform, &pipeline)?;
    let config = Value::Object(super::formation::object(&body)?);
    platform
        .inner
        .db
        .transaction(|db| db::app_setup::set_config(db, pipeline.id, Some(&config)))?;
    Ok(super::json(StatusCode::CREATED, render_config(&pipeline, &config)))
}

async fn change(
    State(platform): State<Platform>,
    Path(pipeline): Path<String>,
    body: String,
) -> Answer {
    let pipeline = pipeline::find(&platform, &pipeline)?;
    let change = super::formation::object(&body)?;
    let config = platform.inner.db.transaction(|db| {
        let Some(mut config) = db::app_setup::config(db, pipeline.id)? else { return Ok(None) };
        if let Value::Object(known) = &mut config {
            known.extend(change);
        }
        db::app_setup::set_config(db, pipeline.id, Some(&config))?;
        Ok(Some(config))
    })?;
    Ok(ok(render_config(&pipeline, &config.ok_or_else(not_enabled)?)))
}

async fn disable(State(platform): State<Platform>, Path(pipeline): Path<String>) -> Answer {
    let pipeline = pipeline::find(&platform, &pipeline)?;
    let config = platform.inner.db.transaction(|db| {
        let config = db::app_setup::config(db, pipeline.id)?;
        db::app_setup::set_config(db, pipeline.id, None)?;
        Ok(config)
    })?;
    Ok(ok(render_config(&pipeline, &config.ok_or_else(not_enabled)?)))
}

fn not_enabled() -> ApiError {
    let message = "Couldn't find that review app config: heroku reviewapps:enable -p PIPELINE.";
    ApiError::not_found("review_app_config", message)
}

fn render_config(pipeline: &Pipeline, config: &Value) -> Value {
    let truth = |name: &str| config[name].as_bool().unwrap_or(false);
    json!({
        "automatic_review_apps": truth("automatic_review_apps"),
        "base_name": config["base_name"].as_str(),
        "deploy_target": null,
        "destroy_stale_apps": truth("destroy_stale_apps"),
        "pipeline_id": pipeline.id,
        "repo": { "id": 0 },
        "stale_days": config["stale_days"].as_u64().unwrap_or(5),
        "wait_for_ci": truth("wait_for_ci"),
    })
}

/// Makes an app of a source, with the config vars that the pipeline has for review apps.
async fn create(State(platform): State<Platform>, body: String) -> Answer {
    let body = super::formation::object(&body)?;
    let pipeline = pipeline::find(&platform, &identity(body.get("pipeline")).unwrap_or_default())?;
    let config = platform.inner.db.read(|db| db::app_setup::config(db, pipeline.id))?;
    let config = config.ok_or_else(not_enabled)?;
    let branch = text(&body, "branch")
        .ok_or_else(|| ApiError::invalid("`branch` is missing: it must be a branch's name"))?;
    if body.get("source_blob").is_some_and(|blob| blob["url"] == "resolve") {
        return Err(ApiError::invalid(
            "No repository is connected to a pipeline here, from which the branch could be had. \
             Nothing was made. Upload its source (POST /sources), and name it in `source_blob.url`.",
        ));
    }
    let mut request = app_setup::request(&platform, &body, Some("review"))?;
    request.env =
        platform.inner.db.read(|db| db::pipeline::vars(db, pipeline.id, Stage::Review))?;
    request.env.extend(app_setup::env(body.get("environment"))?);
    let pr_number = body.get("pr_number").and_then(Value::as_i64);
    let base = config["base_name"].as_str().unwrap_or(pipeline.name.as_str());
    let random = Uuid::new_v4().as_fields().0;
    let name = review_app_name(base, pr_number, random);
    let app = super::app::make(&platform, &Map::from_iter([("name".into(), name.into())]))?;
    let now = clock::now();
    let coupling = Coupling {
        id: Uuid::new_v4(),
        pipeline_id: pipeline.id,
        app_id: app.id,
        stage: Stage::Review,
        created_at: now,
        updated_at: now,
    };
    platform.inner.db.transaction(|db| db::pipeline_coupling::put(db, &coupling))?;
    let setup = platform.set_up(&app, request).await?;
    let review = ReviewApp {
        id: Uuid::new_v4(),
        pipeline_id: pipeline.id,
        setup_id: setup.id,
        branch,
        pr_number,
        created_at: now,
        updated_at: now,
    };
    platform.inner.db.transaction(|db| db::app_setup::insert_review(db, &review))?;
    Ok(super::json(StatusCode::CREATED, render(&platform, &review)?))
}

async fn info(State(platform): State<Platform>, Path(review): Path<String>) -> Answer {
    Ok(ok(render(&platform, &find(&platform, &review)?)?))
}

async fn of_app(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    let found = platform.inner.db.read(|db| db::app_setup::review_of_app(db, app.id))?;
    Ok(ok(render(&platform, &found.ok_or_else(no_such)?)?))
}

async fn list(
    State(platform): State<Platform>,
    Path(pipeline): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let pipeline = pipeline::find(&platform, &pipeline)?;
    let all = platform.inner.db.read(|db| db::app_setup::reviews(db, pipeline.id))?;
    let items = all.iter().map(|review| render(&platform, review)).collect::<Result<_, _>>()?;
    Ok(lists::list(&headers, items))
}

/// Destroys the app with all that it owns: that is what it was for.
async fn delete(State(platform): State<Platform>, Path(review): Path<String>) -> Answer {
    let review = find(&platform, &review)?;
    if let Some(app) = setup_of(&platform, &review)?.and_then(|setup| setup.app_id) {
        super::app::destroy(&platform, &platform.app(&app.to_string())?).await?;
    }
    Ok(ok(render(&platform, &review)?))
}

fn find(platform: &Platform, id: &str) -> Result<ReviewApp, ApiError> {
    let review = platform.inner.db.read(|db| db::app_setup::find_review(db, id))?;
    let review = review.ok_or_else(no_such)?;
    let app = setup_of(platform, &review)?.and_then(|setup| setup.app_id);
    let seen = app.is_none_or(|app| super::is_seen(platform, app));
    if seen { Ok(review) } else { Err(no_such()) }
}

fn no_such() -> ApiError {
    ApiError::not_found("review_app", "Couldn't find that review app.")
}

fn setup_of(platform: &Platform, review: &ReviewApp) -> Result<Option<AppSetup>, ApiError> {
    Ok(platform.inner.db.read(|db| db::app_setup::find(db, &review.setup_id.to_string()))?)
}

fn render(platform: &Platform, review: &ReviewApp) -> Result<Value, ApiError> {
    let setup = setup_of(platform, review)?;
    let status = match &setup {
        Some(AppSetup { app_id: None, .. }) | None => "deleted",
        Some(setup) => match setup.status.as_str() {
            "succeeded" => "created",
            "failed" => "errored",
            _ => "creating",
        },
    };
    let failure = setup.as_ref().and_then(|setup| setup.failure.clone());
    let app = setup.as_ref().and_then(|setup| setup.app_id);
    Ok(json!({
        "app": app.map(|id| json!({ "id": id })),
        "app_setup": setup.as_ref().map(|setup| json!({ "id": setup.id })),
        "branch": review.branch,
        "created_at": api_time(review.created_at),
        "creator": account::reference(),
        "error_status": failure,
        "fork_repo": null,
        "id": review.id,
        "message": failure,
        "pipeline": { "id": review.pipeline_id },
        "pr_number": review.pr_number,
        "status": status,
        "updated_at": api_time(review.updated_at),
        "wait_for_ci": false,
    }))
}
