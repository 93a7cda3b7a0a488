//! Table `dyno`: what the next server must know of dynos that it finds running.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, params};
use slugline_model::dyno::DynoId;

/// What is kept of a dyno that has processes.
#[derive(Debug, Clone)]
pub(crate) struct DynoRow {
    pub(crate) role: String,
    pub(crate) size: String,
    /// Microseconds since 1970.
    pub(crate) started_at: i64,
    /// Since the machine's start.
    pub(crate) booted: Duration,
    /// Whose it is, whatever that app is called now.
    pub(crate) app_id: Option<String>,
}

/// Keeps it.
pub(crate) fn insert(db: &Connection, id: DynoId, row: &DynoRow) -> rusqlite::Result<()> {
    let booted = i64::try_from(row.booted.as_micros()).unwrap_or(i64::MAX);
    db.execute(
        "INSERT OR REPLACE INTO dyno (id, role, size, started_at, booted, app_id)
         VALUES (?, ?, ?, ?, ?, ?)",
        params![id.to_string(), row.role, row.size, row.started_at, booted, row.app_id],
    )?;
    Ok(())
}

/// What was kept.
pub(crate) fn find(db: &Connection, id: DynoId) -> rusqlite::Result<Option<DynoRow>> {
    let sql = "SELECT role, size, started_at, booted, app_id FROM dyno WHERE id = ?";
    db.query_row(sql, [id.to_string()], |row| {
        Ok(DynoRow {
            role: row.get(0)?,
            size: row.get(1)?,
            started_at: row.get(2)?,
            booted: Duration::from_micros(row.get::<_, i64>(3)?.unsigned_abs()),
            app_id: row.get(4)?,
        })
    })
    .optional()
}

/// Forgets it.
pub(crate) fn delete(db: &Connection, id: DynoId) -> rusqlite::Result<()> {
    db.execute("DELETE FROM dyno WHERE id = ?", [id.to_string()])?;
    Ok(())
}
