//! Resource `cron`, which is ours: what app.json has run at its time.

use axum::extract::{Path, State};
use serde_json::{Value, json};
use slugline_model::app_json::CronEntry;

use super::{Answer, ok};
use crate::clock::{self, api_time};
use crate::db;
use crate::db::cron::Done;
use crate::platform::Platform;

pub(crate) async fn list(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    let Some(running) = platform.running(app.id)? else { return Ok(ok(json!([]))) };
    let entries = running.slug.manifest.cron.iter();
    let items = platform.inner.db.read(|db| {
        entries
            .map(|entry| Ok(render(entry, db::cron::find(db, app.id, &entry.key())?)))
            .collect::<rusqlite::Result<Vec<Value>>>()
    })?;
    Ok(ok(Value::Array(items)))
}

fn render(entry: &CronEntry, done: Option<Done>) -> Value {
    let done = done.unwrap_or_default();
    let next = entry.schedule.next(clock::now().max(done.until)).filter(|_| !entry.paused);
    json!({
        "command": entry.command,
        "concurrency_policy": entry.overlap,
        "last_dyno": done.last_dyno,
        "last_run_at": done.last_run.map(api_time),
        "last_status": done.last_status,
        "maintenance": entry.paused,
        "next_run_at": next.map(api_time),
        "schedule": entry.schedule,
    })
}
