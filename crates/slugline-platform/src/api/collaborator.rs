//! Resource `collaborator`: who may work on an app. Owners let people in; everybody may leave.

use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};
use slugline_model::access::Role;

use super::account::asker;
use super::error::ApiError;
use super::{Answer, account, app as apps, formation, ok};
use crate::clock::{self, api_time};
use crate::db;
use crate::db::account::Account;
use crate::db::app::App;
use crate::db::collaborator::Collaborator;
use crate::platform::Platform;

/// The owner first.
pub(crate) async fn list(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    let all = platform.inner.db.read(|db| db::collaborator::of_app(db, app.id))?;
    let mut shown = vec![owner(&platform, &app)?];
    shown.extend(all.iter().map(|one| render(&app, one)));
    Ok(ok(Value::Array(shown)))
}

pub(crate) async fn info(
    State(platform): State<Platform>,
    Path((app, name)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    if let Some(found) = platform.inner.db.read(|db| db::collaborator::find(db, app.id, &name))? {
        return Ok(ok(render(&app, &found)));
    }
    let owner = owner(&platform, &app)?;
    let is_meant = owner["user"]["email"] == name || owner["user"]["id"] == name;
    if is_meant { Ok(ok(owner)) } else { Err(no_such_collaborator()) }
}

pub(crate) async fn create(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    platform.require_owner(&*asker()?, &app)?;
    let body = formation::object(&body)?;
    let account = named(&platform, body.get("user"))?;
    if account.id == app.owner_id {
        return Err(ApiError::invalid("User is already the owner of the app"));
    }
    let now = clock::now();
    let added = platform.inner.db.transaction(|db| {
        db::collaborator::add(db, app.id, account.id, now)?;
        db::collaborator::find(db, app.id, &account.id.to_string())
    })?;
    let added = added.ok_or_else(ApiError::internal)?;
    platform.say_api(&app.name, format!("Add {} by user {}", account.email, account::email()));
    Ok(super::json(StatusCode::CREATED, render(&app, &added)))
}

/// Somebody whom a body names, by email or id, or as an object with either.
pub(crate) fn named(platform: &Platform, user: Option<&Value>) -> Result<Account, ApiError> {
    let user = user.cloned().unwrap_or_default();
    let name = user.as_str().or(user["email"].as_str()).or(user["id"].as_str());
    let name = name.ok_or_else(|| ApiError::invalid("`user` is missing"))?;
    let found = platform.inner.db.read(|db| db::account::find(db, name))?;
    found.filter(|account| !account.is_removed).ok_or_else(|| {
        ApiError::not_found(
            "user",
            &format!(
                "{name} has no account here. Its operator makes one: slugline users:add {name}"
            ),
        )
    })
}

pub(crate) async fn delete(
    State(platform): State<Platform>,
    Path((app, name)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    let found = platform.inner.db.read(|db| db::collaborator::find(db, app.id, &name))?;
    let found = found.ok_or_else(no_such_collaborator)?;
    let who = asker()?;
    if found.account_id != who.account.id {
        platform.require_owner(&who, &app)?;
    }
    platform.inner.db.transaction(|db| db::collaborator::delete(db, app.id, found.account_id))?;
    platform.say_api(&app.name, format!("Remove {} by user {}", found.email, account::email()));
    Ok(ok(render(&app, &found)))
}

fn no_such_collaborator() -> ApiError {
    ApiError::not_found("collaborator", "Couldn't find that collaborator.")
}

fn owner(platform: &Platform, app: &App) -> Result<Value, ApiError> {
    Ok(json!({
        "app": apps::reference(app),
        "created_at": api_time(app.created_at),
        "id": app.id,
        "role": Role::Owner.as_str(),
        "updated_at": api_time(app.updated_at),
        "user": with_federated(account::reference_to(platform, app.owner_id)?),
    }))
}

fn render(app: &App, one: &Collaborator) -> Value {
    json!({
        "app": apps::reference(app),
        "created_at": api_time(one.created_at),
        "id": one.id,
        "role": Role::Collaborator.as_str(),
        "updated_at": api_time(one.updated_at),
        "user": with_federated(json!({ "id": one.account_id, "email": one.email })),
    })
}

fn with_federated(mut user: Value) -> Value {
    user["federated"] = false.into();
    user
}
