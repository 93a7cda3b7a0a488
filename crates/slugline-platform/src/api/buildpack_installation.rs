//! Resource `buildpack-installation`: the buildpacks that an app is set to.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::error::ApiError;
use super::{Answer, ok};
use crate::db;
use crate::platform::Platform;

pub(crate) async fn list(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    let buildpacks = platform.inner.db.read(|db| db::buildpack_installation::of_app(db, app.id))?;
    Ok(ok(render(&buildpacks)))
}

/// Sets them; none lets the app decide again. They take effect with the next build.
pub(crate) async fn update(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body = super::formation::object(&body)?;
    let updates = body.get("updates").and_then(Value::as_array).ok_or_else(|| {
        ApiError::invalid("`updates` is missing: it must be a list of {\"buildpack\": …}")
    })?;
    let reference = |update: &Value| {
        let text = update["buildpack"].as_str().unwrap_or_default();
        crate::buildpacks::reference(text).map_err(ApiError::invalid)
    };
    let buildpacks: Vec<String> = updates.iter().map(reference).collect::<Result<_, _>>()?;
    platform
        .inner
        .db
        .transaction(|db| db::buildpack_installation::replace(db, app.id, &buildpacks))?;
    platform.say_api(&app.name, "Update buildpacks");
    Ok(ok(render(&buildpacks)))
}

fn render(buildpacks: &[String]) -> Value {
    let installation = |(ordinal, buildpack): (usize, &String)| json!({ "ordinal": ordinal, "buildpack": reference(buildpack) });
    buildpacks.iter().enumerate().map(installation).collect()
}

/// A buildpack as other resources refer to it. A name stands for both of its fields, as clients
/// expect.
pub(crate) fn reference(buildpack: &str) -> Value {
    json!({ "url": buildpack, "name": buildpack })
}
