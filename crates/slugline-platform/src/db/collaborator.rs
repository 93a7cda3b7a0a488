//! Table `collaborator`: who may work on an app beside its owner.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::parsed;

/// Somebody who was let in.
#[derive(Debug, Clone)]
pub(crate) struct Collaborator {
    pub(crate) id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) email: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const SELECT: &str = "SELECT collaborator.id, account_id, email, collaborator.created_at,
    collaborator.updated_at FROM collaborator JOIN account ON account.id = account_id";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Collaborator> {
    Ok(Collaborator {
        id: parsed(&row.get::<_, String>(0)?)?,
        account_id: parsed(&row.get::<_, String>(1)?)?,
        email: row.get(2)?,
        created_at: row.get(3)?,
        updated_at: row.get(4)?,
    })
}

/// Lets somebody in; who is in already stays.
pub(crate) fn add(db: &Connection, app: Uuid, account: Uuid, now: i64) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO collaborator (id, app_id, account_id, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT (app_id, account_id) DO NOTHING",
        params![Uuid::new_v4().to_string(), app.to_string(), account.to_string(), now],
    )?;
    Ok(())
}

/// Those of an app, in the order in which they came.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<Collaborator>> {
    let sql = format!("{SELECT} WHERE app_id = ? ORDER BY collaborator.created_at, email");
    db.prepare_cached(&sql)?.query_map([app.to_string()], from_row)?.collect()
}

/// One of an app, by its id, its account's id, or its email.
pub(crate) fn find(
    db: &Connection,
    app: Uuid,
    name: &str,
) -> rusqlite::Result<Option<Collaborator>> {
    let sql = format!(
        "{SELECT} WHERE app_id = ?1 AND (collaborator.id = ?2 OR account_id = ?2 OR email = ?2)"
    );
    db.query_row(&sql, params![app.to_string(), name], from_row).optional()
}

/// Whether somebody was let in.
pub(crate) fn is_one(db: &Connection, app: Uuid, account: Uuid) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM collaborator WHERE app_id = ? AND account_id = ?)";
    let of = params![app.to_string(), account.to_string()];
    db.prepare_cached(sql)?.query_row(of, |row| row.get(0))
}

/// Shows somebody out.
pub(crate) fn delete(db: &Connection, app: Uuid, account: Uuid) -> rusqlite::Result<()> {
    db.execute(
        "DELETE FROM collaborator WHERE app_id = ? AND account_id = ?",
        params![app.to_string(), account.to_string()],
    )?;
    Ok(())
}
