//! Moves of add-ons to other plans of their service. Ours.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::StatusCode;
use serde_json::{Value, json};

use super::error::ApiError;
use super::{Answer, add_on, ok};
use crate::clock::api_time;
use crate::db;
use crate::db::add_on_move::Move;
use crate::platform::Platform;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/apps/{app}/addon-moves", get(of_app))
        .route("/apps/{app}/addons/{addon}/move", get(info).post(begin))
        .route("/apps/{app}/addons/{addon}/move/actions/switch", post(switch))
        .route("/apps/{app}/addons/{addon}/move/actions/finish", post(finish))
}

async fn of_app(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    let moves = platform.inner.db.read(|db| db::add_on_move::of_app(db, app.id))?;
    let moves: Result<Vec<Value>, _> = moves.iter().map(|one| render(&platform, one)).collect();
    Ok(ok(Value::Array(moves?)))
}

async fn info(
    State(platform): State<Platform>,
    Path((app, addon)): Path<(String, String)>,
) -> Answer {
    Ok(ok(render(&platform, &begun(&platform, &app, &addon)?)?))
}

async fn begin(
    State(platform): State<Platform>,
    Path((app, addon)): Path<(String, String)>,
    body: String,
) -> Answer {
    let owner = platform.app(&app)?;
    let addon = add_on::find_in(&platform, &app, &addon)?;
    if addon.app_id != Some(owner.id) {
        return Err(ApiError::invalid(format!(
            "{} belongs to another app, and is only attached to {}: it is moved from there",
            addon.name, owner.name
        )));
    }
    let body = super::formation::object(&body)?;
    let plan = add_on::identity(body.get("plan")).ok_or_else(|| {
        ApiError::invalid("`plan` is missing: it must be the name of a plan, such as s3:external")
    })?;
    let options = add_on::options(body.get("config"));
    let one = platform.begin_move(&owner, &addon, &plan, options).await?;
    Ok(super::json(StatusCode::CREATED, render(&platform, &one)?))
}

async fn switch(
    State(platform): State<Platform>,
    Path((app, addon)): Path<(String, String)>,
) -> Answer {
    let one = platform.switch_move(&begun(&platform, &app, &addon)?)?;
    Ok(ok(render(&platform, &one)?))
}

async fn finish(
    State(platform): State<Platform>,
    Path((app, addon)): Path<(String, String)>,
) -> Answer {
    let one = begun(&platform, &app, &addon)?;
    if one.switched_at.is_none() {
        return Err(ApiError::invalid(
            "The apps do not have the new add-on yet. Next: …/move/actions/switch",
        ));
    }
    Ok(ok(render(&platform, &platform.finish_move(&one)?)?))
}

/// The move of an add-on of the app's own.
fn begun(platform: &Platform, app: &str, addon: &str) -> Result<Move, ApiError> {
    let owner = platform.app(app)?;
    let addon = add_on::find_in(platform, app, addon)?;
    let found = platform.inner.db.read(|db| db::add_on_move::of_source(db, addon.id))?;
    found
        .filter(|_| addon.app_id == Some(owner.id))
        .ok_or_else(|| ApiError::not_found("add_on", "That add-on is not being moved."))
}

fn render(platform: &Platform, one: &Move) -> Result<Value, ApiError> {
    let part = |id| {
        let found = platform.inner.db.read(|db| db::add_on::find(db, id))?;
        let addon = found.ok_or_else(add_on::no_such)?;
        let apps = platform.inner.db.read(|db| {
            let attachments = db::add_on_attachment::of_addon(db, addon.id)?.into_iter();
            let apps = attachments.map(|one| db::app::find(db, &one.app_id.to_string()));
            apps.collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let apps: Vec<String> =
            apps.into_iter().flatten().map(|app| app.name.to_string()).collect();
        let (name, plan) = (&addon.name, addon.full_plan());
        Ok::<_, ApiError>(json!({ "id": addon.id, "name": name, "plan": plan, "apps": apps }))
    };
    Ok(json!({
        "source": part(one.source)?,
        "target": part(one.target)?,
        "started_at": api_time(one.started_at),
        "switched_at": one.switched_at.map(api_time),
        "finished_at": one.finished_at.map(api_time),
    }))
}
