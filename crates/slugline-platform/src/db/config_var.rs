//! Table `config_var`: the app's config vars as they stand; each release has a copy of its own.

use rusqlite::{Connection, params};
use slugline_model::config_vars::ConfigVars;
use uuid::Uuid;

/// The config vars of an app.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<ConfigVars> {
    db.prepare_cached(
        "SELECT name, unseal(value, 'config_var' || app_id || name) FROM config_var
         WHERE app_id = ?",
    )?
    .query_map([app.to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?
    .collect()
}

/// Replaces the config vars of an app.
pub(crate) fn replace(db: &Connection, app: Uuid, vars: &ConfigVars) -> rusqlite::Result<()> {
    db.execute("DELETE FROM config_var WHERE app_id = ?", [app.to_string()])?;
    let mut insert = db.prepare_cached(
        "INSERT INTO config_var (app_id, name, value)
        VALUES (?1, ?2, seal(?3, 'config_var' || ?1 || ?2))",
    )?;
    for (name, value) in vars {
        insert.execute(params![app.to_string(), name, value])?;
    }
    Ok(())
}
