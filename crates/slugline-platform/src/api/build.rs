//! Resource `build`.

use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use slugline_model::parts;

use super::error::ApiError;
use super::{Answer, account, buildpack_installation, list as lists, ok};
use crate::builds::Inputs;
use crate::clock::api_time;
use crate::db;
use crate::db::app::App;
use crate::db::build::{Build, SourceBlob};
use crate::platform::Platform;

pub(crate) async fn list(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let app = platform.app(&app)?;
    let builds = platform.inner.db.read(|db| db::build::of_app(db, app.id))?;
    let items = builds.iter().map(|build| render(&platform, &app, build)).collect();
    Ok(lists::list(&headers, items))
}

pub(crate) async fn info(
    State(platform): State<Platform>,
    Path((app, build)): Path<(String, String)>,
) -> Answer {
    let (app, build) = found(&platform, &app, &build)?;
    Ok(ok(render(&platform, &app, &build)))
}

/// A build with its output, as Heroku's API had it before there were streams; and, ours, all parts
/// of its slug.
pub(crate) async fn result(
    State(platform): State<Platform>,
    Path((app, build)): Path<(String, String)>,
) -> Answer {
    let (app, build) = found(&platform, &app, &build)?;
    let id = build.id;
    platform.recall_output(id).await?;
    let output = platform.blocking(move |inner| inner.outputs.text(id)).await;
    let line = |line: &str| json!({ "stream": "STDOUT", "line": format!("{line}\n") });
    Ok(ok(json!({
        "build": render(&platform, &app, &build),
        "exit_code": build.exit_code,
        "lines": output.lines().map(line).collect::<Vec<_>>(),
        "parts": build.result.as_ref().map(|result| &result.parts),
    })))
}

pub(crate) async fn create(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body = super::formation::object(&body)?;
    let blob = body.get("source_blob").cloned().unwrap_or_default();
    let text = |name: &str| blob[name].as_str().map(str::to_owned);
    let url = text("url").ok_or_else(|| {
        ApiError::invalid("`source_blob.url` is missing: it must be the URL of an uploaded source")
    })?;
    let source = platform.source_of_url(&url).ok_or_else(|| {
        ApiError::invalid(
            "`source_blob.url` does not name an uploaded source: POST /sources gives a place to \
             PUT one, and its get_url is what belongs here",
        )
    })?;
    let buildpacks = match asked(body.get("buildpacks"))? {
        asked if asked.is_empty() => {
            platform.inner.db.read(|db| db::buildpack_installation::of_app(db, app.id))?
        }
        asked => asked,
    };
    let source_blob = SourceBlob {
        url,
        version: text("version"),
        version_description: text("version_description"),
        checksum: text("checksum"),
        root: root(text("root").unwrap_or_default())?,
    };
    let inputs = Inputs { source: source_blob, buildpacks, ..Inputs::default() };
    let build = platform.start_build(&app, inputs, source)?;
    Ok(super::json(StatusCode::CREATED, render(&platform, &app, &build)))
}

/// Ours: the directory of the source that the app is in.
fn root(asked: String) -> Result<String, ApiError> {
    let below =
        |part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir);
    let is_below = std::path::Path::new(&asked).components().all(below);
    if is_below && !asked.contains('\0') {
        return Ok(asked);
    }
    Err(ApiError::invalid(format!(
        "`source_blob.root` is `{asked}`: it must be a directory of the source, named from its top"
    )))
}

/// The buildpacks of a request, each named by its URL or its name.
fn asked(buildpacks: Option<&Value>) -> Result<Vec<String>, ApiError> {
    let buildpacks = buildpacks.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let reference = |buildpack: &Value| {
        let text = buildpack["url"].as_str().or(buildpack["name"].as_str()).unwrap_or_default();
        crate::buildpacks::reference(text).map_err(ApiError::invalid)
    };
    buildpacks.iter().map(reference).collect()
}

