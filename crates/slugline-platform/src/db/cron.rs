//! Table `cron`: what was done for each cron entry, so that no run is made twice.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

/// What was done for an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Runs due until then were taken care of (microseconds since 1970).
    pub(crate) until: i64,
    /// When the last one began.
    pub(crate) last_run: Option<i64>,
    /// Its dyno: `cron.4821`.
    pub(crate) last_dyno: Option<String>,
    /// How it ended; none while it runs.
    pub(crate) last_status: Option<i32>,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Done> {
    Ok(Done {
        until: row.get(0)?,
        last_run: row.get(1)?,
        last_dyno: row.get(2)?,
        last_status: row.get(3)?,
    })
}

/// What was done for one entry of an app.
pub(crate) fn find(db: &Connection, app: Uuid, entry: &str) -> rusqlite::Result<Option<Done>> {
    let sql = "SELECT done_to, last_run, last_dyno, last_status FROM cron
               WHERE app_id = ? AND entry = ?";
    db.query_row(sql, params![app.to_string(), entry], from_row).optional()
}

/// Keeps what was done.
pub(crate) fn put(db: &Connection, app: Uuid, entry: &str, done: &Done) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO cron (app_id, entry, done_to, last_run, last_dyno, last_status)
         VALUES (?, ?, ?, ?, ?, ?)",
        params![
            app.to_string(),
            entry,
            done.until,
            done.last_run,
            done.last_dyno,
            done.last_status
        ],
    )?;
    Ok(())
}

/// Notes how a run ended, if no later one has begun.
pub(crate) fn settle(
    db: &Connection,
    app: Uuid,
    dyno: &str,
    status: Option<i32>,
) -> rusqlite::Result<()> {
    let sql = "UPDATE cron SET last_status = ? WHERE app_id = ? AND last_dyno = ?";
    db.execute(sql, params![status, app.to_string(), dyno])?;
    Ok(())
}

/// Forgets entries that an app no longer has: what comes back begins anew.
pub(crate) fn keep(db: &Connection, app: Uuid, entries: &[String]) -> rusqlite::Result<()> {
    let mut known = db.prepare_cached("SELECT entry FROM cron WHERE app_id = ?")?;
    let known: Vec<String> =
        known.query_map([app.to_string()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for entry in known.iter().filter(|entry| !entries.contains(entry)) {
        let sql = "DELETE FROM cron WHERE app_id = ? AND entry = ?";
        db.execute(sql, params![app.to_string(), entry])?;
    }
    Ok(())
}
