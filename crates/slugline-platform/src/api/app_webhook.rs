//! Resources `app-webhook`, `app-webhook-event` and `app-webhook-delivery`.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use slugline_model::webhook::{Level, MOST, WebhookUrl, includes};
use uuid::Uuid;

use super::add_on::text;
use super::error::ApiError;
use super::named_id::named_id;
use super::{Answer, list as lists, ok};
use crate::clock::{self, api_time};
use crate::db;
use crate::db::app::App;
use crate::db::app_webhook::{Delivery, Event, Webhook};
use crate::platform::Platform;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/apps/{app}/webhooks", get(list).post(create))
        .route("/apps/{app}/webhooks/{webhook}", get(info).patch(update).delete(delete))
        .route("/apps/{app}/webhook-events", get(events))
        .route("/apps/{app}/webhook-events/{event}", get(event))
        .route("/apps/{app}/webhook-deliveries", get(deliveries))
        .route("/apps/{app}/webhook-deliveries/{delivery}", get(delivery))
}

async fn list(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let app = platform.app(&app)?;
    let all = platform.inner.db.read(|db| db::app_webhook::of_app(db, app.id))?;
    Ok(lists::list(&headers, all.iter().map(|webhook| render(&app, webhook)).collect()))
}

async fn info(
    State(platform): State<Platform>,
    Path((app, webhook)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    Ok(ok(render(&app, &find(&platform, &app, &webhook)?)))
}

/// The secret is told in a header, once.
async fn create(State(platform): State<Platform>, Path(app): Path<String>, body: String) -> Answer {
    let app = platform.app(&app)?;
    let body = super::formation::object(&body)?;
    let now = clock::now();
    let secret = text(&body, "secret").unwrap_or_else(|| Uuid::new_v4().simple().to_string());
    let webhook = Webhook {
        id: Uuid::new_v4(),
        app_id: app.id,
        url: url(&text(&body, "url").unwrap_or_default())?,
        include: include(&body)?,
        level: level(&text(&body, "level").unwrap_or_default())?,
        secret,
        authorization: authorization(&body)?,
        created_at: now,
        updated_at: now,
    };
    let added = platform.inner.db.transaction(|db| {
        if db::app_webhook::of_app(db, app.id)?.len() >= MOST {
            return Ok(false);
        }
        db::app_webhook::put(db, &webhook)?;
        Ok(true)
    })?;
    if !added {
        return Err(ApiError::invalid(format!("{} has {MOST} webhooks, the most", app.name)));
    }
    let mut answer = super::json(StatusCode::CREATED, render(&app, &webhook));
    if let Ok(secret) = HeaderValue::from_str(&webhook.secret) {
        answer.headers_mut().insert("heroku-webhook-secret", secret);
    }
    Ok(answer)
}

async fn update(
    State(platform): State<Platform>,
    Path((app, webhook)): Path<(String, String)>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let mut webhook = find(&platform, &app, &webhook)?;
    let body = super::formation::object(&body)?;
    if let Some(asked) = text(&body, "url") {
        webhook.url = url(&asked)?;
    }
    if body.get("include").is_some_and(Value::is_array) {
        webhook.include = include(&body)?;
    }
    if let Some(asked) = text(&body, "level") {
        webhook.level = level(&asked)?;
    }
    if let Some(secret) = text(&body, "secret") {
        webhook.secret = secret;
    }
    if body.contains_key("authorization") {
        webhook.authorization = authorization(&body)?;
    }
    webhook.updated_at = clock::now();
    platform.inner.db.transaction(|db| db::app_webhook::put(db, &webhook))?;
    Ok(ok(render(&app, &webhook)))
}

async fn delete(
    State(platform): State<Platform>,
    Path((app, webhook)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    let webhook = find(&platform, &app, &webhook)?;
    platform.inner.db.transaction(|db| db::app_webhook::delete(db, webhook.id))?;
    Ok(ok(render(&app, &webhook)))
}

fn url(asked: &str) -> Result<WebhookUrl, ApiError> {
    asked.parse().map_err(|error| ApiError::invalid(format!("{error}")))
}

fn level(asked: &str) -> Result<Level, ApiError> {
    asked.parse().map_err(|error| ApiError::invalid(format!("{error}")))
}

fn include(body: &Map<String, Value>) -> Result<Vec<String>, ApiError> {
    let asked = body.get("include").and_then(Value::as_array).map(Vec::as_slice);
    let names = asked.unwrap_or_default().iter().filter_map(Value::as_str).map(str::to_owned);
    includes(&names.collect::<Vec<_>>()).map_err(|error| ApiError::invalid(error.to_string()))
}

/// A value that a header can carry.
fn authorization(body: &Map<String, Value>) -> Result<Option<String>, ApiError> {
    let asked = text(body, "authorization");
    if asked.as_ref().is_some_and(|value| HeaderValue::from_str(value).is_err()) {
        return Err(ApiError::invalid("`authorization` holds what no header can carry"));
    }
    Ok(asked)
}

fn find(platform: &Platform, app: &App, wanted: &str) -> Result<Webhook, ApiError> {
    let all = platform.inner.db.read(|db| db::app_webhook::of_app(db, app.id))?;
    let found = all.into_iter().find(|webhook| webhook.id.to_string() == wanted);
    found.ok_or_else(|| ApiError::not_found("webhook", "Couldn't find that webhook."))
}

fn render(app: &App, webhook: &Webhook) -> Value {
    json!({
        "app": super::app::reference(app),
        "created_at": api_time(webhook.created_at),
        "id": webhook.id,
        "include": webhook.include,
        "level": webhook.level.as_str(),
        "updated_at": api_time(webhook.updated_at),
        "url": webhook.url.as_str(),
    })
}

async fn events(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let app = platform.app(&app)?;
    let all = platform.inner.db.read(|db| db::app_webhook::events(db, app.id))?;
    Ok(lists::list(&headers, all.iter().map(render_event).collect()))
}

async fn event(
    State(platform): State<Platform>,
    Path((app, event)): Path<(String, Uuid)>,
) -> Answer {
    let app = platform.app(&app)?;
    let found = platform.inner.db.read(|db| db::app_webhook::find_event(db, event))?;
    let found = found.filter(|event| event.app_id == app.id);
    let missing = || ApiError::not_found("webhook_event", "Couldn't find that webhook event.");
    Ok(ok(render_event(&found.ok_or_else(missing)?)))
}

fn render_event(event: &Event) -> Value {
    json!({
        "created_at": api_time(event.created_at),
        "id": event.id,
        "include": event.include,
        "payload": event.payload,
        "updated_at": api_time(event.created_at),
    })
}

/// All of an app's, or those of the status that `eq[status]` names.
async fn deliveries(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Answer {
    let app = platform.app(&app)?;
    let mut items = render_deliveries(&platform, &app)?;
    for (_, status) in query.iter().filter(|(key, _)| key == "eq[status]") {
        items.retain(|item| item["status"] == status.as_str());
    }
    Ok(lists::list(&headers, items))
}

async fn delivery(
    State(platform): State<Platform>,
    Path((app, delivery)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    let mut items = render_deliveries(&platform, &app)?.into_iter();
    let found = items.find(|item| item["id"] == delivery.as_str());
    let missing = || ApiError::not_found("webhook_delivery", "Couldn't find that delivery.");
    Ok(ok(found.ok_or_else(missing)?))
}

fn render_deliveries(platform: &Platform, app: &App) -> Result<Vec<Value>, ApiError> {
    let (deliveries, webhooks) = platform.inner.db.read(|db| {
        Ok((db::app_webhook::deliveries(db, app.id)?, db::app_webhook::of_app(db, app.id)?))
    })?;
    let events = platform.inner.db.read(|db| db::app_webhook::events(db, app.id))?;
    let render = |delivery: &Delivery| {
        let webhook = webhooks.iter().find(|webhook| webhook.id == delivery.webhook_id)?;
        let event = events.iter().find(|event| event.id == delivery.event_id)?;
        Some(render_delivery(delivery, webhook, event))
    };
    Ok(deliveries.iter().filter_map(render).collect())
}

fn render_delivery(delivery: &Delivery, webhook: &Webhook, event: &Event) -> Value {
    let last = delivery.last_at.map(|at| {
        let succeeded = delivery.status == "succeeded";
        json!({
            "code": delivery.last_code,
            "created_at": api_time(at),
            "error_class": delivery.last_error,
            "id": named_id("attempt", &format!("{} {}", delivery.id, delivery.attempts)),
            "status": if succeeded { "succeeded" } else { "failed" },
            "updated_at": api_time(at),
        })
    });
    json!({
        "created_at": api_time(delivery.created_at),
        "event": { "id": event.id, "include": event.include },
        "id": delivery.id,
        "last_attempt": last,
        "next_attempt_at": delivery.next_at.map(api_time),
        "num_attempts": delivery.attempts,
        "status": delivery.status,
        "updated_at": api_time(delivery.updated_at),
        "webhook": { "id": webhook.id, "level": webhook.level.as_str() },
    })
}
