//! Tables `account_feature` and `app_feature`: what is switched on, where it is not as it comes.

use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

/// Whether somebody has set an account's feature, and to what.
pub(crate) fn of_account(db: &Connection, name: &str) -> rusqlite::Result<Option<bool>> {
    let sql = "SELECT enabled FROM account_feature WHERE name = ?";
    db.query_row(sql, [name], |row| row.get(0)).optional()
}

pub(crate) fn set_of_account(db: &Connection, name: &str, enabled: bool) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO account_feature (name, enabled) VALUES (?, ?)
         ON CONFLICT (name) DO UPDATE SET enabled = excluded.enabled",
        params![name, enabled],
    )?;
    Ok(())
}

/// Whether somebody has set an app's feature, and to what.
pub(crate) fn of_app(db: &Connection, app: Uuid, name: &str) -> rusqlite::Result<Option<bool>> {
    let sql = "SELECT enabled FROM app_feature WHERE app_id = ? AND name = ?";
    db.query_row(sql, [app.to_string().as_str(), name], |row| row.get(0)).optional()
}

pub(crate) fn set_of_app(
    db: &Connection,
    app: Uuid,
    name: &str,
    enabled: bool,
) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO app_feature (app_id, name, enabled) VALUES (?, ?, ?)
         ON CONFLICT (app_id, name) DO UPDATE SET enabled = excluded.enabled",
        params![app.to_string(), name, enabled],
    )?;
    Ok(())
}
