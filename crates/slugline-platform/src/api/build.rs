//! Resource `build`.

use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::error::ApiError;
use super::{Answer, account, list as lists, ok};
use crate::clock::api_time;
use crate::db;
use crate::db::app::App;
use crate::db::build::Build;
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
    let app = platform.app(&app)?;
    let build = platform.inner.db.read(|db| db::build::find(db, app.id, &build))?;
    let build = build.ok_or_else(|| ApiError::not_found("build", "Couldn't find that build."))?;
    Ok(ok(render(&platform, &app, &build)))
}

pub(crate) async fn create(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body = super::formation::object(&body)?;
    let blob = body.get("source_blob").cloned().unwrap_or_default();
    let url = blob["url"].as_str().ok_or_else(|| {
        ApiError::invalid("`source_blob.url` is missing: it must be the URL of an uploaded source")
    })?;
    let source = platform.source_of_url(url).ok_or_else(|| {
        ApiError::invalid(
            "`source_blob.url` does not name an uploaded source: POST /sources gives a place to \
             PUT one, and its get_url is what belongs here",
        )
    })?;
    let version = blob["version"].as_str().map(str::to_owned);
    let buildpacks = buildpacks(body.get("buildpacks"))?;
    let build = platform.start_build(&app, url, source, version, buildpacks)?;
    Ok(super::json(StatusCode::CREATED, render(&platform, &app, &build)))
}

/// `[{"url": …}]`, or `name` in the place of `url`; nothing to let the app decide.
fn buildpacks(asked: Option<&Value>) -> Result<Vec<String>, ApiError> {
    let asked = match asked {
        None | Some(Value::Null) => return Ok(vec![]),
        Some(asked) => asked.as_array().map(Vec::as_slice),
    };
    let name = |buildpack: &Value| {
        let name = buildpack["url"].as_str().or(buildpack["name"].as_str());
        name.filter(|name| !name.contains('\0')).map(str::to_owned)
    };
    let names = asked.and_then(|asked| asked.iter().map(name).collect::<Option<_>>());
    names.ok_or_else(|| {
        ApiError::invalid("`buildpacks` must be a list of objects, each with a `url` or a `name`")
    })
}

fn render(platform: &Platform, app: &App, build: &Build) -> Value {
    let named = |url: &String| json!({ "url": url, "name": url });
    let buildpacks: Option<Vec<Value>> =
        (!build.buildpacks.is_empty()).then(|| build.buildpacks.iter().map(named).collect());
    json!({
        "app": { "id": app.id },
        "buildpacks": buildpacks,
        "created_at": api_time(build.created_at),
        // Ours: the phase that the build failed in.
        "exit_code": build.exit_code,
        "id": build.id,
        "output_stream_url":
            format!("http://localhost:{}/streams/{}", platform.inner.config.api_port, build.id),
        "release": build.release_id.map(|id| json!({ "id": id })),
        // Ours: what bin/report of the buildpacks said.
        "reports": build.reports,
        "slug": build.slug_id.map(|id| json!({ "id": id })),
        "source_blob": {
            "checksum": null,
            "url": build.source_url,
            "version": build.source_version,
            "version_description": null,
        },
        "stack": "host",
        "status": build.status,
        // Ours: what each buildpack and hook did to the tree.
        "steps": build.steps,
        "updated_at": api_time(build.updated_at),
        "user": account::reference(),
    })
}
