//! Resource `log-drain`.

use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use slugline_model::drain::{DrainUrl, MOST};
use uuid::Uuid;

use super::error::ApiError;
use super::{Answer, list as lists, ok};
use crate::clock::{self, api_time};
use crate::db;
use crate::db::app::App;
use crate::db::log_drain::LogDrain;
use crate::platform::Platform;

pub(crate) async fn list(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let app = platform.app(&app)?;
    let drains = platform.inner.db.read(|db| db::log_drain::of_app(db, app.id))?;
    Ok(lists::list(&headers, drains.iter().map(|drain| render(&app, drain)).collect()))
}

pub(crate) async fn info(
    State(platform): State<Platform>,
    Path((app, drain)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    Ok(ok(render(&app, &find(&platform, &app, &drain)?)))
}

pub(crate) async fn create(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body = super::formation::object(&body)?;
    let url = body.get("url").and_then(Value::as_str).unwrap_or_default();
    let url: DrainUrl =
        url.parse().map_err(|error| ApiError::invalid(format!("Url is invalid. {error}")))?;
    let id = Uuid::new_v4();
    let token = format!("d.{}", Uuid::new_v4());
    let now = clock::now();
    let drain = LogDrain { id, app_id: app.id, url, token, arrived: 0, created_at: now };
    let refused = platform.inner.db.transaction(|db| {
        let others = db::log_drain::of_app(db, app.id)?;
        if others.iter().any(|other| other.url == drain.url) {
            return Ok(Some("Url has already been taken".to_owned()));
        }
        if others.len() >= MOST {
            return Ok(Some(format!("You have reached your drain limit of {MOST}.")));
        }
        db::log_drain::insert(db, &drain)?;
        Ok(None)
    })?;
    if let Some(refused) = refused {
        return Err(ApiError::invalid(refused));
    }
    platform.keep_drains();
    Ok(super::json(StatusCode::CREATED, render(&app, &drain)))
}

pub(crate) async fn delete(
    State(platform): State<Platform>,
    Path((app, drain)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    let drain = find(&platform, &app, &drain)?;
    platform.inner.db.transaction(|db| db::log_drain::delete(db, drain.id))?;
    platform.keep_drains();
    Ok(ok(render(&app, &drain)))
}

/// By id, URL or token.
fn find(platform: &Platform, app: &App, wanted: &str) -> Result<LogDrain, ApiError> {
    let drains = platform.inner.db.read(|db| db::log_drain::of_app(db, app.id))?;
    let is_it = |drain: &LogDrain| {
        drain.id.to_string() == wanted || drain.url.as_str() == wanted || drain.token == wanted
    };
    let found = drains.into_iter().find(is_it);
    found.ok_or_else(|| ApiError::not_found("log_drain", "Couldn't find that log drain."))
}

fn render(app: &App, drain: &LogDrain) -> Value {
    json!({
        "addon": null,
        "app": super::app::reference(app),
        "created_at": api_time(drain.created_at),
        "id": drain.id,
        "token": drain.token,
        "updated_at": api_time(drain.created_at),
        "url": drain.url.as_str(),
    })
}
