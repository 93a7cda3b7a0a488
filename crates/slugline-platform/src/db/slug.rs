//! Table `slug`.

use rusqlite::{Connection, OptionalExtension as _, params};
use slugline_model::procfile::ProcessTypes;
use slugline_model::slug::SlugId;
use uuid::Uuid;

use super::{from_json, parsed, to_json};

/// A slug of an app.
#[derive(Debug, Clone)]
pub(crate) struct Slug {
    pub(crate) id: Uuid,
    pub(crate) tree: SlugId,
    pub(crate) process_types: ProcessTypes,
    pub(crate) buildpack: String,
    /// Packed (bytes).
    pub(crate) size: u64,
    pub(crate) source_version: Option<String>,
    pub(crate) created_at: i64,
}

/// Adds a slug.
pub(crate) fn insert(db: &Connection, app: Uuid, slug: &Slug) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO slug (id, app_id, tree, process_types, buildpack, size, source_version,
         created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            slug.id.to_string(),
            app.to_string(),
            slug.tree.as_str(),
            to_json(&slug.process_types)?,
            slug.buildpack,
            i64::try_from(slug.size).unwrap_or(i64::MAX),
            slug.source_version,
            slug.created_at
        ],
    )?;
    Ok(())
}

/// A slug by its id.
pub(crate) fn find(db: &Connection, id: Uuid) -> rusqlite::Result<Option<Slug>> {
    let sql = "SELECT id, tree, process_types, buildpack, size, source_version, created_at
               FROM slug WHERE id = ?";
    db.query_row(sql, [id.to_string()], |row| {
        Ok(Slug {
            id: parsed(&row.get::<_, String>(0)?)?,
            tree: parsed(&row.get::<_, String>(1)?)?,
            process_types: from_json(&row.get::<_, String>(2)?)?,
            buildpack: row.get(3)?,
            size: row.get::<_, i64>(4)?.unsigned_abs(),
            source_version: row.get(5)?,
            created_at: row.get(6)?,
        })
    })
    .optional()
}
