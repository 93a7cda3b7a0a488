//! Table `log_drain`: where apps' logs are sent.

use rusqlite::{Connection, Row, Transaction, params};
use slugline_model::drain::DrainUrl;
use slugline_model::name::AppName;
use uuid::Uuid;

use super::parsed;

/// A log drain.
#[derive(Debug, Clone)]
pub(crate) struct LogDrain {
    pub(crate) id: Uuid,
    pub(crate) app_id: Uuid,
    pub(crate) url: DrainUrl,
    /// `d.` and an id.
    pub(crate) token: String,
    /// The number of the last line that has arrived; 0 for none yet.
    pub(crate) arrived: u64,
    /// Microseconds since 1970.
    pub(crate) created_at: i64,
}

const COLUMNS: &str = "log_drain.id, app_id, unseal(url, 'log_drain' || app_id), token, arrived,
     log_drain.created_at FROM log_drain";

fn from_row(row: &Row<'_>) -> rusqlite::Result<LogDrain> {
    Ok(LogDrain {
        id: parsed(&row.get::<_, String>(0)?)?,
        app_id: parsed(&row.get::<_, String>(1)?)?,
        url: parsed(&row.get::<_, String>(2)?)?,
        token: row.get(3)?,
        arrived: row.get::<_, i64>(4)?.unsigned_abs(),
        created_at: row.get(5)?,
    })
}

/// An app's drains, oldest first.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<LogDrain>> {
    let sql = format!("SELECT {COLUMNS} WHERE app_id = ? ORDER BY created_at, id");
    db.prepare_cached(&sql)?.query_map([app.to_string()], from_row)?.collect()
}

/// Every drain, and its app's name.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<(AppName, LogDrain)>> {
    let sql = "SELECT log_drain.id, app_id, unseal(url, 'log_drain' || app_id), token, arrived,
               log_drain.created_at, app.name
               FROM log_drain JOIN app ON app.id = log_drain.app_id";
    db.prepare_cached(sql)?
        .query_map([], |row| Ok((parsed(&row.get::<_, String>(6)?)?, from_row(row)?)))?
        .collect()
}

pub(crate) fn insert(db: &Transaction<'_>, drain: &LogDrain) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO log_drain (id, app_id, url, token, arrived, created_at)
         VALUES (?1, ?2, seal(?3, 'log_drain' || ?2), ?4, ?5, ?6)",
        params![
            drain.id.to_string(),
            drain.app_id.to_string(),
            drain.url.as_str(),
            drain.token,
            drain.arrived.cast_signed(),
            drain.created_at
        ],
    )?;
    Ok(())
}

/// How far a drain is.
pub(crate) fn set_arrived(db: &Transaction<'_>, id: Uuid, arrived: u64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE log_drain SET arrived = ? WHERE id = ?")?
        .execute(params![arrived.cast_signed(), id.to_string()])?;
    Ok(())
}

pub(crate) fn delete(db: &Transaction<'_>, id: Uuid) -> rusqlite::Result<()> {
    db.execute("DELETE FROM log_drain WHERE id = ?", [id.to_string()])?;
    Ok(())
}
