//! Table `crash`: dynos that wait for their next start, so that a new server knows of them.

use rusqlite::{Connection, params};
use slugline_model::name::{AppName, DynoName};

use super::{from_json, parsed, to_json};
use crate::crashes::Crash;

/// Keeps a dyno's last crash.
pub(crate) fn put(
    db: &Connection,
    app: &AppName,
    dyno: &DynoName,
    crash: &Crash,
) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO crash (app, dyno, crash) VALUES (?, ?, ?)",
        params![app.as_str(), dyno.to_string(), to_json(crash)?],
    )?;
    Ok(())
}

/// Forgets a dyno's last crash.
pub(crate) fn delete(db: &Connection, app: &AppName, dyno: &DynoName) -> rusqlite::Result<()> {
    let sql = "DELETE FROM crash WHERE app = ? AND dyno = ?";
    db.execute(sql, params![app.as_str(), dyno.to_string()])?;
    Ok(())
}

/// Keeps those of an app under another name of it.
pub(crate) fn rename(db: &Connection, app: &AppName, name: &AppName) -> rusqlite::Result<()> {
    db.execute("UPDATE crash SET app = ? WHERE app = ?", params![name.as_str(), app.as_str()])?;
    Ok(())
}

/// All that are kept.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<((AppName, DynoName), Crash)>> {
    db.prepare("SELECT app, dyno, crash FROM crash")?
        .query_map([], |row| {
            let text = |column| row.get::<_, String>(column);
            Ok(((parsed(&text(0)?)?, parsed(&text(1)?)?), from_json(&text(2)?)?))
        })?
        .collect()
}
