//! Resource `add-on-attachment`.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::add_on::{self, confirmed, identity, new_attachment, split_scope, text, web_url};
use super::error::ApiError;
use super::{Answer, app as apps, is_seen, list as lists, ok};
use crate::clock::api_time;
use crate::db;
use crate::db::add_on::AddOn;
use crate::db::add_on_attachment::Attachment;
use crate::platform::Platform;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/addon-attachments", get(list).post(create))
        .route("/addon-attachments/{attachment}", get(info).delete(delete))
        .route("/addons/{addon}/addon-attachments", get(of_addon))
        .route("/apps/{app}/addon-attachments", get(of_app))
        .route("/apps/{app}/addon-attachments/{attachment}", get(info_by_app))
        .route("/actions/addon-attachments/resolve", post(resolve))
}

async fn list(State(platform): State<Platform>, headers: HeaderMap) -> Answer {
    let all = seen(&platform)?;
    Ok(lists::list(&headers, render_all(&platform, &all, &headers)?))
}

/// Those of apps that who asks may see.
fn seen(platform: &Platform) -> Result<Vec<Attachment>, ApiError> {
    let mut all = platform.inner.db.read(db::add_on_attachment::all)?;
    all.retain(|attachment| is_seen(platform, attachment.app_id));
    Ok(all)
}

async fn of_addon(
    State(platform): State<Platform>,
    Path(addon): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let addon = add_on::find(&platform, &addon)?;
    let mut all = platform.inner.db.read(|db| db::add_on_attachment::of_addon(db, addon.id))?;
    all.retain(|attachment| is_seen(&platform, attachment.app_id));
    Ok(lists::list(&headers, render_all(&platform, &all, &headers)?))
}

async fn of_app(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let app = platform.app(&app)?;
    let all = platform.inner.db.read(|db| db::add_on_attachment::of_app(db, app.id))?;
    Ok(lists::list(&headers, render_all(&platform, &all, &headers)?))
}

async fn info(
    State(platform): State<Platform>,
    Path(attachment): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let all = seen(&platform)?;
    let found = all.into_iter().find(|known| known.id.to_string() == attachment);
    Ok(ok(render(&platform, &found.ok_or_else(no_such)?, &headers)?))
}

async fn info_by_app(
    State(platform): State<Platform>,
    Path((app, attachment)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let found = find_in(&platform, &app, &attachment)?;
    Ok(ok(render(&platform, &found, &headers)?))
}

async fn create(State(platform): State<Platform>, headers: HeaderMap, body: String) -> Answer {
    let body = super::formation::object(&body)?;
    let missing = |what: &str| ApiError::invalid(format!("`{what}` is missing: a name or an id"));
    let app = identity(body.get("app")).ok_or_else(|| missing("app"))?;
    let app = platform.app(&app)?;
    let addon = identity(body.get("addon")).ok_or_else(|| missing("addon"))?;
    let addon = add_on::find(&platform, &addon)?;
    let new = new_attachment(&body, confirmed(&body, &app))?;
    let attachment = platform.attach_addon(&app, &addon, &new)?;
    tell(&platform, &attachment, "create");
    Ok(super::json(StatusCode::CREATED, render(&platform, &attachment, &headers)?))
}

/// Webhooks hear of it.
pub(super) fn tell(platform: &Platform, attachment: &Attachment, action: &str) {
    platform.broadcast(attachment.app_id, "api:addon-attachment", action, |platform| {
        render(platform, attachment, &HeaderMap::new()).ok()
    });
}

async fn delete(
    State(platform): State<Platform>,
    Path(attachment): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let all = seen(&platform)?;
    let found = all.into_iter().find(|known| known.id.to_string() == attachment);
    let attachment = found.ok_or_else(no_such)?;
    let rendered = render(&platform, &attachment, &headers)?;
    let addon = add_on::find(&platform, &attachment.addon_id.to_string())?;
    platform.detach_addon(&addon, &attachment)?;
    platform.broadcast(attachment.app_id, "api:addon-attachment", "destroy", |_| {
        Some(rendered.clone())
    });
    Ok(ok(rendered))
}

async fn resolve(State(platform): State<Platform>, headers: HeaderMap, body: String) -> Answer {
    let body = super::formation::object(&body)?;
    let wanted = text(&body, "addon_attachment").unwrap_or_default();
    let service = text(&body, "addon_service");
    let (app, wanted) = split_scope(identity(body.get("app")), &wanted);
    let all = match app {
        Some(app) => {
            let app = platform.app(&app)?;
            platform.inner.db.read(|db| db::add_on_attachment::of_app(db, app.id))?
        }
        None => seen(&platform)?,
    };
    let mut found = Vec::new();
    for attachment in all.iter().filter(|known| is_meant(known, &wanted)) {
        let addon = addon_of(&platform, attachment)?;
        if service.as_ref().is_none_or(|service| addon.service == *service) {
            found.push(render(&platform, attachment, &headers)?);
        }
    }
    if found.is_empty() { Err(no_such()) } else { Ok(ok(Value::Array(found))) }
}

fn is_meant(attachment: &Attachment, wanted: &str) -> bool {
    attachment.name.as_str() == wanted || attachment.id.to_string() == wanted
}

fn find_in(platform: &Platform, app: &str, wanted: &str) -> Result<Attachment, ApiError> {
    let app = platform.app(app)?;
    let all = platform.inner.db.read(|db| db::add_on_attachment::of_app(db, app.id))?;
    all.into_iter().find(|known| is_meant(known, wanted)).ok_or_else(no_such)
}

/// As clients tell it from an add-on that is missing.
fn no_such() -> ApiError {
    ApiError::not_found("add_on attachment", "Couldn't find that add-on attachment.")
}

fn addon_of(platform: &Platform, attachment: &Attachment) -> Result<AddOn, ApiError> {
    let addon = platform.inner.db.read(|db| db::add_on::find(db, attachment.addon_id))?;
    addon.ok_or_else(no_such)
}

fn render_all(
    platform: &Platform,
    all: &[Attachment],
    headers: &HeaderMap,
) -> Result<Vec<Value>, ApiError> {
    all.iter().map(|attachment| render(platform, attachment, headers)).collect()
}

fn render(
    platform: &Platform,
    attachment: &Attachment,
    headers: &HeaderMap,
) -> Result<Value, ApiError> {
    let addon = addon_of(platform, attachment)?;
    let (app, owner) = platform.inner.db.read(|db| {
        let owner = addon.app_id.map(|id| db::app::find(db, &id.to_string())).transpose()?;
        Ok((db::app::find(db, &attachment.app_id.to_string())?, owner.flatten()))
    })?;
    let (app, owner) = (app.ok_or_else(no_such)?, owner.ok_or_else(no_such)?);
    let mut item = json!({
        "addon": {
            "app": apps::reference(&owner),
            "id": addon.id,
            "name": addon.name,
        },
        "app": apps::reference(&app),
        "config_vars": addon.held(&attachment.name).names(),
        "created_at": api_time(attachment.created_at),
        "id": attachment.id,
        "log_input_url": null,
        "name": attachment.name.as_str(),
        "namespace": attachment.namespace,
        "updated_at": api_time(attachment.updated_at),
        "web_url": web_url(platform, &addon),
    });
    let included = headers.get("accept-inclusion").and_then(|asked| asked.to_str().ok());
    if included.is_some_and(|asked| asked.contains("addon:plan")) {
        item["addon"]["plan"] = super::add_on_service::plan_reference(platform, &addon);
    }
    Ok(item)
}
