//! Buildpacks by name, as Heroku's registry tells them: its clients look a name up before they set
//! it, and search for it (`HEROKU_BUILDPACK_REGISTRY_URL`). Needs no token, as there.

use axum::Router;
use axum::extract::{Path, Query};
use axum::routing::get;
use serde_json::{Value, json};

use super::error::ApiError;
use super::named_id::named_id;
use super::{Answer, ok};
use crate::platform::Platform;

/// Those that need nothing from elsewhere, and what they are for.
const BUILT_IN: [(&str, &str); 5] = [
    ("heroku/inline", "The app's own bin/detect, bin/compile and bin/release"),
    ("heroku/nodejs", "Node.js with npm, Yarn or pnpm"),
    ("heroku/procfile", "Whatever a Procfile starts, without anything to compile"),
    ("heroku/python", "Python with pip, Pipenv, Poetry or uv"),
    ("heroku/static", "A site of files"),
];

/// Heroku's own that have no counterpart here: a build fetches them.
const FETCHED: [(&str, &str); 8] = [
    ("heroku/clojure", "Clojure with Leiningen; Heroku's own"),
    ("heroku/go", "Go with modules; Heroku's own"),
    ("heroku/gradle", "Java and Kotlin with Gradle; Heroku's own"),
    ("heroku/java", "Java with Maven; Heroku's own"),
    ("heroku/jvm", "A Java runtime alone; Heroku's own"),
    ("heroku/php", "PHP with Composer; Heroku's own"),
    ("heroku/ruby", "Ruby with Bundler; Heroku's own"),
    ("heroku/scala", "Scala with sbt; Heroku's own"),
];

/// All whose names are known here.
fn listed() -> impl Iterator<Item = (&'static str, &'static str)> {
    BUILT_IN.into_iter().chain(FETCHED)
}

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/buildpacks", get(search))
        .route("/buildpacks/{name}", get(info))
        .route("/buildpacks/{name}/revisions", get(revisions))
        .route("/buildpacks/{name}/readme", get(readme))
}

/// What clients set instead of the name stands for the name: the build knows what it means.
async fn info(Path(name): Path<String>) -> Answer {
    Ok(ok(render(&known(&name)?)))
}

async fn search(Query(query): Query<Vec<(String, String)>>) -> Answer {
    let found = listed().filter(|(name, description)| {
        let (namespace, short) = name.split_once('/').unwrap_or_default();
        let asked = |key: &str| -> Vec<&str> {
            let values = query.iter().filter(|(asked, _)| asked == key);
            values.map(|(_, value)| value.as_str()).collect()
        };
        let among = |key: &str, value: &str| asked(key).is_empty() || asked(key).contains(&value);
        let like = asked("like[description]")
            .iter()
            .all(|text| description.to_lowercase().contains(&text.to_lowercase()));
        among("in[namespace][]", namespace) && among("in[name][]", short) && like
    });
    Ok(ok(found.map(|(name, _)| render(name)).collect()))
}

/// The one revision: the one that this server has, or that a build fetches.
async fn revisions(Path(name): Path<String>) -> Answer {
    let name = known(&name)?;
    Ok(ok(json!([{
        "checksum": null,
        "created_at": "2026-01-01T00:00:00Z",
        "error": null,
        "id": named_id("buildpack-revision", &name),
        "license": null,
        "release": 1,
        "status": "published",
        "updated_at": "2026-01-01T00:00:00Z",
    }])))
}

async fn readme(Path(name): Path<String>) -> Answer {
    let name = known(&name)?;
    let text = description(&name);
    let content = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    Ok(ok(json!({ "content": content, "encoding": "base64" })))
}

/// The name, if it is one of a registry's.
fn known(name: &str) -> Result<String, ApiError> {
    let missing = || ApiError::not_found("buildpack", "Couldn't find that buildpack.");
    let name = crate::buildpacks::reference(name).map_err(|_| missing())?;
    if name
        .split_once('/')
        .is_none_or(|(namespace, short)| namespace.is_empty() || short.is_empty())
    {
        return Err(missing());
    }
    Ok(name)
}

fn description(name: &str) -> String {
    let found = listed().find(|(known, _)| *known == name);
    let fetched = || "Fetched by a build, from where Heroku's registry has it".to_owned();
    found.map_or_else(fetched, |(_, description)| description.to_owned())
}

fn render(name: &str) -> Value {
    let (namespace, short) = name.split_once('/').unwrap_or_default();
    let built_in = BUILT_IN.iter().any(|(known, _)| *known == name);
    json!({
        "blob_url": format!("urn:buildpack:{name}"),
        "category": "languages",
        "created_at": "2026-01-01T00:00:00Z",
        "description": description(name),
        "full_name": name,
        "id": named_id("buildpack", name),
        "license": null,
        "logo": null,
        "name": short,
        "namespace": namespace,
        "source": { "owner": namespace, "repo": short, "type": if built_in { "slugline" } else { "github" } },
        "support": { "method": "unsupported" },
        "two_factor_authentication": false,
        "updated_at": "2026-01-01T00:00:00Z",
    })
}
