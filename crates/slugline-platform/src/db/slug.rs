//! Table `slug`.

use rusqlite::{Connection, OptionalExtension as _, params};
use slugline_model::app_json::Manifest;
use slugline_model::exchange::Checksum;
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
    /// What its app.json says.
    pub(crate) manifest: Manifest,
    pub(crate) buildpack: String,
    /// Packed (bytes).
    pub(crate) size: u64,
    pub(crate) source_version: Option<String>,
    pub(crate) commit_description: Option<String>,
    /// Of the archive that it came as; else of the one that it was exported as, if it was.
    pub(crate) checksum: Option<Checksum>,
    pub(crate) created_at: i64,
}

/// Adds a slug.
pub(crate) fn insert(db: &Connection, app: Uuid, slug: &Slug) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO slug (id, app_id, tree, process_types, buildpack, size, source_version,
         commit_description, checksum, created_at, manifest)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            slug.id.to_string(),
            app.to_string(),
            slug.tree.as_str(),
            to_json(&slug.process_types)?,
            slug.buildpack,
            i64::try_from(slug.size).unwrap_or(i64::MAX),
            slug.source_version,
            slug.commit_description,
            slug.checksum.map(|checksum| checksum.to_string()),
            slug.created_at,
            to_json(&slug.manifest)?
        ],
    )?;
    Ok(())
}

/// Keeps the checksum of the archive that a slug was exported as, unless it came as another.
pub(crate) fn learn_checksum(db: &Connection, id: Uuid, told: Checksum) -> rusqlite::Result<()> {
    let sql = "UPDATE slug SET checksum = ? WHERE id = ? AND checksum IS NULL";
    db.execute(sql, [told.to_string(), id.to_string()])?;
    Ok(())
}

/// A slug by its id.
pub(crate) fn find(db: &Connection, id: Uuid) -> rusqlite::Result<Option<Slug>> {
    let sql = "SELECT id, tree, process_types, buildpack, size, source_version, created_at,
               commit_description, checksum, manifest FROM slug WHERE id = ?";
    db.query_row(sql, [id.to_string()], |row| {
        let checksum: Option<String> = row.get(8)?;
        Ok(Slug {
            id: parsed(&row.get::<_, String>(0)?)?,
            tree: parsed(&row.get::<_, String>(1)?)?,
            process_types: from_json(&row.get::<_, String>(2)?)?,
            buildpack: row.get(3)?,
            size: row.get::<_, i64>(4)?.unsigned_abs(),
            source_version: row.get(5)?,
            created_at: row.get(6)?,
            commit_description: row.get(7)?,
            checksum: checksum.map(|text| parsed(&text)).transpose()?,
            manifest: from_json(&row.get::<_, String>(9)?)?,
        })
    })
    .optional()
}
