//! Table `buildpack_installation`.

use rusqlite::{Connection, params};
use uuid::Uuid;

/// The buildpacks that an app is set to, in their order.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT buildpack FROM buildpack_installation WHERE app_id = ? ORDER BY ordinal";
    db.prepare_cached(sql)?.query_map([app.to_string()], |row| row.get(0))?.collect()
}

/// Sets them.
pub(crate) fn replace(db: &Connection, app: Uuid, buildpacks: &[String]) -> rusqlite::Result<()> {
    db.execute("DELETE FROM buildpack_installation WHERE app_id = ?", [app.to_string()])?;
    for (ordinal, buildpack) in (0_i64..).zip(buildpacks) {
        db.execute(
            "INSERT INTO buildpack_installation (app_id, ordinal, buildpack) VALUES (?, ?, ?)",
            params![app.to_string(), ordinal, buildpack],
        )?;
    }
    Ok(())
}
