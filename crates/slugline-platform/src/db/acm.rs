//! Tables `acm_attempt` and `acme_account`: what authorities were asked for, and as whom.

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use uuid::Uuid;

/// What came of asking an authority for a domain's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attempt {
    pub(crate) domain_id: Uuid,
    /// Microseconds since 1970.
    pub(crate) tried_at: i64,
    pub(crate) failures: u32,
    pub(crate) reason: Option<String>,
}

/// The last attempt for a domain.
pub(crate) fn attempt(db: &Connection, domain: Uuid) -> rusqlite::Result<Option<Attempt>> {
    let sql = "SELECT tried_at, failures, reason FROM acm_attempt WHERE domain_id = ?";
    db.prepare_cached(sql)?
        .query_row([domain.to_string()], |row| {
            let (tried_at, failures, reason) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Attempt { domain_id: domain, tried_at, failures, reason })
        })
        .optional()
}

/// Notes an attempt. A domain that is gone meanwhile has none.
pub(crate) fn note(db: &Transaction<'_>, attempt: &Attempt) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO acm_attempt (domain_id, tried_at, failures, reason)
         SELECT id, ?2, ?3, ?4 FROM domain WHERE id = ?1
         ON CONFLICT (domain_id) DO UPDATE SET tried_at = excluded.tried_at,
         failures = excluded.failures, reason = excluded.reason",
        params![attempt.domain_id.to_string(), attempt.tried_at, attempt.failures, attempt.reason],
    )?;
    Ok(())
}

/// Forgets what came of earlier attempts for an app's domains: they are tried again at once.
pub(crate) fn forget(db: &Transaction<'_>, app: Uuid) -> rusqlite::Result<()> {
    let sql = "DELETE FROM acm_attempt WHERE domain_id IN (SELECT id FROM domain WHERE app_id = ?)";
    db.execute(sql, [app.to_string()])?;
    Ok(())
}

/// Whom an authority knows the platform as.
pub(crate) fn account(db: &Connection, directory: &str) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT unseal(credentials, 'acme_account' || directory) FROM acme_account
               WHERE directory = ?";
    db.query_row(sql, [directory], |row| row.get(0)).optional()
}

pub(crate) fn keep_account(
    db: &Transaction<'_>,
    directory: &str,
    credentials: &str,
) -> rusqlite::Result<()> {
    db.execute(
        "INSERT OR REPLACE INTO acme_account (directory, credentials)
         VALUES (?1, seal(?2, 'acme_account' || ?1))",
        [directory, credentials],
    )?;
    Ok(())
}

/// Has an authority issue certificates for an app's domains, or no longer.
pub(crate) fn set_enabled(db: &Transaction<'_>, app: Uuid, enabled: bool) -> rusqlite::Result<()> {
    db.execute("UPDATE app SET acm = ? WHERE id = ?", params![enabled, app.to_string()])?;
    Ok(())
}

/// Whether it does.
pub(crate) fn is_enabled(db: &Connection, app: Uuid) -> rusqlite::Result<bool> {
    db.query_row("SELECT acm FROM app WHERE id = ?", [app.to_string()], |row| row.get(0))
}

/// The apps for whose domains it does.
pub(crate) fn apps(db: &Connection) -> rusqlite::Result<Vec<Uuid>> {
    db.prepare_cached("SELECT id FROM app WHERE acm")?
        .query_map([], |row| super::parsed(&row.get::<_, String>(0)?))?
        .collect()
}
