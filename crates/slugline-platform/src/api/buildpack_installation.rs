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

/// A buildpack as other resources refer to it: a name has Heroku's URN for its URL, a URL is its own
/// name.
pub(crate) fn reference(buildpack: &str) -> Value {
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    let named = buildpack
        .split_once('/')
        .is_some_and(|(namespace, name)| is_name(namespace) && is_name(name));
    let urn = if named { "urn:buildpack:" } else { "" };
    json!({ "url": format!("{urn}{buildpack}"), "name": buildpack })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_urn_and_a_url_is_itself() {
        let urn = json!({ "url": "urn:buildpack:heroku/python", "name": "heroku/python" });
        assert_eq!(reference("heroku/python"), urn);
        for url in ["https://example.com/a.git#v1", "/opt/buildpack", "git@example.com:a/b"] {
            assert_eq!(reference(url)["url"], url);
        }
    }
}
