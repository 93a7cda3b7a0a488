//! Table `account_key`: people's public keys.

use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::parsed;

/// A public key.
#[derive(Debug, Clone)]
pub(crate) struct AccountKey {
    pub(crate) id: Uuid,
    pub(crate) fingerprint: String,
    pub(crate) comment: String,
    pub(crate) public_key: String,
    pub(crate) created_at: i64,
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<AccountKey> {
    Ok(AccountKey {
        id: parsed(&row.get::<_, String>(0)?)?,
        fingerprint: row.get(1)?,
        comment: row.get(2)?,
        public_key: row.get(3)?,
        created_at: row.get(4)?,
    })
}

/// An account's keys, oldest first.
pub(crate) fn of_account(db: &Connection, account: Uuid) -> rusqlite::Result<Vec<AccountKey>> {
    let sql = "SELECT id, fingerprint, comment, public_key, created_at FROM account_key
               WHERE account_id = ? ORDER BY created_at, id";
    db.prepare_cached(sql)?.query_map([account.to_string()], from_row)?.collect()
}

/// Adds a key; false where somebody has it already.
pub(crate) fn insert(db: &Connection, account: Uuid, key: &AccountKey) -> rusqlite::Result<bool> {
    let sql = "INSERT INTO account_key (id, account_id, fingerprint, comment, public_key,
               created_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (fingerprint) DO NOTHING";
    let row = params![
        key.id.to_string(),
        account.to_string(),
        key.fingerprint,
        key.comment,
        key.public_key,
        key.created_at
    ];
    Ok(db.execute(sql, row)? == 1)
}

/// Removes a key.
pub(crate) fn delete(db: &Connection, id: Uuid) -> rusqlite::Result<()> {
    db.execute("DELETE FROM account_key WHERE id = ?", [id.to_string()])?;
    Ok(())
}
