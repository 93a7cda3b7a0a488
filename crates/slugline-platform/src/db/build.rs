//! Table `build`.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use slugline_model::build::{BuildStatus, BuildpackReport, StepMeasure};
use uuid::Uuid;

use super::{from_json, parsed, to_json};

/// A build of an app.
#[derive(Debug, Clone)]
pub(crate) struct Build {
    pub(crate) id: Uuid,
    pub(crate) status: BuildStatus,
    /// By phase, as `slugline compile` gives it; none while it runs.
    pub(crate) exit_code: Option<i32>,
    pub(crate) source_url: String,
    pub(crate) source_version: Option<String>,
    /// Those it was asked for, in order; empty to let the app decide.
    pub(crate) buildpacks: Vec<String>,
    pub(crate) slug_id: Option<Uuid>,
    pub(crate) release_id: Option<Uuid>,
    pub(crate) steps: Vec<StepMeasure>,
    pub(crate) reports: Vec<BuildpackReport>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const SELECT: &str = "SELECT id, status, exit_code, source_url, source_version, slug_id,
                      release_id, steps, created_at, updated_at, buildpacks,
                      reports FROM build";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Build> {
    let id_at = |column: usize| -> rusqlite::Result<Option<Uuid>> {
        row.get::<_, Option<String>>(column)?.map(|id| parsed(&id)).transpose()
    };
    Ok(Build {
        id: parsed(&row.get::<_, String>(0)?)?,
        status: match row.get::<_, String>(1)?.as_str() {
            "succeeded" => BuildStatus::Succeeded,
            "failed" => BuildStatus::Failed,
            _ => BuildStatus::Pending,
        },
        exit_code: row.get(2)?,
        source_url: row.get(3)?,
        source_version: row.get(4)?,
        slug_id: id_at(5)?,
        release_id: id_at(6)?,
        steps: from_json(&row.get::<_, String>(7)?)?,
        created_at: row.get(8)?,
        updated_at: row.get(9)?,
        buildpacks: from_json(&row.get::<_, String>(10)?)?,
        reports: from_json(&row.get::<_, String>(11)?)?,
    })
}

/// Adds a build, or writes how it went on.
pub(crate) fn put(db: &Connection, app: Uuid, build: &Build) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO build (id, app_id, status, exit_code, source_url, source_version, slug_id,
         release_id, steps, created_at, updated_at, buildpacks, reports)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, exit_code = excluded.exit_code,
         slug_id = excluded.slug_id, reports = excluded.reports, release_id = excluded.release_id, steps = excluded.steps,
         updated_at = excluded.updated_at",
        params![
            build.id.to_string(),
            app.to_string(),
            build.status.as_str(),
            build.exit_code,
            build.source_url,
            build.source_version,
            build.slug_id.map(|id| id.to_string()),
            build.release_id.map(|id| id.to_string()),
            to_json(&build.steps)?,
            build.created_at,
            build.updated_at,
            to_json(&build.buildpacks)?,
            to_json(&build.reports)?
        ],
    )?;
    Ok(())
}

/// Fails every build that a dead server left behind.
pub(crate) fn fail_pending(db: &Connection, now: i64) -> rusqlite::Result<usize> {
    db.execute("UPDATE build SET status = 'failed', updated_at = ? WHERE status = 'pending'", [now])
}

/// A build by its id.
pub(crate) fn find(db: &Connection, app: Uuid, id: &str) -> rusqlite::Result<Option<Build>> {
    let sql = format!("{SELECT} WHERE app_id = ? AND id = ?");
    db.query_row(&sql, params![app.to_string(), id], from_row).optional()
}

/// All builds of an app, oldest first.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<Build>> {
    let sql = format!("{SELECT} WHERE app_id = ? ORDER BY created_at");
    db.prepare_cached(&sql)?.query_map([app.to_string()], from_row)?.collect()
}
