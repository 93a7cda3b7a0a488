//! Table `receipt`: what was in the layer of each dyno that stopped.

use rusqlite::{Connection, params};
use slugline_model::dyno::DynoId;
use slugline_model::ledger::Receipt;
use slugline_model::name::DynoName;
use uuid::Uuid;

use super::{from_json, parsed, to_json};

/// The receipt of one run of a dyno.
#[derive(Debug, Clone)]
pub(crate) struct DynoReceipt {
    pub(crate) dyno_id: DynoId,
    pub(crate) dyno: DynoName,
    pub(crate) release: u64,
    pub(crate) receipt: Receipt,
    pub(crate) created_at: i64,
}

/// How many receipts an app keeps.
const KEPT: u32 = 500;

/// Adds a receipt; the oldest ones of the app go.
pub(crate) fn insert(db: &Connection, app: Uuid, receipt: &DynoReceipt) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO receipt (dyno_id, app_id, dyno, release, receipt, created_at)
         VALUES (?, ?, ?, ?, ?, ?)",
        params![
            receipt.dyno_id.to_string(),
            app.to_string(),
            receipt.dyno.to_string(),
            i64::try_from(receipt.release).unwrap_or(i64::MAX),
            to_json(&receipt.receipt)?,
            receipt.created_at
        ],
    )?;
    db.execute(
        "DELETE FROM receipt WHERE app_id = ?1 AND dyno_id NOT IN (SELECT dyno_id FROM receipt
         WHERE app_id = ?1 ORDER BY created_at DESC LIMIT ?2)",
        params![app.to_string(), KEPT],
    )?;
    Ok(())
}

/// The receipts of an app, newest first.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<DynoReceipt>> {
    let sql = "SELECT dyno_id, dyno, release, receipt, created_at FROM receipt WHERE app_id = ?
               ORDER BY created_at DESC";
    db.prepare_cached(sql)?
        .query_map([app.to_string()], |row| {
            Ok(DynoReceipt {
                dyno_id: parsed(&row.get::<_, String>(0)?)?,
                dyno: parsed(&row.get::<_, String>(1)?)?,
                release: row.get::<_, i64>(2)?.unsigned_abs(),
                receipt: from_json(&row.get::<_, String>(3)?)?,
                created_at: row.get(4)?,
            })
        })?
        .collect()
}
