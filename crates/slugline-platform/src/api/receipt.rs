//! Resource `receipt`, which is ours: what was in the layer of each dyno that stopped.

use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::{Answer, ok};
use crate::clock::api_time;
use crate::db;
use crate::platform::Platform;

/// The receipts of an app, newest first.
pub(crate) async fn list(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    let receipts = platform.inner.db.read(|db| db::receipt::of_app(db, app.id))?;
    let items = receipts.iter().map(|row| {
        json!({
            "id": row.dyno_id,
            "dyno": row.dyno,
            "release": { "version": row.release },
            "headline": row.receipt.headline(),
            "files": row.receipt.content.files,
            "bytes": row.receipt.content.bytes,
            "groups": row.receipt.groups,
            "largest": row.receipt.largest,
            "noise": row.receipt.noise,
            "created_at": api_time(row.created_at),
        })
    });
    Ok(ok(Value::Array(items.collect())))
}
