//! Resource `app-feature`: `preboot`, which is on unless it is disabled.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::error::ApiError;
use super::{Answer, ok};
use crate::clock::api_time;
use crate::db;
use crate::db::app::App;
use crate::platform::Platform;

const PREBOOT: &str = "preboot";
const ID: &str = "00000000-0000-4000-8000-000000000201";

pub(crate) async fn list(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    Ok(ok(json!([render(&app, app.preboot)])))
}

pub(crate) async fn info(
    State(platform): State<Platform>,
    Path((app, feature)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    known(&feature)?;
    Ok(ok(render(&app, app.preboot)))
}

pub(crate) async fn update(
    State(platform): State<Platform>,
    Path((app, feature)): Path<(String, String)>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    known(&feature)?;
    let body = super::formation::object(&body)?;
    let enabled = body
        .get("enabled")
        .and_then(Value::as_bool)
        .ok_or_else(|| ApiError::invalid("`enabled` is missing: it must be true or false"))?;
    platform.inner.db.transaction(|db| db::app::set_preboot(db, app.id, enabled))?;
    Ok(ok(render(&app, enabled)))
}

fn known(feature: &str) -> Result<(), ApiError> {
    let missing = || ApiError::not_found("app_feature", "Couldn't find that app feature.");
    if feature == PREBOOT || feature == ID { Ok(()) } else { Err(missing()) }
}

fn render(app: &App, enabled: bool) -> Value {
    json!({
        "created_at": api_time(app.created_at),
        "description": "Start the new web dyno, and stop the old one once the new one serves",
        "display_name": "Preboot",
        "doc_url": "",
        "enabled": enabled,
        "feedback_email": "",
        "id": ID,
        "name": PREBOOT,
        "state": "general",
        "updated_at": api_time(app.updated_at),
    })
}
