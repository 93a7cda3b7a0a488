//! Table `slug_upload`: slugs whose archive has not come yet.

use rusqlite::{Connection, OptionalExtension as _, params};
use slugline_model::exchange::Checksum;
use slugline_model::procfile::ProcessTypes;
use uuid::Uuid;

use super::{from_json, parsed, to_json};

/// A slug that was announced. It keeps its id once it has come.
#[derive(Debug, Clone)]
pub(crate) struct SlugUpload {
    pub(crate) id: Uuid,
    pub(crate) app_id: Uuid,
    pub(crate) process_types: ProcessTypes,
    pub(crate) buildpack: Option<String>,
    pub(crate) checksum: Option<Checksum>,
    pub(crate) source_version: Option<String>,
    pub(crate) commit_description: Option<String>,
    pub(crate) created_at: i64,
}

/// Adds one, and forgets those that nobody uploaded for since a time.
pub(crate) fn insert(db: &Connection, upload: &SlugUpload, forget: i64) -> rusqlite::Result<()> {
    db.execute("DELETE FROM slug_upload WHERE created_at < ?", [forget])?;
    db.execute(
        "INSERT INTO slug_upload (id, app_id, process_types, buildpack, checksum, source_version,
         commit_description, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            upload.id.to_string(),
            upload.app_id.to_string(),
            to_json(&upload.process_types)?,
            upload.buildpack,
            upload.checksum.map(|checksum| checksum.to_string()),
            upload.source_version,
            upload.commit_description,
            upload.created_at
        ],
    )?;
    Ok(())
}

/// Takes one away; false if it was not there.
pub(crate) fn remove(db: &Connection, id: Uuid) -> rusqlite::Result<bool> {
    Ok(db.execute("DELETE FROM slug_upload WHERE id = ?", [id.to_string()])? > 0)
}

/// One by its id.
pub(crate) fn find(db: &Connection, id: Uuid) -> rusqlite::Result<Option<SlugUpload>> {
    let sql = "SELECT id, app_id, process_types, buildpack, checksum, source_version,
               commit_description, created_at FROM slug_upload WHERE id = ?";
    db.query_row(sql, [id.to_string()], |row| {
        let checksum: Option<String> = row.get(4)?;
        Ok(SlugUpload {
            id: parsed(&row.get::<_, String>(0)?)?,
            app_id: parsed(&row.get::<_, String>(1)?)?,
            process_types: from_json(&row.get::<_, String>(2)?)?,
            buildpack: row.get(3)?,
            checksum: checksum.map(|text| parsed(&text)).transpose()?,
            source_version: row.get(5)?,
            commit_description: row.get(6)?,
            created_at: row.get(7)?,
        })
    })
    .optional()
}
