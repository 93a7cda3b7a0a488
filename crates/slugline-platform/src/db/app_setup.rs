//! Tables `app_setup`, `review_app` and `review_app_config`.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::Value;
use uuid::Uuid;

use super::{from_json, parsed, to_json};

/// An app that is set up from a source.
#[derive(Debug, Clone)]
pub(crate) struct AppSetup {
    pub(crate) id: Uuid,
    /// None once it was destroyed.
    pub(crate) app_id: Option<Uuid>,
    pub(crate) build_id: Option<Uuid>,
    /// `pending`, `succeeded`, `failed`.
    pub(crate) status: String,
    pub(crate) failure: Option<String>,
    /// What is wrong with its app.json.
    pub(crate) errors: Vec<String>,
    pub(crate) success_url: Option<String>,
    /// The status and the output of its postdeploy script.
    pub(crate) postdeploy: Option<(i32, String)>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const SETUP: &str = "id, app_id, build_id, status, failure, errors, success_url, postdeploy_status,
                     postdeploy_output, created_at, updated_at FROM app_setup";

fn setup(row: &Row<'_>) -> rusqlite::Result<AppSetup> {
    let id = |at: usize| row.get::<_, Option<String>>(at)?.map(|id| parsed(&id)).transpose();
    let status: Option<i32> = row.get(7)?;
    let output: Option<String> = row.get(8)?;
    Ok(AppSetup {
        id: parsed(&row.get::<_, String>(0)?)?,
        app_id: id(1)?,
        build_id: id(2)?,
        status: row.get(3)?,
        failure: row.get(4)?,
        errors: from_json(&row.get::<_, String>(5)?)?,
        success_url: row.get(6)?,
        postdeploy: status.map(|status| (status, output.unwrap_or_default())),
        created_at: row.get(9)?,
        updated_at: row.get(10)?,
    })
}

/// Adds one, or replaces what is known of it; who destroys its app has had the last word of that.
pub(crate) fn put(db: &Connection, setup: &AppSetup) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO app_setup (id, app_id, build_id, status, failure, errors, success_url,
         postdeploy_status, postdeploy_output, created_at, updated_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET build_id = excluded.build_id, status = excluded.status,
         failure = excluded.failure, errors = excluded.errors,
         postdeploy_status = excluded.postdeploy_status,
         postdeploy_output = excluded.postdeploy_output, updated_at = excluded.updated_at",
        params![
            setup.id.to_string(),
            setup.app_id.map(|id| id.to_string()),
            setup.build_id.map(|id| id.to_string()),
            setup.status,
            setup.failure,
            to_json(&setup.errors)?,
            setup.success_url,
            setup.postdeploy.as_ref().map(|(status, _)| *status),
            setup.postdeploy.as_ref().map(|(_, output)| output),
            setup.created_at,
            setup.updated_at
        ],
    )?;
    Ok(())
}

pub(crate) fn find(db: &Connection, id: &str) -> rusqlite::Result<Option<AppSetup>> {
    db.query_row(&format!("SELECT {SETUP} WHERE id = ?"), [id], setup).optional()
}

/// Fails what an earlier server did not finish.
pub(crate) fn fail_pending(db: &Connection, why: &str, now: i64) -> rusqlite::Result<usize> {
    db.execute(
        "UPDATE app_setup SET status = 'failed', failure = ?, updated_at = ?
         WHERE status = 'pending'",
        params![why, now],
    )
}

/// An app of a branch.
#[derive(Debug, Clone)]
pub(crate) struct ReviewApp {
    pub(crate) id: Uuid,
    pub(crate) pipeline_id: Uuid,
    pub(crate) setup_id: Uuid,
    pub(crate) branch: String,
    pub(crate) pr_number: Option<i64>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const REVIEW: &str = "review_app.id, pipeline_id, setup_id, branch, pr_number,
                      review_app.created_at, review_app.updated_at FROM review_app";

fn review(row: &Row<'_>) -> rusqlite::Result<ReviewApp> {
    Ok(ReviewApp {
        id: parsed(&row.get::<_, String>(0)?)?,
        pipeline_id: parsed(&row.get::<_, String>(1)?)?,
        setup_id: parsed(&row.get::<_, String>(2)?)?,
        branch: row.get(3)?,
        pr_number: row.get(4)?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}

pub(crate) fn insert_review(db: &Connection, app: &ReviewApp) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO review_app (id, pipeline_id, setup_id, branch, pr_number, created_at,
         updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![
            app.id.to_string(),
            app.pipeline_id.to_string(),
            app.setup_id.to_string(),
            app.branch,
            app.pr_number,
            app.created_at,
            app.updated_at
        ],
    )?;
    Ok(())
}

/// A pipeline's, oldest first.
pub(crate) fn reviews(db: &Connection, pipeline: Uuid) -> rusqlite::Result<Vec<ReviewApp>> {
    let sql = format!("SELECT {REVIEW} WHERE pipeline_id = ? ORDER BY created_at, id");
    db.prepare_cached(&sql)?.query_map([pipeline.to_string()], review)?.collect()
}

pub(crate) fn find_review(db: &Connection, id: &str) -> rusqlite::Result<Option<ReviewApp>> {
    db.query_row(&format!("SELECT {REVIEW} WHERE id = ?"), [id], review).optional()
}

/// The one whose app this is.
pub(crate) fn review_of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Option<ReviewApp>> {
    let sql = format!(
        "SELECT {REVIEW} JOIN app_setup ON app_setup.id = setup_id WHERE app_setup.app_id = ?"
    );
    db.query_row(&sql, [app.to_string()], review).optional()
}

/// How a pipeline's review apps are made; none where it has none.
pub(crate) fn config(db: &Connection, pipeline: Uuid) -> rusqlite::Result<Option<Value>> {
    let sql = "SELECT config FROM review_app_config WHERE pipeline_id = ?";
    let text: Option<String> =
        db.query_row(sql, [pipeline.to_string()], |row| row.get(0)).optional()?;
    text.map(|text| from_json(&text)).transpose()
}

/// Sets that; none for no review apps.
pub(crate) fn set_config(
    db: &Connection,
    pipeline: Uuid,
    config: Option<&Value>,
) -> rusqlite::Result<()> {
    let id = pipeline.to_string();
    db.execute("DELETE FROM review_app_config WHERE pipeline_id = ?", [&id])?;
    if let Some(config) = config {
        let sql = "INSERT INTO review_app_config (pipeline_id, config) VALUES (?, ?)";
        db.execute(sql, [&id, &to_json(config)?])?;
    }
    Ok(())
}
