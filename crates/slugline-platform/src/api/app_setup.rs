//! Resource `app-setup`.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::StatusCode;
use serde_json::{Map, Value, json};
use slugline_model::config_vars::ConfigVars;

use super::error::ApiError;
use super::{Answer, ok};
use crate::clock::api_time;
use crate::db;
use crate::db::app::App;
use crate::db::app_setup::AppSetup;
use crate::db::build::SourceBlob;
use crate::platform::Platform;
use crate::setups::SetupRequest;

pub(super) fn routes() -> Router<Platform> {
    Router::new().route("/app-setups", post(create)).route("/app-setups/{setup}", get(info))
}

async fn create(State(platform): State<Platform>, body: String) -> Answer {
    let body = super::formation::object(&body)?;
    let overrides = body.get("overrides").cloned().unwrap_or_default();
    let mut request = request(&platform, &body, None)?;
    request.env = env(overrides.get("env"))?;
    let buildpacks = overrides["buildpacks"].as_array().into_iter().flatten();
    request.buildpacks =
        buildpacks.filter_map(|one| one["url"].as_str()).map(str::to_owned).collect();
    let wanted = body.get("app").and_then(Value::as_object).cloned().unwrap_or_default();
    let app = super::app::make(&platform, &wanted)?;
    let setup = platform.set_up(&app, request).await?;
    Ok(super::json(StatusCode::ACCEPTED, render(&platform, &setup)?))
}

/// What a body says of the source.
pub(super) fn request(
    platform: &Platform,
    body: &Map<String, Value>,
    environment: Option<&'static str>,
) -> Result<SetupRequest, ApiError> {
    let blob = body.get("source_blob").cloned().unwrap_or_default();
    let text = |name: &str| blob[name].as_str().map(str::to_owned);
    let url = text("url").ok_or_else(|| {
        ApiError::invalid("`source_blob.url` is missing: it must be the URL of an uploaded source")
    })?;
    let source = platform.source_of_url(&url).ok_or_else(|| {
        ApiError::invalid(
            "`source_blob.url` does not name an uploaded source: POST /sources gives a place to \
             PUT one, and its get_url is what belongs here. Nothing was made.",
        )
    })?;
    let blob = SourceBlob {
        url,
        version: text("version"),
        version_description: None,
        checksum: text("checksum"),
        root: String::new(),
    };
    Ok(SetupRequest { blob, source, environment, env: ConfigVars::new(), buildpacks: vec![] })
}

/// Values for config vars; null leaves one to the source.
pub(super) fn env(asked: Option<&Value>) -> Result<ConfigVars, ApiError> {
    let asked = asked.and_then(Value::as_object).cloned().unwrap_or_default();
    let changes = super::config_var::changes(asked)?.into_iter();
    Ok(changes.filter_map(|(name, value)| Some((name, value?))).collect())
}

async fn info(State(platform): State<Platform>, Path(setup): Path<String>) -> Answer {
    let found = platform.inner.db.read(|db| db::app_setup::find(db, &setup))?;
    let missing = || ApiError::not_found("app_setup", "Couldn't find that app setup.");
    let setup = found.ok_or_else(missing)?;
    if setup.app_id.is_some_and(|app| !super::is_seen(&platform, app)) {
        return Err(missing());
    }
    Ok(ok(render(&platform, &setup)?))
}

fn render(platform: &Platform, setup: &AppSetup) -> Result<Value, ApiError> {
    let (app, build) = platform.inner.db.read(|db| {
        let app = setup.app_id.map(|id| db::app::find(db, &id.to_string())).transpose()?.flatten();
        let build = match (&app, setup.build_id) {
            (Some(app), Some(build)) => db::build::find(db, app.id, &build.to_string())?,
            _ => None,
        };
        Ok((app, build))
    })?;
    let success = setup.success_url.as_ref().zip(app.as_ref()).map(|(url, app)| {
        let base = platform.web_url(&app.name);
        url.strip_prefix('/').map_or_else(|| url.clone(), |path| format!("{base}{path}"))
    });
    let reference = |app: &App| super::app::reference(app);
    let mut item = json!({
        "build": build.map(|build| json!({
            "id": build.id,
            "output_stream_url": platform.stream_url(build.id),
            "status": build.status,
        })),
        "created_at": api_time(setup.created_at),
        "failure_message": setup.failure,
        "id": setup.id,
        "manifest_errors": setup.errors,
        "postdeploy": setup.postdeploy.as_ref().map(|(status, output)| json!({
            "exit_code": status,
            "output": output,
        })),
        "resolved_success_url": success,
        "status": setup.status,
        "updated_at": api_time(setup.updated_at),
    });
    if let Some(app) = &app {
        item["app"] = reference(app);
    }
    Ok(item)
}
