//! Resource `receipt`, which is ours: what was in the layer of each dyno that stopped, and, for a
//! while, the files themselves.
//!
//! A receipt is named by its run (`web.1@3`) or by its dyno's id.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use http::Uri;
use serde_json::{Value, json};
use slugline_model::advice::Advice;
use slugline_model::kept::until;

use super::error::ApiError;
use super::ledger::{archive, asked_paths, values};
use super::{Answer, ok};
use crate::clock::api_time;
use crate::db;
use crate::db::receipt::{DynoReceipt, Layer};
use crate::lost_files::advice;
use crate::platform::Platform;

/// The receipts of an app from the release `since` on, newest first, with at most `largest` of each
/// one's files.
pub(crate) async fn list(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    uri: Uri,
) -> Answer {
    let app = platform.app(&app)?;
    let since = values(&uri, "since").next().map(|since| version(&since)).transpose()?;
    let largest = values(&uri, "largest").next().map(|most| number(&most)).transpose()?;
    let since = since.unwrap_or(0);
    let receipts = platform.inner.db.read(|db| db::receipt::of_app(db, app.id, since))?;
    let framework = platform.framework(&app).await;
    let cut = |mut row: DynoReceipt| {
        let advice = advice(&row.receipt, framework);
        row.receipt.largest.truncate(largest.unwrap_or(usize::MAX));
        render(&platform, &row, &advice)
    };
    Ok(ok(Value::Array(receipts.into_iter().map(cut).collect())))
}

/// One receipt.
pub(crate) async fn info(
    State(platform): State<Platform>,
    Path((app, receipt)): Path<(String, String)>,
) -> Answer {
    let row = found(&platform, &app, &receipt)?;
    let framework = platform.framework(&platform.app(&app)?).await;
    Ok(ok(render(&platform, &row, &advice(&row.receipt, framework))))
}

/// What the dyno wrote, at and below each `path` or all of it, as a tar with paths from the dyno's
/// root on: `app/media/a.png`.
pub(crate) async fn files(
    State(platform): State<Platform>,
    Path((app, receipt)): Path<(String, String)>,
    uri: Uri,
) -> Answer {
    let paths = asked_paths(&uri)?;
    let row = found(&platform, &app, &receipt)?;
    // Held first: what is kept then is kept until all of it was sent.
    let held = platform.inner.layers.hold(row.dyno_id);
    let row = found(&platform, &app, &receipt)?;
    match (row.layer, held) {
        (Layer::Kept, Some(held)) => Ok(archive(&platform, row.dyno_id, paths, Some(held))),
        _ => Err(ApiError::gone(not_kept(&platform, &row))),
    }
}

fn not_kept(platform: &Platform, row: &DynoReceipt) -> String {
    let keeping = &platform.inner.config.keeping;
    match row.layer {
        Layer::None if row.receipt.content.files == 0 => {
            format!("{} had written nothing of note, so nothing of it was kept", row.run)
        }
        Layer::None => format!("What {} wrote was not kept when it stopped", row.run),
        Layer::Kept => format!("What {} wrote is being discarded just now", row.run),
        Layer::Discarded { at, why } => format!(
            "What {} wrote was discarded at {}, as {}",
            row.run,
            api_time(at),
            why.reason(keeping)
        ),
    }
}

fn found(platform: &Platform, app: &str, receipt: &str) -> Result<DynoReceipt, ApiError> {
    let app = platform.app(app)?;
    let row = platform.inner.db.read(|db| db::receipt::find(db, app.id, receipt))?;
    row.ok_or_else(|| {
        let message = "Couldn't find that receipt: name a run (web.1@3), as `slugline lost` does.";
        ApiError::not_found("receipt", message)
    })
}

fn version(text: &str) -> Result<u64, ApiError> {
    let digits = text.strip_prefix('v').unwrap_or(text);
    digits.parse().map_err(|_| ApiError::invalid(format!("`{text}` is no release, such as v41")))
}

fn number(text: &str) -> Result<usize, ApiError> {
    text.parse().map_err(|_| ApiError::invalid(format!("`{text}` is no number")))
}

fn render(platform: &Platform, row: &DynoReceipt, advice: &BTreeMap<&str, Advice>) -> Value {
    json!({
        "id": row.dyno_id,
        "name": row.run.to_string(),
        "dyno": row.run.dyno,
        "run": row.run.run,
        "release": { "version": row.release },
        "headline": row.receipt.headline(),
        "files": row.receipt.content.files,
        "bytes": row.receipt.content.bytes,
        "content": row.receipt.content,
        "groups": row.receipt.groups,
        "largest": row.receipt.largest,
        "noise": row.receipt.noise,
        "advice": advice,
        "layer": render_layer(platform, row),
        "created_at": api_time(row.created_at),
    })
}

fn render_layer(platform: &Platform, row: &DynoReceipt) -> Value {
    let keeping = &platform.inner.config.keeping;
    match row.layer {
        Layer::None => json!({ "state": "none" }),
        Layer::Kept => json!({
            "state": "kept",
            "bytes": row.layer_bytes,
            "until": api_time(until(row.created_at, keeping)),
        }),
        Layer::Discarded { at, why } => json!({
            "state": "discarded",
            "at": api_time(at),
            "why": why,
            "reason": why.reason(keeping),
        }),
    }
}
