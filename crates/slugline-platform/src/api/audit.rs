//! Ours: the audit trail, of an app for those who work on it, of everything for the operator.

use std::collections::HashMap;

use axum::extract::{Path, Query, State};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answer, ok};
use crate::db;
use crate::db::audit_event::AuditEvent;
use crate::platform::Platform;

/// Events of an answer where no other number is asked for.
const USUAL: usize = 200;

/// The most events of an answer.
const MOST: usize = 10_000;

pub(crate) async fn all(
    State(platform): State<Platform>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    newest(&platform, None, &query)
}

pub(crate) async fn of_app(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let app = platform.app(&app)?;
    newest(&platform, Some(app.id), &query)
}

fn newest(platform: &Platform, app: Option<Uuid>, query: &HashMap<String, String>) -> Answer {
    let count = query.get("max").and_then(|max| max.parse().ok()).unwrap_or(USUAL).min(MOST);
    let events = platform.inner.db.read(|db| db::audit_event::newest(db, app, count))?;
    Ok(ok(events.iter().map(render).collect()))
}

fn render(event: &AuditEvent) -> Value {
    json!({
        "action": event.action,
        "app": event.app_id.map(|id| json!({ "id": id, "name": event.app })),
        "authorization": { "id": event.authorization_id },
        "created_at": slugline_model::logline::timestamp(event.created_at),
        "id": event.id,
        "request_id": event.request_id,
        // Null where the server ended before it answered.
        "status": event.status,
        "user": { "id": event.account_id, "email": event.email },
    })
}
