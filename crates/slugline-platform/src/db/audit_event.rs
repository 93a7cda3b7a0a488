//! Table `audit_event`: who asked for which change, when, and what was answered.

use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::parsed;

/// A change that somebody asked for.
#[derive(Debug, Clone)]
pub(crate) struct AuditEvent {
    pub(crate) id: i64,
    /// Microseconds since 1970.
    pub(crate) created_at: i64,
    pub(crate) account_id: Uuid,
    pub(crate) email: String,
    pub(crate) authorization_id: Uuid,
    pub(crate) app_id: Option<Uuid>,
    pub(crate) app: Option<String>,
    /// `POST /apps`, `push main`.
    pub(crate) action: String,
    pub(crate) request_id: String,
    /// None where the server ended before it answered.
    pub(crate) status: Option<u16>,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<AuditEvent> {
    let app_id = row.get::<_, Option<String>>(5)?;
    Ok(AuditEvent {
        id: row.get(0)?,
        created_at: row.get(1)?,
        account_id: parsed(&row.get::<_, String>(2)?)?,
        email: row.get(3)?,
        authorization_id: parsed(&row.get::<_, String>(4)?)?,
        app_id: app_id.map(|id| parsed(&id)).transpose()?,
        app: row.get(6)?,
        action: row.get(7)?,
        request_id: row.get(8)?,
        status: row.get(9)?,
    })
}

/// Writes down what is about to be done; gives the event's number.
pub(crate) fn begin(db: &Connection, event: &AuditEvent) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "INSERT INTO audit_event (created_at, account_id, email, authorization_id, app_id, app,
         action, request_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .insert(params![
        event.created_at,
        event.account_id.to_string(),
        event.email,
        event.authorization_id.to_string(),
        event.app_id.map(|id| id.to_string()),
        event.app,
        event.action,
        event.request_id
    ])
}

/// Writes down what it came to.
pub(crate) fn end(db: &Connection, id: i64, status: u16) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE audit_event SET status = ? WHERE id = ?")?
        .execute(params![status, id])?;
    Ok(())
}

/// Writes down which app it concerns.
pub(crate) fn concerns(db: &Connection, id: i64, app: &super::app::App) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE audit_event SET app_id = ?, app = ? WHERE id = ?",
        params![app.id.to_string(), app.name.as_str(), id],
    )?;
    Ok(())
}

/// The newest events of an app, or of all, oldest first.
pub(crate) fn newest(
    db: &Connection,
    app: Option<Uuid>,
    count: usize,
) -> rusqlite::Result<Vec<AuditEvent>> {
    let sql = "SELECT id, created_at, account_id, email, authorization_id, app_id, app, action,
               request_id, status FROM audit_event
               WHERE ?1 IS NULL OR app_id = ?1 ORDER BY id DESC LIMIT ?2";
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let rows = params![app.map(|id| id.to_string()), count];
    let mut events: Vec<_> =
        db.prepare_cached(sql)?.query_map(rows, from_row)?.collect::<Result<_, _>>()?;
    events.reverse();
    Ok(events)
}

/// Removes what is older.
pub(crate) fn forget(db: &Connection, before: i64) -> rusqlite::Result<usize> {
    db.execute("DELETE FROM audit_event WHERE created_at < ?", [before])
}
