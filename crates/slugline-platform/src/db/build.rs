//! Table `build`.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use slugline_model::build::{BuildStatus, CompileResult};
use slugline_model::config_vars::ConfigVars;
use slugline_model::parts::Growth;
use uuid::Uuid;

use super::{from_json, parsed, to_json};

/// A build of an app.
#[derive(Debug, Clone)]
pub(crate) struct Build {
    pub(crate) id: Uuid,
    pub(crate) status: BuildStatus,
    /// By phase, as `slugline compile` gives it; none while it runs.
    pub(crate) exit_code: Option<i32>,
    pub(crate) source: SourceBlob,
    /// Those that were asked for; empty where the app decides.
    pub(crate) buildpacks: Vec<String>,
    /// What the build saw; none before it began, and once it can no longer be run again.
    pub(crate) config_vars: Option<ConfigVars>,
    /// The build whose inputs this one has.
    pub(crate) replay_of: Option<Uuid>,
    pub(crate) slug_id: Option<Uuid>,
    pub(crate) release_id: Option<Uuid>,
    /// What the build says of its tree.
    pub(crate) result: Option<CompileResult>,
    /// What is larger than in the build before.
    pub(crate) grown: Vec<Growth>,
    /// Why it failed, in a few words.
    pub(crate) failure: Option<String>,
    /// Who asked for it.
    pub(crate) user_id: Option<Uuid>,
    /// The app's cache after it (bytes).
    pub(crate) cache_bytes: Option<u64>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// Where a build's source is, and what its uploader says of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceBlob {
    pub(crate) url: String,
    pub(crate) version: Option<String>,
    pub(crate) version_description: Option<String>,
    pub(crate) checksum: Option<String>,
    /// Ours: the directory of the source that the app is in; empty for its top.
    pub(crate) root: String,
}

const SELECT: &str = "SELECT id, status, exit_code, source_url, source_version,
    version_description, checksum, buildpacks, unseal(config_vars, 'build' || id), replay_of, slug_id, release_id, result,
    grown, failure, cache_bytes, created_at, updated_at, root, user_id FROM build";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Build> {
    let id_at = |column: usize| -> rusqlite::Result<Option<Uuid>> {
        row.get::<_, Option<String>>(column)?.map(|id| parsed(&id)).transpose()
    };
    let json_at = |column: usize| row.get::<_, Option<String>>(column);
    Ok(Build {
        id: parsed(&row.get::<_, String>(0)?)?,
        status: match row.get::<_, String>(1)?.as_str() {
            "succeeded" => BuildStatus::Succeeded,
            "failed" => BuildStatus::Failed,
            _ => BuildStatus::Pending,
        },
        exit_code: row.get(2)?,
        source: SourceBlob {
            url: row.get(3)?,
            version: row.get(4)?,
            version_description: row.get(5)?,
            checksum: row.get(6)?,
            root: row.get(18)?,
        },
        buildpacks: from_json(&row.get::<_, String>(7)?)?,
        config_vars: json_at(8)?.map(|json| from_json(&json)).transpose()?,
        replay_of: id_at(9)?,
        slug_id: id_at(10)?,
        release_id: id_at(11)?,
        result: json_at(12)?.map(|json| from_json(&json)).transpose()?,
        grown: from_json(&row.get::<_, String>(13)?)?,
        failure: row.get(14)?,
        cache_bytes: row.get::<_, Option<i64>>(15)?.map(i64::unsigned_abs),
        created_at: row.get(16)?,
        updated_at: row.get(17)?,
        user_id: id_at(19)?,
    })
}

