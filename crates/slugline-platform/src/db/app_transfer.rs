//! Table `app_transfer`: apps that are offered to other accounts.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::parsed;

/// An app that is offered.
#[derive(Debug, Clone)]
pub(crate) struct AppTransfer {
    pub(crate) id: Uuid,
    pub(crate) app_id: Uuid,
    pub(crate) owner_id: Uuid,
    pub(crate) recipient_id: Uuid,
    /// `pending`, `accepted` or `declined`.
    pub(crate) state: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const SELECT: &str = "SELECT app_transfer.id, app_transfer.app_id, app_transfer.owner_id,
    recipient_id, state, app_transfer.created_at, app_transfer.updated_at FROM app_transfer
    JOIN app ON app.id = app_transfer.app_id";

fn from_row(row: &Row<'_>) -> rusqlite::Result<AppTransfer> {
    Ok(AppTransfer {
        id: parsed(&row.get::<_, String>(0)?)?,
        app_id: parsed(&row.get::<_, String>(1)?)?,
        owner_id: parsed(&row.get::<_, String>(2)?)?,
        recipient_id: parsed(&row.get::<_, String>(3)?)?,
        state: row.get(4)?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}

/// Adds a transfer, or writes where it stands.
pub(crate) fn put(db: &Connection, transfer: &AppTransfer) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO app_transfer (id, app_id, owner_id, recipient_id, state, created_at,
         updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at",
        params![
            transfer.id.to_string(),
            transfer.app_id.to_string(),
            transfer.owner_id.to_string(),
            transfer.recipient_id.to_string(),
            transfer.state,
            transfer.created_at,
            transfer.updated_at
        ],
    )?;
    Ok(())
}

/// Those that an account has offered or was offered, oldest first.
pub(crate) fn of_account(db: &Connection, account: Uuid) -> rusqlite::Result<Vec<AppTransfer>> {
    let sql = format!(
        "{SELECT} WHERE ? IN (app_transfer.owner_id, recipient_id) ORDER BY app_transfer.created_at"
    );
    db.prepare_cached(&sql)?.query_map([account.to_string()], from_row)?.collect()
}

/// The newest one of an account, by its id or its app's name.
pub(crate) fn find(
    db: &Connection,
    account: Uuid,
    name: &str,
) -> rusqlite::Result<Option<AppTransfer>> {
    let sql = format!(
        "{SELECT} WHERE ?1 IN (app_transfer.owner_id, recipient_id)
         AND ?2 IN (app_transfer.id, app.name, app.id)
         ORDER BY state = 'pending' DESC, app_transfer.created_at DESC LIMIT 1"
    );
    db.query_row(&sql, params![account.to_string(), name], from_row).optional()
}

/// Takes back what is offered of an app.
pub(crate) fn delete_pending(db: &Connection, app: Uuid) -> rusqlite::Result<()> {
    db.execute(
        "DELETE FROM app_transfer WHERE app_id = ? AND state = 'pending'",
        [app.to_string()],
    )?;
    Ok(())
}
