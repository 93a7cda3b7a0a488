//! Table `test_run`.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use slugline_model::resources::DynoSize;
use slugline_model::test_run::Status;
use uuid::Uuid;

use super::parsed;

/// A test run of a pipeline.
#[derive(Debug, Clone)]
pub(crate) struct TestRun {
    pub(crate) id: Uuid,
    pub(crate) pipeline_id: Uuid,
    /// From 1 on, in its pipeline.
    pub(crate) number: u64,
    pub(crate) status: Status,
    pub(crate) commit: Commit,
    pub(crate) source_blob_url: String,
    pub(crate) user_id: Uuid,
    /// Why it came to no verdict.
    pub(crate) message: Option<String>,
    /// Where it stood then.
    pub(crate) error_status: Option<Status>,
    pub(crate) exit_code: Option<i32>,
    /// Its dyno's, once its app.json was read.
    pub(crate) size: DynoSize,
    pub(crate) node_id: Uuid,
    /// The output of its build and its setup.
    pub(crate) setup_id: Uuid,
    /// The output of its tests.
    pub(crate) output_id: Uuid,
    /// What it is built and run as, for as long as that takes.
    pub(crate) app_id: Option<Uuid>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// What is tested.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) branch: String,
    pub(crate) message: String,
    pub(crate) sha: String,
}

const COLUMNS: &str = "id, pipeline_id, number, status, commit_branch, commit_message, commit_sha,
                       source_blob_url, user_id, message, error_status, exit_code, node_id, setup_id,
                       output_id, app_id, created_at, updated_at, size FROM test_run";

/// What is not over.
const GOES_ON: &str = "status IN ('pending', 'building', 'running')";

fn from_row(row: &Row<'_>) -> rusqlite::Result<TestRun> {
    let id = |at: usize| parsed(&row.get::<_, String>(at)?);
    let app: Option<String> = row.get(15)?;
    let error_status: Option<String> = row.get(10)?;
    Ok(TestRun {
        id: id(0)?,
        pipeline_id: id(1)?,
        number: row.get::<_, i64>(2)?.unsigned_abs(),
        status: parsed(&row.get::<_, String>(3)?)?,
        commit: Commit { branch: row.get(4)?, message: row.get(5)?, sha: row.get(6)? },
        source_blob_url: row.get(7)?,
        user_id: id(8)?,
        message: row.get(9)?,
        error_status: error_status.map(|status| parsed(&status)).transpose()?,
        exit_code: row.get(11)?,
        node_id: id(12)?,
        setup_id: id(13)?,
        output_id: id(14)?,
        app_id: app.map(|id| parsed(&id)).transpose()?,
        created_at: row.get(16)?,
        updated_at: row.get(17)?,
        size: DynoSize::named(&row.get::<_, String>(18)?).unwrap_or(DynoSize::BASIC),
    })
}

/// Adds one under the next number of its pipeline, which is given.
pub(crate) fn insert(db: &Connection, run: &TestRun) -> rusqlite::Result<u64> {
    let pipeline = run.pipeline_id.to_string();
    let sql = "SELECT coalesce(max(number), 0) + 1 FROM test_run WHERE pipeline_id = ?";
    let number: i64 = db.query_row(sql, [&pipeline], |row| row.get(0))?;
    db.execute(
        "INSERT INTO test_run (id, pipeline_id, number, status, commit_branch, commit_message,
         commit_sha, source_blob_url, user_id, node_id, setup_id, output_id, app_id, created_at,
         updated_at, size) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            run.id.to_string(),
            pipeline,
            number,
            run.status.as_str(),
            run.commit.branch,
            run.commit.message,
            run.commit.sha,
            run.source_blob_url,
            run.user_id.to_string(),
            run.node_id.to_string(),
            run.setup_id.to_string(),
            run.output_id.to_string(),
            run.app_id.map(|id| id.to_string()),
            run.created_at,
            run.updated_at,
            run.size.name
        ],
    )?;
    Ok(number.unsigned_abs())
}

/// Notes where one stands; false if it was over already, and stays what it came to.
pub(crate) fn advance(db: &Connection, run: &TestRun) -> rusqlite::Result<bool> {
    let changed = db.execute(
        &format!(
            "UPDATE test_run SET status = ?, message = ?, error_status = ?, exit_code = ?,
             updated_at = ?, size = ? WHERE id = ? AND {GOES_ON}"
        ),
        params![
            run.status.as_str(),
            run.message,
            run.error_status.map(Status::as_str),
            run.exit_code,
            run.updated_at,
            run.size.name,
            run.id.to_string()
        ],
    )?;
    Ok(changed > 0)
}

/// A pipeline's, oldest first.
pub(crate) fn of_pipeline(db: &Connection, pipeline: Uuid) -> rusqlite::Result<Vec<TestRun>> {
    let sql = format!("SELECT {COLUMNS} WHERE pipeline_id = ? ORDER BY number");
    db.prepare_cached(&sql)?.query_map([pipeline.to_string()], from_row)?.collect()
}

/// One of a pipeline's, by its number.
pub(crate) fn numbered(
    db: &Connection,
    pipeline: Uuid,
    number: u64,
) -> rusqlite::Result<Option<TestRun>> {
    let sql = format!("SELECT {COLUMNS} WHERE pipeline_id = ? AND number = ?");
    let number = i64::try_from(number).unwrap_or(i64::MAX);
    db.query_row(&sql, params![pipeline.to_string(), number], from_row).optional()
}

pub(crate) fn find(db: &Connection, id: &str) -> rusqlite::Result<Option<TestRun>> {
    db.query_row(&format!("SELECT {COLUMNS} WHERE id = ?"), [id], from_row).optional()
}

/// Whether an app is there for a test run alone.
pub(crate) fn has_app(db: &Connection, app: Uuid) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM test_run WHERE app_id = ?)";
    db.query_row(sql, [app.to_string()], |row| row.get(0))
}

/// Those that an earlier server left: in the middle, or with their app.
pub(crate) fn left(db: &Connection) -> rusqlite::Result<Vec<TestRun>> {
    let sql = format!("SELECT {COLUMNS} WHERE {GOES_ON} OR app_id IS NOT NULL ORDER BY created_at");
    db.prepare_cached(&sql)?.query_map([], from_row)?.collect()
}
