//! Table `pipeline_coupling`: which app is in which pipeline, and in which of its stages.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use slugline_model::pipeline::Stage;
use uuid::Uuid;

use super::parsed;

/// An app in a pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Coupling {
    pub(crate) id: Uuid,
    pub(crate) pipeline_id: Uuid,
    pub(crate) app_id: Uuid,
    pub(crate) stage: Stage,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const COLUMNS: &str =
    "id, pipeline_id, app_id, stage, created_at, updated_at FROM pipeline_coupling";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Coupling> {
    Ok(Coupling {
        id: parsed(&row.get::<_, String>(0)?)?,
        pipeline_id: parsed(&row.get::<_, String>(1)?)?,
        app_id: parsed(&row.get::<_, String>(2)?)?,
        stage: parsed(&row.get::<_, String>(3)?)?,
        created_at: row.get(4)?,
        updated_at: row.get(5)?,
    })
}

/// Adds an app to a pipeline, or brings it to another stage.
pub(crate) fn put(db: &Connection, coupling: &Coupling) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO pipeline_coupling (id, pipeline_id, app_id, stage, created_at, updated_at)
         VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET stage = excluded.stage, updated_at = excluded.updated_at",
        params![
            coupling.id.to_string(),
            coupling.pipeline_id.to_string(),
            coupling.app_id.to_string(),
            coupling.stage.to_string(),
            coupling.created_at,
            coupling.updated_at
        ],
    )?;
    Ok(())
}

/// Every one, oldest first.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<Coupling>> {
    let sql = format!("SELECT {COLUMNS} ORDER BY created_at, id");
    db.prepare_cached(&sql)?.query_map([], from_row)?.collect()
}

/// A pipeline's, oldest first.
pub(crate) fn of_pipeline(db: &Connection, pipeline: Uuid) -> rusqlite::Result<Vec<Coupling>> {
    let sql = format!("SELECT {COLUMNS} WHERE pipeline_id = ? ORDER BY created_at, id");
    db.prepare_cached(&sql)?.query_map([pipeline.to_string()], from_row)?.collect()
}

/// An app's: it is in one pipeline at most.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Option<Coupling>> {
    let sql = format!("SELECT {COLUMNS} WHERE app_id = ?");
    db.query_row(&sql, [app.to_string()], from_row).optional()
}

pub(crate) fn find(db: &Connection, id: &str) -> rusqlite::Result<Option<Coupling>> {
    db.query_row(&format!("SELECT {COLUMNS} WHERE id = ?"), [id], from_row).optional()
}

pub(crate) fn delete(db: &Connection, id: Uuid) -> rusqlite::Result<()> {
    db.execute("DELETE FROM pipeline_coupling WHERE id = ?", [id.to_string()])?;
    Ok(())
}
