//! Resource `app-transfer`: an app is offered, and becomes the other's when they accept.

use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::account::asker;
use super::error::ApiError;
use super::{Answer, account, app as apps, collaborator, formation, ok};
use crate::clock::{self, api_time};
use crate::db;
use crate::db::app_transfer::AppTransfer;
use crate::platform::Platform;

pub(crate) async fn list(State(platform): State<Platform>) -> Answer {
    let id = asker()?.account.id;
    let all = platform.inner.db.read(|db| db::app_transfer::of_account(db, id))?;
    let shown = all.iter().map(|transfer| render(&platform, transfer));
    Ok(ok(shown.collect::<Result<_, _>>()?))
}

pub(crate) async fn info(State(platform): State<Platform>, Path(id): Path<String>) -> Answer {
    Ok(ok(render(&platform, &found(&platform, &id)?)?))
}

fn found(platform: &Platform, id: &str) -> Result<AppTransfer, ApiError> {
    let account = asker()?.account.id;
    let found = platform.inner.db.read(|db| db::app_transfer::find(db, account, id))?;
    found.ok_or_else(|| ApiError::not_found("app_transfer", "Couldn't find that app transfer."))
}

/// Offers an app. What was offered of it before is taken back.
pub(crate) async fn create(State(platform): State<Platform>, body: String) -> Answer {
    let who = asker()?;
    let body = formation::object(&body)?;
    let app = body.get("app").cloned().unwrap_or_default();
    let name = app.as_str().or(app["name"].as_str()).or(app["id"].as_str());
    let name = name.ok_or_else(|| ApiError::invalid("`app` is missing"))?;
    let app = platform.app(name)?;
    platform.require_owner(&who, &app)?;
    let recipient = collaborator::named(&platform, body.get("recipient"))?;
    if recipient.id == app.owner_id {
        return Err(ApiError::invalid("The app is theirs already"));
    }
    let now = clock::now();
    // Who offers it to themselves, as its operator may, has accepted.
    let state = if recipient.id == who.account.id { "accepted" } else { "pending" };
    let transfer = AppTransfer {
        id: Uuid::new_v4(),
        app_id: app.id,
        owner_id: app.owner_id,
        recipient_id: recipient.id,
        state: state.to_owned(),
        created_at: now,
        updated_at: now,
    };
    platform.inner.db.transaction(|db| {
        db::app_transfer::delete_pending(db, app.id)?;
        settle(db, &transfer, now)
    })?;
    Ok(super::json(StatusCode::CREATED, render(&platform, &transfer)?))
}

/// Writes where a transfer stands. An app that was accepted is the other's from then on, and its
/// former owner may still work on it.
fn settle(db: &rusqlite::Connection, transfer: &AppTransfer, now: i64) -> rusqlite::Result<()> {
    db::app_transfer::put(db, transfer)?;
    if transfer.state != "accepted" {
        return Ok(());
    }
    let AppTransfer { app_id, owner_id, recipient_id, .. } = *transfer;
    db::app::set_owner(db, app_id, recipient_id, now)?;
    db::collaborator::delete(db, app_id, recipient_id)?;
    db::collaborator::add(db, app_id, owner_id, now)
}

/// Accepts or declines, for whom it is offered to.
pub(crate) async fn update(
    State(platform): State<Platform>,
    Path(id): Path<String>,
    body: String,
) -> Answer {
    let mut transfer = found(&platform, &id)?;
    let body = formation::object(&body)?;
    let state = body.get("state").and_then(Value::as_str).unwrap_or_default();
    let state = ["accepted", "declined"].into_iter().find(|known| *known == state);
    let state = state.ok_or_else(|| ApiError::invalid("`state` must be accepted or declined"))?;
    if transfer.recipient_id != asker()?.account.id {
        return Err(ApiError::forbidden("Only whom the app is offered to may do that."));
    }
    if transfer.state != "pending" {
        return Err(ApiError::invalid(format!("The transfer is {} already", transfer.state)));
    }
    let now = clock::now();
    state.clone_into(&mut transfer.state);
    transfer.updated_at = now;
    platform.inner.db.transaction(|db| settle(db, &transfer, now))?;
    Ok(ok(render(&platform, &transfer)?))
}

/// Takes an offer back.
pub(crate) async fn delete(State(platform): State<Platform>, Path(id): Path<String>) -> Answer {
    let transfer = found(&platform, &id)?;
    if transfer.state != "pending" {
        return Err(ApiError::invalid(format!("The transfer is {} already", transfer.state)));
    }
    let shown = render(&platform, &transfer)?;
    platform.inner.db.transaction(|db| db::app_transfer::delete_pending(db, transfer.app_id))?;
    Ok(ok(shown))
}

fn render(platform: &Platform, transfer: &AppTransfer) -> Result<Value, ApiError> {
    let app = platform.inner.db.read(|db| db::app::find(db, &transfer.app_id.to_string()))?;
    Ok(json!({
        "app": app.as_ref().map(apps::reference),
        "created_at": api_time(transfer.created_at),
        "id": transfer.id,
        "owner": account::reference_to(platform, transfer.owner_id)?,
        "recipient": account::reference_to(platform, transfer.recipient_id)?,
        "state": transfer.state,
        "updated_at": api_time(transfer.updated_at),
    }))
}
