//! Resources `test-run`, `test-node` and `test-case`: the tests of a pipeline's source, run in a dyno
//! that is thrown away. A run has one node; what tests write is kept as they write it, so there are no
//! cases.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use slugline_model::resources::DynoSize;
use slugline_model::test_run::Status;
use uuid::Uuid;

use super::add_on::{identity, text};
use super::error::ApiError;
use super::{Answer, account, list as lists, ok, pipeline};
use crate::clock::{self, api_time};
use crate::db;
use crate::db::test_run::{Commit, TestRun};
use crate::platform::Platform;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/test-runs", post(create))
        .route("/test-runs/{run}", get(info).patch(update))
        .route("/test-runs/{run}/test-nodes", get(nodes))
        .route("/test-runs/{run}/test-cases", get(cases))
        .route("/pipelines/{pipeline}/test-runs", get(list))
        .route("/pipelines/{pipeline}/test-runs/{number}", get(numbered))
}

async fn create(State(platform): State<Platform>, body: String) -> Answer {
    let body = super::formation::object(&body)?;
    let pipeline = pipeline::find(&platform, &identity(body.get("pipeline")).unwrap_or_default())?;
    let commit = Commit {
        branch: required(&body, "commit_branch")?,
        message: required(&body, "commit_message")?,
        sha: required(&body, "commit_sha")?,
    };
    if body.get("debug") == Some(&Value::Bool(true)) {
        return Err(ApiError::invalid(
            "A test run is not debugged here: nothing attaches to its dyno. Nothing was made.",
        ));
    }
    let url = required(&body, "source_blob_url")?;
    let source = platform.source_of_url(&url).ok_or_else(|| {
        ApiError::invalid(
            "`source_blob_url` does not name an uploaded source: POST /sources gives a place to \
             PUT one, and its get_url is what belongs here. Nothing was made.",
        )
    })?;
    let now = clock::now();
    let app = super::app::passing()?;
    let mut run = TestRun {
        id: Uuid::new_v4(),
        pipeline_id: pipeline.id,
        number: 0,
        status: Status::Pending,
        commit,
        source_blob_url: url,
        user_id: app.owner_id,
        message: None,
        error_status: None,
        exit_code: None,
        size: DynoSize::BASIC,
        node_id: Uuid::new_v4(),
        setup_id: Uuid::new_v4(),
        output_id: Uuid::new_v4(),
        app_id: Some(app.id),
        created_at: now,
        updated_at: now,
    };
    run.number = platform.inner.db.transaction(|db| {
        db::app::insert(db, &app)?;
        db::test_run::insert(db, &run)
    })?;
    let rendered = render(&platform, &run)?;
    if let Err(error) = platform.start_test_run(run, app, source) {
        tracing::error!(?error, "a test run's output could not be kept");
        platform.recover_test_runs();
        return Err(ApiError::unavailable(
            "The output of a test run could not be kept, and it was not begun. The server's log says \
             more.",
        ));
    }
    Ok(super::json(StatusCode::CREATED, rendered))
}

fn required(body: &Map<String, Value>, name: &str) -> Result<String, ApiError> {
    text(body, name)
        .ok_or_else(|| ApiError::invalid(format!("`{name}` is missing: it must be a text")))
}

async fn list(
    State(platform): State<Platform>,
    Path(pipeline): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let pipeline = pipeline::find(&platform, &pipeline)?;
    let runs = platform.inner.db.read(|db| db::test_run::of_pipeline(db, pipeline.id))?;
    let items = runs.iter().map(|run| render(&platform, run)).collect::<Result<_, _>>()?;
    Ok(lists::list(&headers, items))
}

async fn numbered(
    State(platform): State<Platform>,
    Path((pipeline, number)): Path<(String, String)>,
) -> Answer {
    let pipeline = pipeline::find(&platform, &pipeline)?;
    let number: u64 = number.parse().map_err(|_| no_such())?;
    let run = platform.inner.db.read(|db| db::test_run::numbered(db, pipeline.id, number))?;
    Ok(ok(render(&platform, &run.ok_or_else(no_such)?)?))
}

async fn info(State(platform): State<Platform>, Path(run): Path<String>) -> Answer {
    Ok(ok(render(&platform, &find(&platform, &run)?)?))
}

/// Cancels it: nothing else about a run is up to clients.
async fn update(State(platform): State<Platform>, Path(run): Path<String>, body: String) -> Answer {
    let mut run = find(&platform, &run)?;
    let body = super::formation::object(&body)?;
    if text(&body, "status").as_deref() != Some(Status::Cancelled.as_str()) {
        return Err(ApiError::invalid(
            "`status` must be cancelled: what else becomes of a test run, its tests say.",
        ));
    }
    run.error_status = Some(run.status);
    (run.status, run.updated_at) = (Status::Cancelled, clock::now());
    run.message = text(&body, "message");
    if !platform.inner.db.transaction(|db| db::test_run::advance(db, &run))? {
        return Err(ApiError::invalid(format!("Test run {} is over already.", run.number)));
    }
    platform.inner.cancels.cancel(run.id);
    Ok(ok(render(&platform, &run)?))
}

async fn nodes(
    State(platform): State<Platform>,
    Path(run): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let node = node(&platform, &find(&platform, &run)?);
    Ok(lists::list(&headers, vec![node]))
}

async fn cases(
    State(platform): State<Platform>,
    Path(run): Path<String>,
    headers: HeaderMap,
) -> Answer {
    find(&platform, &run)?;
    Ok(lists::list(&headers, vec![]))
}

/// One of a pipeline that who asks may see.
fn find(platform: &Platform, id: &str) -> Result<TestRun, ApiError> {
    let run = platform.inner.db.read(|db| db::test_run::find(db, id))?.ok_or_else(no_such)?;
    pipeline::find(platform, &run.pipeline_id.to_string()).map_err(|_| no_such())?;
    Ok(run)
}

fn no_such() -> ApiError {
    ApiError::not_found("test_run", "Couldn't find that test run.")
}

fn render(platform: &Platform, run: &TestRun) -> Result<Value, ApiError> {
    let user = account::reference_to(platform, run.user_id)?;
    Ok(json!({
        "actor_email": user["email"],
        "app_setup": null,
        "clear_cache": true,
        "commit_branch": run.commit.branch,
        "commit_message": run.commit.message,
        "commit_sha": run.commit.sha,
        "created_at": api_time(run.created_at),
        "debug": false,
        "dyno": { "size": run.size.name },
        "id": run.id,
        "message": run.message,
        "number": run.number,
        "organization": null,
        "pipeline": { "id": run.pipeline_id },
        "source_blob_url": run.source_blob_url,
        "status": run.status.as_str(),
        "updated_at": api_time(run.updated_at),
        "user": user,
        "warning_message": null,
    }))
}

fn node(platform: &Platform, run: &TestRun) -> Value {
    // The stock command line reads these by TLS alone.
    let stream = |id: Uuid| format!("https://{}/streams/{id}", platform.api_host());
    json!({
        "created_at": api_time(run.created_at),
        "dyno": null,
        "error_status": run.error_status.map(Status::as_str),
        "exit_code": run.exit_code,
        "id": run.node_id,
        "index": 0,
        "message": run.message,
        "output_stream_url": stream(run.output_id),
        "pipeline": { "id": run.pipeline_id },
        "setup_stream_url": stream(run.setup_id),
        "status": run.status.as_str(),
        "test_run": { "id": run.id },
        "updated_at": api_time(run.updated_at),
    })
}
