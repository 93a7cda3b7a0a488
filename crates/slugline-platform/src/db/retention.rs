//! Which slugs are kept: column `expired_at` of table `slug`, and who needs what.

use std::collections::{BTreeMap, HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension as _, params};
use slugline_model::retention::{AppFacts, ReleaseFacts};
use slugline_model::slug::SlugId;
use uuid::Uuid;

use super::parsed;

/// The trees of all slugs that are kept, each once.
pub(crate) fn kept_trees(db: &Connection) -> rusqlite::Result<Vec<SlugId>> {
    let sql = "SELECT DISTINCT tree FROM slug WHERE expired_at IS NULL";
    db.prepare_cached(sql)?.query_map([], |row| parsed(&row.get::<_, String>(0)?))?.collect()
}

/// An app's slugs that are kept: id and tree.
pub(crate) fn kept_of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<(Uuid, SlugId)>> {
    let sql = "SELECT id, tree FROM slug WHERE app_id = ? AND expired_at IS NULL
               ORDER BY created_at";
    db.prepare_cached(sql)?
        .query_map([app.to_string()], |row| {
            Ok((parsed(&row.get::<_, String>(0)?)?, parsed(&row.get::<_, String>(1)?)?))
        })?
        .collect()
}

/// What decides over an app's slugs. Which releases run is the caller's to say.
pub(crate) fn facts(
    db: &Connection,
    app: Uuid,
    running: &HashSet<u64>,
) -> rusqlite::Result<AppFacts> {
    let mut releases = db.prepare_cached(
        "SELECT release.version, slug.id, release.status, release.created_at FROM release
         LEFT JOIN slug ON slug.id = release.slug_id AND slug.expired_at IS NULL
         WHERE release.app_id = ?",
    )?;
    let release = |row: &rusqlite::Row<'_>| {
        let version = row.get::<_, i64>(0)?.unsigned_abs();
        let status: String = row.get(2)?;
        Ok(ReleaseFacts {
            version,
            slug: row.get::<_, Option<String>>(1)?.map(|id| parsed(&id)).transpose()?,
            succeeded: status == "succeeded",
            pending: status == "pending",
            running: running.contains(&version),
            created_at: row.get(3)?,
        })
    };
    let releases = releases.query_map([app.to_string()], release)?.collect::<Result<_, _>>()?;
    let mut slugs = db.prepare_cached(
        "SELECT id, created_at FROM slug WHERE app_id = ? AND expired_at IS NULL",
    )?;
    let slugs: BTreeMap<Uuid, i64> = slugs
        .query_map([app.to_string()], |row| Ok((parsed(&row.get::<_, String>(0)?)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    Ok(AppFacts { releases, slugs })
}

/// Gives a slug up.
pub(crate) fn expire(db: &Connection, slug: Uuid, now: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE slug SET expired_at = ? WHERE id = ? AND expired_at IS NULL";
    db.execute(sql, params![now, slug.to_string()])?;
    Ok(())
}

/// Whether a slug was given up.
pub(crate) fn is_expired(db: &Connection, slug: Uuid) -> rusqlite::Result<bool> {
    let sql = "SELECT expired_at IS NOT NULL FROM slug WHERE id = ?";
    Ok(db.query_row(sql, [slug.to_string()], |row| row.get(0)).optional()?.unwrap_or(false))
}

/// The versions of an app's releases that have a slug, oldest first.
pub(crate) fn versions(db: &Connection, slug: Uuid) -> rusqlite::Result<Vec<u64>> {
    let sql = "SELECT version FROM release WHERE slug_id = ? ORDER BY version";
    db.prepare_cached(sql)?
        .query_map([slug.to_string()], |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()))?
        .collect()
}

/// What people call each tree: the app's name and the versions of its releases.
pub(crate) fn known_as(db: &Connection) -> rusqlite::Result<HashMap<String, Vec<String>>> {
    let sql = "SELECT slug.tree, app.name, release.version FROM slug
               JOIN app ON app.id = slug.app_id
               LEFT JOIN release ON release.slug_id = slug.id
               WHERE slug.expired_at IS NULL ORDER BY app.name, release.version";
    let mut versions: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let mut rows = db.prepare_cached(sql)?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let version = row.get::<_, Option<i64>>(2)?.map(|version| format!("v{version}"));
        versions.entry((row.get(0)?, row.get(1)?)).or_default().extend(version);
    }
    let mut known: HashMap<String, Vec<String>> = HashMap::new();
    for ((tree, app), versions) in versions {
        let name = if versions.is_empty() {
            format!("{app} (not released)")
        } else {
            format!("{app} {}", versions.join(", "))
        };
        known.entry(tree).or_default().push(name);
    }
    Ok(known)
}

/// The build that made a slug, by its id.
pub(crate) fn build_of(db: &Connection, slug: Uuid) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT id FROM build WHERE slug_id = ? ORDER BY created_at LIMIT 1";
    db.query_row(sql, [slug.to_string()], |row| row.get(0)).optional()
}

/// Notes the names of the config vars that a build sees.
pub(crate) fn set_config_var_names(
    db: &Connection,
    build: Uuid,
    names: &[&String],
) -> rusqlite::Result<()> {
    let names = super::to_json(&names)?;
    let sql = "UPDATE build SET config_var_names = ? WHERE id = ?";
    db.execute(sql, params![names, build.to_string()])?;
    Ok(())
}

/// The names of the config vars that a build saw; none where they were not noted.
pub(crate) fn config_var_names(
    db: &Connection,
    build: Uuid,
) -> rusqlite::Result<Option<Vec<String>>> {
    let sql = "SELECT config_var_names FROM build WHERE id = ?";
    let names =
        db.query_row(sql, [build.to_string()], |row| row.get::<_, Option<String>>(0)).optional()?;
    names.flatten().map(|names| super::from_json(&names)).transpose()
}
