//! Table `release`. Versions count from 1 without gaps.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use slugline_model::config_vars::ConfigVars;
use uuid::Uuid;

use super::{from_json, parsed, to_json};

/// A release of an app.
#[derive(Debug, Clone)]
pub(crate) struct Release {
    pub(crate) id: Uuid,
    pub(crate) version: u64,
    pub(crate) slug_id: Option<Uuid>,
    pub(crate) config_vars: ConfigVars,
    pub(crate) description: String,
    pub(crate) status: Status,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    /// Who asked for it.
    pub(crate) user_id: Option<Uuid>,
    /// Whether its web dynos served; none as long as that is not known.
    pub(crate) is_healthy: Option<bool>,
    /// The plans of the add-ons that it was made with.
    pub(crate) addon_plans: Vec<String>,
    /// Which of its config vars come from them.
    pub(crate) addon_vars: Vec<String>,
}

/// Where a release stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Its release phase runs.
    Pending,
    /// It may run.
    Succeeded,
    /// Its release phase failed.
    Failed,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Status::Pending => "pending",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
        }
    }

    fn from_text(text: &str) -> Self {
        match text {
            "succeeded" => Status::Succeeded,
            "failed" => Status::Failed,
            _ => Status::Pending,
        }
    }
}

const SELECT: &str = "SELECT id, version, slug_id,
                      unseal(config_vars, 'release' || id), description, status, created_at,
                      updated_at, health, add_on_plans, add_on_vars, user_id FROM release";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Release> {
    let slug_id = row.get::<_, Option<String>>(2)?;
    Ok(Release {
        id: parsed(&row.get::<_, String>(0)?)?,
        version: row.get::<_, i64>(1)?.unsigned_abs(),
        slug_id: slug_id.map(|id| parsed(&id)).transpose()?,
        config_vars: from_json(&row.get::<_, String>(3)?)?,
        description: row.get(4)?,
        status: Status::from_text(&row.get::<_, String>(5)?),
        created_at: row.get(6)?,
        updated_at: row.get(7)?,
        is_healthy: row.get::<_, Option<String>>(8)?.map(|health| health == "healthy"),
        addon_plans: from_json(&row.get::<_, String>(9)?)?,
        addon_vars: from_json(&row.get::<_, String>(10)?)?,
        user_id: row.get::<_, Option<String>>(11)?.map(|id| parsed(&id)).transpose()?,
    })
}

/// Adds a release with the next version, made with the add-ons that are attached now.
pub(crate) fn insert(
    db: &Connection,
    app: Uuid,
    slug_id: Option<Uuid>,
    config_vars: &ConfigVars,
    description: &str,
    status: Status,
    (user, now): (Option<Uuid>, i64),
) -> rusqlite::Result<Release> {
    let id = Uuid::new_v4();
    let attached = super::add_on::attached(db, app)?;
    let plans: Vec<String> = attached.iter().map(|(_, addon)| addon.full_plan()).collect();
    let names =
        attached.iter().flat_map(|(attachment, addon)| addon.held(&attachment.name).names());
    let names: Vec<String> = names.collect();
    db.execute(
        "INSERT INTO release (id, app_id, version, slug_id, config_vars, description, status,
         created_at, updated_at, add_on_plans, add_on_vars, user_id)
         VALUES (?1, ?2, (SELECT coalesce(max(version), 0) + 1 FROM release WHERE app_id = ?2),
         ?3, seal(?4, 'release' || ?1), ?5, ?6, ?7, ?7, ?8, ?9, ?10)",
        params![
            id.to_string(),
            app.to_string(),
            slug_id.map(|id| id.to_string()),
            to_json(config_vars)?,
            description,
            status.as_str(),
            now,
            to_json(&plans)?,
            to_json(&names)?,
            user.map(|id| id.to_string())
        ],
    )?;
    db.query_row(&format!("{SELECT} WHERE id = ?"), [id.to_string()], from_row)
}

/// Settles a pending release.
pub(crate) fn settle(db: &Connection, id: Uuid, status: Status, now: i64) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE release SET status = ?, updated_at = ? WHERE id = ?",
        params![status.as_str(), now, id.to_string()],
    )?;
    Ok(())
}

/// Notes whether a release's web dynos serve. One that served once is healthy.
pub(crate) fn set_health(
    db: &Connection,
    app: Uuid,
    version: u64,
    is_healthy: bool,
) -> rusqlite::Result<()> {
    let health = if is_healthy { "healthy" } else { "unhealthy" };
    db.execute(
        "UPDATE release SET health = ?1 WHERE app_id = ?2 AND version = ?3
         AND coalesce(health, '') NOT IN ('healthy', ?1)",
        params![health, app.to_string(), i64::try_from(version).unwrap_or(i64::MAX)],
    )?;
    Ok(())
}

/// The releases whose release phase a dead server left behind, by id.
pub(crate) fn pending(db: &Connection) -> rusqlite::Result<Vec<Uuid>> {
    db.prepare_cached("SELECT id FROM release WHERE status = 'pending'")?
        .query_map([], |row| parsed(&row.get::<_, String>(0)?))?
        .collect()
}

/// Fails every release whose release phase a dead server left behind.
pub(crate) fn fail_pending(db: &Connection, now: i64) -> rusqlite::Result<usize> {
    db.execute(
        "UPDATE release SET status = 'failed', updated_at = ? WHERE status = 'pending'",
        [now],
    )
}

/// The release that an app runs: the newest that succeeded.
pub(crate) fn current(db: &Connection, app: Uuid) -> rusqlite::Result<Option<Release>> {
    let sql =
        format!("{SELECT} WHERE app_id = ? AND status = 'succeeded' ORDER BY version DESC LIMIT 1");
    db.query_row(&sql, [app.to_string()], from_row).optional()
}

/// The release that an API call names: by its version, its id, or as `current`.
pub(crate) fn named(db: &Connection, app: Uuid, name: &str) -> rusqlite::Result<Option<Release>> {
    match name {
        "" | "current" => current(db, app),
        name => find(db, app, name),
    }
}

/// All releases of an app, oldest first.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<Release>> {
    let sql = format!("{SELECT} WHERE app_id = ? ORDER BY version");
    db.prepare_cached(&sql)?.query_map([app.to_string()], from_row)?.collect()
}

/// A release by its version or its id.
pub(crate) fn find(
    db: &Connection,
    app: Uuid,
    version_or_id: &str,
) -> rusqlite::Result<Option<Release>> {
    let sql = format!("{SELECT} WHERE app_id = ? AND (id = ? OR version = ?)");
    let version = version_or_id.strip_prefix('v').unwrap_or(version_or_id);
    let version = version.parse::<i64>().unwrap_or(-1);
    db.query_row(&sql, params![app.to_string(), version_or_id, version], from_row).optional()
}
