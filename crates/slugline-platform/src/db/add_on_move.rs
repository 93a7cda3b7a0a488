//! Table `add_on_move`: add-ons whose contents are being carried into another one.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::parsed;

/// A move, until one of its add-ons is gone.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    pub(crate) source: Uuid,
    pub(crate) target: Uuid,
    pub(crate) started_at: i64,
    /// When the apps got the target in the source's place.
    pub(crate) switched_at: Option<i64>,
    /// When all was carried.
    pub(crate) finished_at: Option<i64>,
}

const COLUMNS: &str = "source_id, target_id, started_at, switched_at, finished_at FROM add_on_move";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Move> {
    Ok(Move {
        source: parsed(&row.get::<_, String>(0)?)?,
        target: parsed(&row.get::<_, String>(1)?)?,
        started_at: row.get(2)?,
        switched_at: row.get(3)?,
        finished_at: row.get(4)?,
    })
}

/// Writes a move, or how far it is.
pub(crate) fn put(db: &Connection, one: &Move) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO add_on_move (source_id, target_id, started_at, switched_at, finished_at)
         VALUES (?, ?, ?, ?, ?) ON CONFLICT (source_id) DO UPDATE SET
         switched_at = excluded.switched_at, finished_at = excluded.finished_at",
        params![
            one.source.to_string(),
            one.target.to_string(),
            one.started_at,
            one.switched_at,
            one.finished_at
        ],
    )?;
    Ok(())
}

/// That of an add-on.
pub(crate) fn of_source(db: &Connection, source: Uuid) -> rusqlite::Result<Option<Move>> {
    let sql = format!("SELECT {COLUMNS} WHERE source_id = ?");
    db.query_row(&sql, [source.to_string()], from_row).optional()
}

/// Those of add-ons that an app owns, oldest first.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<Move>> {
    let sql = format!(
        "SELECT {COLUMNS} WHERE source_id IN (SELECT id FROM add_on WHERE app_id = ?
         AND state = 'provisioned') ORDER BY started_at, source_id"
    );
    db.prepare_cached(&sql)?.query_map([app.to_string()], from_row)?.collect()
}