/// Adds a build, or writes how it went on.
pub(crate) fn put(db: &Connection, app: Uuid, build: &Build) -> rusqlite::Result<()> {
    let id = |id: Option<Uuid>| id.map(|id| id.to_string());
    db.execute(
        "INSERT INTO build (id, app_id, status, exit_code, source_url, source_version,
         version_description, checksum, buildpacks, config_vars, replay_of, slug_id, release_id,
         result, grown, failure, created_at, updated_at, root, user_id)
         VALUES (?1, ?, ?, ?, ?, ?, ?, ?, ?, seal(?, 'build' || ?1), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET status = excluded.status, exit_code = excluded.exit_code,
         config_vars = excluded.config_vars, slug_id = excluded.slug_id,
         release_id = excluded.release_id, result = excluded.result, grown = excluded.grown,
         failure = excluded.failure, updated_at = excluded.updated_at",
        params![
            build.id.to_string(),
            app.to_string(),
            build.status.as_str(),
            build.exit_code,
            build.source.url,
            build.source.version,
            build.source.version_description,
            build.source.checksum,
            to_json(&build.buildpacks)?,
            build.config_vars.as_ref().map(to_json).transpose()?,
            id(build.replay_of),
            id(build.slug_id),
            id(build.release_id),
            build.result.as_ref().map(to_json).transpose()?,
            to_json(&build.grown)?,
            build.failure,
            build.created_at,
            build.updated_at,
            build.source.root,
            id(build.user_id)
        ],
    )?;
    Ok(())
}

/// Notes how large the app's cache is after a build (bytes).
pub(crate) fn set_cache_bytes(db: &Connection, id: Uuid, bytes: u64) -> rusqlite::Result<()> {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    db.execute("UPDATE build SET cache_bytes = ? WHERE id = ?", params![bytes, id.to_string()])?;
    Ok(())
}

/// How large the last build of an app that noted it left the cache (bytes).
pub(crate) fn last_cache_bytes(db: &Connection, app: Uuid) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT cache_bytes FROM build WHERE app_id = ? AND cache_bytes IS NOT NULL
               ORDER BY created_at DESC LIMIT 1";
    let found = db.query_row(sql, [app.to_string()], |row| row.get::<_, i64>(0)).optional()?;
    Ok(found.map(i64::unsigned_abs))
}

/// The builds that a dead server left behind, each with its app's id.
pub(crate) fn pending(db: &Connection) -> rusqlite::Result<Vec<(Uuid, Build)>> {
    let sql = format!("{SELECT} WHERE status = 'pending' ORDER BY created_at");
    let builds: Vec<Build> =
        db.prepare_cached(&sql)?.query_map([], from_row)?.collect::<Result<_, _>>()?;
    let app_of = |build: Build| {
        let sql = "SELECT app_id FROM build WHERE id = ?";
        let app = db.query_row(sql, [build.id.to_string()], |row| row.get::<_, String>(0))?;
        Ok((parsed(&app)?, build))
    };
    builds.into_iter().map(app_of).collect()
}

/// Forgets the config vars of builds that are too old to be run again: all but the newest of each
/// app.
pub(crate) fn forget_inputs(db: &Connection, kept: usize) -> rusqlite::Result<usize> {
    db.execute(
        "UPDATE build SET config_vars = NULL WHERE config_vars IS NOT NULL
         AND status <> 'pending' AND id NOT IN (
             SELECT id FROM (SELECT id, row_number() OVER newest AS place FROM build
                 WINDOW newest AS (PARTITION BY app_id ORDER BY created_at DESC))
             WHERE place <= ?)",
        [i64::try_from(kept).unwrap_or(i64::MAX)],
    )
}

/// The URLs of all sources that builds had, and whether each is still needed: by a build that has
/// not ended, or by one that can be run again.
pub(crate) fn sources(db: &Connection) -> rusqlite::Result<Vec<(String, bool)>> {
    let sql = "SELECT source_url, max(status = 'pending' OR config_vars IS NOT NULL)
               FROM build GROUP BY source_url";
    db.prepare_cached(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// A build by its id.
pub(crate) fn find(db: &Connection, app: Uuid, id: &str) -> rusqlite::Result<Option<Build>> {
    let sql = format!("{SELECT} WHERE app_id = ? AND id = ?");
    db.query_row(&sql, params![app.to_string(), id], from_row).optional()
}

/// The last build of an app that succeeded.
pub(crate) fn last_succeeded(db: &Connection, app: Uuid) -> rusqlite::Result<Option<Build>> {
    let sql = format!(
        "{SELECT} WHERE app_id = ? AND status = 'succeeded' ORDER BY created_at DESC LIMIT 1"
    );
    db.query_row(&sql, [app.to_string()], from_row).optional()
}

/// All builds of an app, oldest first.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<Build>> {
    let sql = format!("{SELECT} WHERE app_id = ? ORDER BY created_at");
    db.prepare_cached(&sql)?.query_map([app.to_string()], from_row)?.collect()
}
