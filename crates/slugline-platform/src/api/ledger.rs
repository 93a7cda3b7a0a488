//! The ledger, which is ours: what live dynos have written since they booted, and what an app wants
//! to hear and to allow of that.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::Uri;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use slugline_model::advice::Framework;
use slugline_model::dyno::{DynoId, DynoState};
use slugline_model::kept::{self, Ephemeral};
use slugline_model::ledger::Receipt;

use super::error::ApiError;
use super::slug_reading::decoded;
use super::{Answer, dyno as dynos, formation, ok};
use crate::clock::{self, api_time};
use crate::db;
use crate::db::app::App;
use crate::dynos::{Dyno, Role};
use crate::layers::Held;
use crate::lost_files::advice;
use crate::platform::Platform;

/// The ledgers of all dynos of an app, by name.
pub(crate) async fn of_app(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    let framework = platform.framework(&app).await;
    let mut items = vec![];
    for dyno in live(&platform, &app, |_| true) {
        // One that has not begun, or has ended this moment, has no ledger.
        if let Ok(item) = ledger(&platform, dyno, framework).await {
            items.push(item);
        }
    }
    Ok(ok(Value::Array(items)))
}

/// The ledger of one dyno, by its name or its id.
pub(crate) async fn of_dyno(
    State(platform): State<Platform>,
    Path((app, dyno)): Path<(String, String)>,
) -> Answer {
    let dyno = found(&platform, &app, &dyno)?;
    let framework = platform.framework(&platform.app(&app)?).await;
    Ok(ok(ledger(&platform, dyno, framework).await?))
}

/// What a live dyno has written, as a tar: see `receipt::files`.
pub(crate) async fn files(
    State(platform): State<Platform>,
    Path((app, dyno)): Path<(String, String)>,
    uri: Uri,
) -> Answer {
    let paths = asked_paths(&uri)?;
    let dyno = found(&platform, &app, &dyno)?;
    Ok(archive(&platform, dyno.id, paths, None))
}

/// What the app wants to hear and to allow.
pub(crate) async fn mode(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    Ok(ok(json!({ "mode": platform.app(&app)?.ephemeral })))
}

/// Changes that. What is allowed changes with each dyno's next start.
pub(crate) async fn set_mode(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body = formation::object(&body)?;
    let asked = body.get("mode").and_then(Value::as_str).unwrap_or_default();
    let mode = Ephemeral::named(asked).ok_or_else(|| {
        let all = Ephemeral::ALL.map(Ephemeral::as_str).join(", ");
        ApiError::invalid(format!("`mode` is `{asked}`: it must be one of {all}"))
    })?;
    platform.inner.db.transaction(|db| db::app::set_ephemeral(db, app.id, mode))?;
    let text = format!("Ephemeral mode {}, for dynos from their next start on", mode.as_str());
    platform.say_api(&app.name, text);
    Ok(ok(json!({ "mode": mode })))
}

/// The dynos of an app that have processes, by name; of one name the one that serves first.
fn live(platform: &Platform, app: &App, is_meant: impl Fn(&Dyno) -> bool) -> Vec<Dyno> {
    let dynos = platform.dynos();
    let of_app = dynos.alive.values().filter(|dyno| {
        dyno.app == app.name && dyno.role != Role::Build && dyno.state.is_alive() && is_meant(dyno)
    });
    let mut found: Vec<Dyno> = of_app.cloned().collect();
    found.sort_by_key(|dyno| (dyno.name.to_string(), dyno.state != DynoState::Up, dyno.id));
    found
}

fn found(platform: &Platform, app: &str, name: &str) -> Result<Dyno, ApiError> {
    let app = platform.app(app)?;
    let named = |dyno: &Dyno| dyno.name.to_string() == name || dyno.id.to_string() == name;
    live(platform, &app, named).into_iter().next().ok_or_else(dynos::no_such_dyno)
}

async fn ledger(platform: &Platform, dyno: Dyno, framework: Framework) -> Result<Value, ApiError> {
    let id = dyno.id;
    let read = platform.blocking(move |inner| inner.engine.ledger(id)).await;
    let read = read.map_err(|error| {
        ApiError::invalid(format!(
            "The files of {} cannot be read now: {}: {}",
            dyno.name, error.operation, error.source
        ))
    })?;
    Ok(render(&dyno, &read, framework))
}

fn render(dyno: &Dyno, ledger: &Receipt, framework: Framework) -> Value {
    json!({
        "id": dyno.id,
        "dyno": dyno.name,
        "state": dyno.state,
        "release": { "version": dyno.release },
        "files": ledger.content.files,
        "bytes": ledger.content.bytes,
        "content": ledger.content,
        "groups": ledger.groups,
        "largest": ledger.largest,
        "noise": ledger.noise,
        "framework": framework,
        "advice": advice(ledger, framework),
        "started_at": api_time(dyno.started_at),
        "read_at": api_time(clock::now()),
    })
}

/// A tar of what a dyno wrote, which stays for as long as it is sent.
pub(crate) fn archive(
    platform: &Platform,
    id: DynoId,
    paths: Vec<String>,
    held: Option<Held>,
) -> Response {
    let inner = std::sync::Arc::clone(&platform.inner);
    let body = crate::bridge::body(move |out| {
        let written = inner.engine.export(id, &paths, out);
        if held.is_some() {
            // It may have been due all the while.
            drop(held);
            inner.layers.look();
        }
        written.map(drop).map_err(|error| format!("{}: {}", error.operation, error.source))
    });
    ([(CONTENT_TYPE, "application/x-tar")], body).into_response()
}

/// Each `path` of the query, absolute.
pub(crate) fn asked_paths(uri: &Uri) -> Result<Vec<String>, ApiError> {
    let paths = values(uri, "path").map(|path| kept::absolute(&path));
    paths.collect::<Result<_, _>>().map_err(|error| ApiError::invalid(error.to_string()))
}

/// The values that the query gives a name.
pub(crate) fn values(uri: &Uri, name: &str) -> impl Iterator<Item = String> {
    let pairs = uri.query().unwrap_or_default().split('&');
    let values = pairs.filter_map(|pair| pair.split_once('=')).filter(move |(key, _)| *key == name);
    values.map(|(_, value)| String::from_utf8_lossy(&decoded(value)).into_owned())
}
