//! Column `media` of table `app`: which uploads the router answers for out of the app's bucket.

use rusqlite::{Connection, params};
use slugline_model::media::MediaRule;
use slugline_model::name::AppName;
use uuid::Uuid;

use super::{from_json, parsed, to_json};

/// An app's rule, if it has one.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Option<MediaRule>> {
    let sql = "SELECT media FROM app WHERE id = ?";
    let text: Option<String> = db.query_row(sql, [app.to_string()], |row| row.get(0))?;
    text.map(|text| from_json(&text)).transpose()
}

/// Gives an app a rule, or takes it away.
pub(crate) fn set(db: &Connection, app: Uuid, rule: Option<&MediaRule>) -> rusqlite::Result<()> {
    let text = rule.map(to_json).transpose()?;
    db.execute("UPDATE app SET media = ? WHERE id = ?", params![text, app.to_string()])?;
    Ok(())
}

/// The rules of all apps that have one.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<(AppName, MediaRule)>> {
    let sql = "SELECT name, media FROM app WHERE media IS NOT NULL";
    let row = |row: &rusqlite::Row<'_>| {
        Ok((parsed(&row.get::<_, String>(0)?)?, from_json(&row.get::<_, String>(1)?)?))
    };
    db.prepare_cached(sql)?.query_map([], row)?.collect()
}
