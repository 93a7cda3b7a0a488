//! Tables `pipeline` and `pipeline_config_var`.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::Value;
use slugline_model::config_vars::ConfigVars;
use slugline_model::pipeline::{PipelineName, Stage};
use uuid::Uuid;

use super::{from_json, parsed, to_json};

/// A pipeline.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pub(crate) id: Uuid,
    pub(crate) name: PipelineName,
    /// Its owner's id and type, as clients gave them.
    pub(crate) owner: Option<Value>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const COLUMNS: &str = "id, name, owner, created_at, updated_at FROM pipeline";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Pipeline> {
    Ok(Pipeline {
        id: parsed(&row.get::<_, String>(0)?)?,
        name: parsed(&row.get::<_, String>(1)?)?,
        owner: row.get::<_, Option<String>>(2)?.map(|owner| from_json(&owner)).transpose()?,
        created_at: row.get(3)?,
        updated_at: row.get(4)?,
    })
}

/// Adds a pipeline, or replaces it.
pub(crate) fn put(db: &Connection, pipeline: &Pipeline) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO pipeline (id, name, owner, created_at, updated_at) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, owner = excluded.owner,
         updated_at = excluded.updated_at",
        params![
            pipeline.id.to_string(),
            pipeline.name.as_str(),
            pipeline.owner.as_ref().map(to_json).transpose()?,
            pipeline.created_at,
            pipeline.updated_at
        ],
    )?;
    Ok(())
}

/// All pipelines, by name.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<Pipeline>> {
    let sql = format!("SELECT {COLUMNS} ORDER BY name");
    db.prepare_cached(&sql)?.query_map([], from_row)?.collect()
}

/// One by its name or its id.
pub(crate) fn find(db: &Connection, name_or_id: &str) -> rusqlite::Result<Option<Pipeline>> {
    let sql = format!("SELECT {COLUMNS} WHERE name = ?1 OR id = ?1");
    db.query_row(&sql, [name_or_id], from_row).optional()
}

pub(crate) fn delete(db: &Connection, id: Uuid) -> rusqlite::Result<()> {
    db.execute("DELETE FROM pipeline WHERE id = ?", [id.to_string()])?;
    Ok(())
}

/// The config vars of a stage.
pub(crate) fn vars(db: &Connection, id: Uuid, stage: Stage) -> rusqlite::Result<ConfigVars> {
    let sql = "SELECT name, unseal(value, 'pipeline_config_var' || pipeline_id || stage || name)
               FROM pipeline_config_var WHERE pipeline_id = ? AND stage = ?";
    db.prepare_cached(sql)?
        .query_map([id.to_string(), stage.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Replaces the config vars of a stage.
pub(crate) fn set_vars(
    db: &Connection,
    id: Uuid,
    stage: Stage,
    vars: &ConfigVars,
) -> rusqlite::Result<()> {
    let (id, stage) = (id.to_string(), stage.to_string());
    let sql = "DELETE FROM pipeline_config_var WHERE pipeline_id = ? AND stage = ?";
    db.execute(sql, [&id, &stage])?;
    let mut insert = db.prepare_cached(
        "INSERT INTO pipeline_config_var (pipeline_id, stage, name, value)
         VALUES (?1, ?2, ?3, seal(?4, 'pipeline_config_var' || ?1 || ?2 || ?3))",
    )?;
    for (name, value) in vars {
        insert.execute([&id, &stage, name, value])?;
    }
    Ok(())
}
