//! What apps decide about proofs and about files of earlier releases, and what proofs came to.

use rusqlite::{Connection, OptionalExtension as _, params};
use slugline_model::prove::{Gate, Verdict};
use slugline_model::slug::SlugId;
use uuid::Uuid;

use super::{from_json, parsed, to_json};

/// What an app decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// What proofs of its releases are for.
    pub(crate) gate: Gate,
    /// Whether files of earlier releases are served.
    pub(crate) bridges: bool,
}

/// What an app decides.
pub(crate) fn settings(db: &Connection, app: Uuid) -> rusqlite::Result<Settings> {
    let sql = "SELECT prove, bridges FROM app WHERE id = ?";
    db.query_row(sql, [app.to_string()], |row| {
        let gate = Gate::named(&row.get::<_, String>(0)?).unwrap_or_default();
        Ok(Settings { gate, bridges: row.get(1)? })
    })
}

/// Decides anew.
pub(crate) fn set(db: &Connection, app: Uuid, settings: Settings) -> rusqlite::Result<()> {
    let Settings { gate, bridges } = settings;
    let sql = "UPDATE app SET prove = ?, bridges = ? WHERE id = ?";
    db.execute(sql, params![gate.as_str(), bridges, app.to_string()])?;
    Ok(())
}

/// Keeps what a release's proof came to.
pub(crate) fn put(db: &Connection, release: Uuid, verdict: &Verdict) -> rusqlite::Result<()> {
    let sql = "UPDATE release SET proof = ? WHERE id = ?";
    db.execute(sql, params![to_json(verdict)?, release.to_string()])?;
    Ok(())
}

/// What a release's last proof came to.
pub(crate) fn of_release(db: &Connection, release: Uuid) -> rusqlite::Result<Option<Verdict>> {
    let sql = "SELECT proof FROM release WHERE id = ?";
    let text: Option<Option<String>> =
        db.query_row(sql, [release.to_string()], |row| row.get(0)).optional()?;
    text.flatten().map(|text| from_json(&text)).transpose()
}

/// Whether a release that succeeded had this slug.
pub(crate) fn was_released(db: &Connection, slug: Uuid) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM release WHERE slug_id = ? AND status = 'succeeded'";
    db.query_row(sql, [slug.to_string()], |row| row.get::<_, i64>(0)).map(|count| count > 0)
}

/// The trees of the last releases that succeeded and whose slugs are kept, newest first: the newest
/// release of each, and its tree.
pub(crate) fn last_trees(
    db: &Connection,
    app: &str,
    count: u32,
) -> rusqlite::Result<Vec<(u64, SlugId)>> {
    let sql = "SELECT max(release.version), slug.tree FROM release
               JOIN slug ON slug.id = release.slug_id
               JOIN app ON app.id = release.app_id
               WHERE app.name = ? AND release.status = 'succeeded' AND slug.expired_at IS NULL
               GROUP BY slug.tree ORDER BY 1 DESC LIMIT ?";
    db.prepare_cached(sql)?
        .query_map(params![app, count], |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), parsed(&row.get::<_, String>(1)?)?))
        })?
        .collect()
}

/// Whether an app of this name bridges its releases.
pub(crate) fn bridges(db: &Connection, app: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT bridges FROM app WHERE name = ?";
    db.query_row(sql, [app], |row| row.get(0)).optional().map(Option::unwrap_or_default)
}