/// Cancels a build that waits or runs. Its output, and its state soon, say so.
pub(crate) async fn cancel(
    State(platform): State<Platform>,
    Path((app, build)): Path<(String, String)>,
) -> Answer {
    let (app, build) = found(&platform, &app, &build)?;
    if !platform.inner.cancels.cancel(build.id) {
        return Err(ApiError::invalid(format!(
            "Build {} cannot be canceled: it has {}",
            build.id,
            build.status.as_str()
        )));
    }
    platform.say_api(&app.name, "Build canceled");
    Ok(super::json(StatusCode::ACCEPTED, render(&platform, &app, &build)))
}

/// Ours: builds the same source with the same buildpacks and config vars once more.
pub(crate) async fn replay(
    State(platform): State<Platform>,
    Path((app, build)): Path<(String, String)>,
) -> Answer {
    let (app, build) = found(&platform, &app, &build)?;
    let (inputs, source) = platform.inputs_of(&build).ok_or_else(|| {
        ApiError::gone(format!(
            "Build {} cannot be replayed: its source has expired. The sources of an app's last {} \
             builds are kept",
            build.id, platform.inner.config.limits.replayable_builds
        ))
    })?;
    let build = platform.start_build(&app, inputs, source)?;
    Ok(super::json(StatusCode::CREATED, render(&platform, &app, &build)))
}

/// Ours: how large the build cache is, and may be.
pub(crate) async fn cache(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    let size = platform.cache_size(&app.name).await;
    Ok(ok(json!({ "size": size, "quota": platform.inner.config.limits.cache })))
}

/// Purges the build cache: at once, or, while a build runs, as soon as it is over.
pub(crate) async fn delete_cache(
    State(platform): State<Platform>,
    Path(app): Path<String>,
) -> Answer {
    let app = platform.app(&app)?;
    let building = platform.inner.turns.is_building(&app.name);
    let purge = platform.purge_cache(&app.name);
    if !building {
        let _ = purge.await;
    }
    platform.say_api(&app.name, "Build cache purged");
    let status = if building { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok(super::json(status, json!({})))
}

fn found(platform: &Platform, app: &str, build: &str) -> Result<(App, Build), ApiError> {
    let app = platform.app(app)?;
    let build = platform.inner.db.read(|db| db::build::find(db, app.id, build))?;
    let build = build.ok_or_else(|| ApiError::not_found("build", "Couldn't find that build."))?;
    Ok((app, build))
}

pub(super) fn render(platform: &Platform, app: &App, build: &Build) -> Value {
    let result = build.result.as_ref();
    let ran = result.map(|result| &result.buildpacks).filter(|ran| !ran.is_empty());
    let buildpacks: Vec<Value> = ran
        .unwrap_or(&build.buildpacks)
        .iter()
        .map(|buildpack| buildpack_installation::reference(buildpack))
        .collect();
    json!({
        "app": { "id": app.id },
        "buildpacks": (!buildpacks.is_empty()).then_some(buildpacks),
        "created_at": api_time(build.created_at),
        "generation": "cedar",
        "id": build.id,
        "output_stream_url": platform.stream_url(build.id),
        "release": build.release_id.map(|id| json!({ "id": id })),
        // Ours: what bin/report of the buildpacks said.
        "reports": result.map(|result| &result.reports),
        "slug": build.slug_id.map(|id| json!({ "id": id })),
        "source_blob": {
            "checksum": build.source.checksum,
            // Ours: where the app is in its source.
            "root": build.source.root,
            "url": build.source.url,
            "version": build.source.version,
            "version_description": build.source.version_description,
        },
        "stack": "host",
        "status": build.status,
        "updated_at": api_time(build.updated_at),
        "user": account::reference_or(platform, build.user_id, app).unwrap_or_default(),
        // From here on ours. First, why it failed: the phase, and a few words.
        "exit_code": build.exit_code,
        "failure": build.failure,
        "replay_of": build.replay_of.map(|id| json!({ "id": id })),
        "replayable": build.config_vars.is_some(),
        // What each buildpack and hook did to the tree, and what that tree is like.
        "steps": result.map_or(&[][..], |result| &result.steps),
        "size": result.map(|result| result.size),
        "biggest": result.map(|result| &result.parts[..result.parts.len().min(parts::SHOWN)]),
        "grown": build.grown,
        "leaks": result.map_or(&[][..], |result| &result.leaks),
        "cache_size": build.cache_bytes,
    })
}
