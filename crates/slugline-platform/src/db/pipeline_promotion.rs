//! Tables `pipeline_promotion` and `pipeline_promotion_target`.

use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::parsed;

/// A release that was taken over from one app by others.
#[derive(Debug, Clone)]
pub(crate) struct Promotion {
    pub(crate) id: Uuid,
    pub(crate) pipeline_id: Uuid,
    pub(crate) source_app_id: Uuid,
    pub(crate) source_release_id: Uuid,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// One of these others.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) id: Uuid,
    pub(crate) promotion_id: Uuid,
    pub(crate) app_id: Uuid,
    pub(crate) release_id: Option<Uuid>,
    pub(crate) error: Option<String>,
}

pub(crate) fn insert(
    db: &Connection,
    promotion: &Promotion,
    targets: &[Target],
) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO pipeline_promotion (id, pipeline_id, source_app_id, source_release_id,
         created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
        params![
            promotion.id.to_string(),
            promotion.pipeline_id.to_string(),
            promotion.source_app_id.to_string(),
            promotion.source_release_id.to_string(),
            promotion.created_at,
            promotion.updated_at
        ],
    )?;
    for target in targets {
        db.execute(
            "INSERT INTO pipeline_promotion_target (id, promotion_id, app_id, release_id, error)
             VALUES (?, ?, ?, ?, ?)",
            params![
                target.id.to_string(),
                target.promotion_id.to_string(),
                target.app_id.to_string(),
                target.release_id.map(|id| id.to_string()),
                target.error
            ],
        )?;
    }
    Ok(())
}

pub(crate) fn find(db: &Connection, id: Uuid) -> rusqlite::Result<Option<Promotion>> {
    let sql = "SELECT id, pipeline_id, source_app_id, source_release_id, created_at, updated_at
               FROM pipeline_promotion WHERE id = ?";
    db.query_row(sql, [id.to_string()], |row| {
        Ok(Promotion {
            id: parsed(&row.get::<_, String>(0)?)?,
            pipeline_id: parsed(&row.get::<_, String>(1)?)?,
            source_app_id: parsed(&row.get::<_, String>(2)?)?,
            source_release_id: parsed(&row.get::<_, String>(3)?)?,
            created_at: row.get(4)?,
            updated_at: row.get(5)?,
        })
    })
    .optional()
}

/// A promotion's targets, in the order in which they were made.
pub(crate) fn targets(db: &Connection, promotion: Uuid) -> rusqlite::Result<Vec<Target>> {
    let sql = "SELECT id, promotion_id, app_id, release_id, error FROM pipeline_promotion_target
               WHERE promotion_id = ? ORDER BY rowid";
    db.prepare_cached(sql)?
        .query_map([promotion.to_string()], |row| {
            Ok(Target {
                id: parsed(&row.get::<_, String>(0)?)?,
                promotion_id: parsed(&row.get::<_, String>(1)?)?,
                app_id: parsed(&row.get::<_, String>(2)?)?,
                release_id: row.get::<_, Option<String>>(3)?.map(|id| parsed(&id)).transpose()?,
                error: row.get(4)?,
            })
        })?
        .collect()
}
