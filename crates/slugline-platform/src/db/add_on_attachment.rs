//! Table `add_on_attachment`: under which names apps have add-ons.

use rusqlite::{Connection, Row, params};
use slugline_model::addon::AttachmentName;
use uuid::Uuid;

use super::parsed;

/// An attachment.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub(crate) id: Uuid,
    pub(crate) addon_id: Uuid,
    pub(crate) app_id: Uuid,
    pub(crate) name: AttachmentName,
    pub(crate) namespace: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const COLUMNS: &str =
    "id, add_on_id, app_id, name, namespace, created_at, updated_at FROM add_on_attachment";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Attachment> {
    Ok(Attachment {
        id: parsed(&row.get::<_, String>(0)?)?,
        addon_id: parsed(&row.get::<_, String>(1)?)?,
        app_id: parsed(&row.get::<_, String>(2)?)?,
        name: parsed(&row.get::<_, String>(3)?)?,
        namespace: row.get(4)?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}

pub(crate) fn insert(db: &Connection, attachment: &Attachment) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO add_on_attachment (id, add_on_id, app_id, name, namespace, created_at,
         updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![
            attachment.id.to_string(),
            attachment.addon_id.to_string(),
            attachment.app_id.to_string(),
            attachment.name.as_str(),
            attachment.namespace,
            attachment.created_at,
            attachment.updated_at
        ],
    )?;
    Ok(())
}

/// Every attachment, oldest first.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<Attachment>> {
    let sql = format!("SELECT {COLUMNS} ORDER BY created_at, id");
    db.prepare_cached(&sql)?.query_map([], from_row)?.collect()
}

/// An app's, oldest first.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<Attachment>> {
    let sql = format!("SELECT {COLUMNS} WHERE app_id = ? ORDER BY created_at, id");
    db.prepare_cached(&sql)?.query_map([app.to_string()], from_row)?.collect()
}

/// An add-on's, oldest first.
pub(crate) fn of_addon(db: &Connection, addon: Uuid) -> rusqlite::Result<Vec<Attachment>> {
    let sql = format!("SELECT {COLUMNS} WHERE add_on_id = ? ORDER BY created_at, id");
    db.prepare_cached(&sql)?.query_map([addon.to_string()], from_row)?.collect()
}

pub(crate) fn delete(db: &Connection, id: Uuid) -> rusqlite::Result<()> {
    db.execute("DELETE FROM add_on_attachment WHERE id = ?", [id.to_string()])?;
    Ok(())
}
