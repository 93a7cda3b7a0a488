//! Table `account`: people.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::parsed;

/// The operator, who is there from the first start on.
pub(crate) const FIRST: Uuid = Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0001);

/// Somebody who may use the API.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: Uuid,
    pub(crate) email: String,
    pub(crate) name: Option<String>,
    /// By argon2; none where there is no logging in by password.
    pub(crate) password: Option<String>,
    pub(crate) is_admin: bool,
    pub(crate) is_removed: bool,
    /// Microseconds since 1970.
    pub(crate) last_login: Option<i64>,
    /// Microseconds since 1970.
    pub(crate) created_at: i64,
    /// Microseconds since 1970.
    pub(crate) updated_at: i64,
}

const SELECT: &str = "SELECT id, email, name, password, is_admin, removed_at, last_login,
                      created_at, updated_at FROM account";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Account> {
    Ok(Account {
        id: parsed(&row.get::<_, String>(0)?)?,
        email: row.get(1)?,
        name: row.get(2)?,
        password: row.get(3)?,
        is_admin: row.get(4)?,
        is_removed: row.get::<_, Option<i64>>(5)?.is_some(),
        last_login: row.get(6)?,
        created_at: row.get(7)?,
        updated_at: row.get(8)?,
    })
}

/// Adds somebody, or writes what was changed. Who was removed comes back with it.
pub(crate) fn put(db: &Connection, account: &Account) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO account (id, email, name, password, is_admin, removed_at, last_login,
         created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET email = excluded.email, name = excluded.name,
         password = excluded.password, is_admin = excluded.is_admin,
         removed_at = excluded.removed_at, last_login = excluded.last_login,
         updated_at = excluded.updated_at",
        params![
            account.id.to_string(),
            account.email,
            account.name,
            account.password,
            account.is_admin,
            account.is_removed.then_some(account.updated_at),
            account.last_login,
            account.created_at,
            account.updated_at
        ],
    )?;
    Ok(())
}

/// Somebody by id.
pub(crate) fn by_id(db: &Connection, id: Uuid) -> rusqlite::Result<Option<Account>> {
    let sql = format!("{SELECT} WHERE id = ?");
    db.prepare_cached(&sql)?.query_row([id.to_string()], from_row).optional()
}

/// Somebody by id or email, removed ones too.
pub(crate) fn find(db: &Connection, id_or_email: &str) -> rusqlite::Result<Option<Account>> {
    let sql = format!("{SELECT} WHERE id = ?1 OR email = ?1");
    db.prepare_cached(&sql)?.query_row([id_or_email], from_row).optional()
}

/// Everybody who was not removed, by email.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<Account>> {
    let sql = format!("{SELECT} WHERE removed_at IS NULL ORDER BY email");
    db.prepare_cached(&sql)?.query_map([], from_row)?.collect()
}

/// Takes all from somebody that lets them in, and marks them as removed.
pub(crate) fn remove(db: &Connection, id: Uuid, now: i64) -> rusqlite::Result<()> {
    let text = id.to_string();
    for table in ["authorization", "oauth_client", "account_key", "collaborator"] {
        db.execute(&format!("DELETE FROM {table} WHERE account_id = ?"), [&text])?;
    }
    db.execute(
        "DELETE FROM app_transfer WHERE state = 'pending' AND ? IN (owner_id, recipient_id)",
        [&text],
    )?;
    db.execute(
        "UPDATE account SET removed_at = ?1, updated_at = ?1, password = NULL, is_admin = 0
         WHERE id = ?2",
        params![now, text],
    )?;
    Ok(())
}
