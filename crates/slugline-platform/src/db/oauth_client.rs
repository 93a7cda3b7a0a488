//! Table `oauth_client`: programs that act for people. Their secrets are sealed.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::parsed;

/// A program that may act for people.
#[derive(Debug, Clone)]
pub(crate) struct OauthClient {
    pub(crate) id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) name: String,
    pub(crate) redirect_uri: String,
    pub(crate) secret: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const SELECT: &str = "SELECT id, account_id, name, redirect_uri,
                      unseal(secret, 'oauth_client' || id), created_at,
                      updated_at FROM oauth_client";

fn from_row(row: &Row<'_>) -> rusqlite::Result<OauthClient> {
    Ok(OauthClient {
        id: parsed(&row.get::<_, String>(0)?)?,
        account_id: parsed(&row.get::<_, String>(1)?)?,
        name: row.get(2)?,
        redirect_uri: row.get(3)?,
        secret: row.get(4)?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}

/// Adds a client, or writes what was changed.
pub(crate) fn put(db: &Connection, client: &OauthClient) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO oauth_client (id, account_id, name, redirect_uri, secret, created_at,
         updated_at)
         VALUES (?1, ?2, ?3, ?4, seal(?5, 'oauth_client' || ?1), ?6, ?7)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name,
         redirect_uri = excluded.redirect_uri, secret = excluded.secret,
         updated_at = excluded.updated_at",
        params![
            client.id.to_string(),
            client.account_id.to_string(),
            client.name,
            client.redirect_uri,
            client.secret,
            client.created_at,
            client.updated_at
        ],
    )?;
    Ok(())
}

/// An account's clients, oldest first.
pub(crate) fn of_account(db: &Connection, account: Uuid) -> rusqlite::Result<Vec<OauthClient>> {
    let sql = format!("{SELECT} WHERE account_id = ? ORDER BY created_at, id");
    db.prepare_cached(&sql)?.query_map([account.to_string()], from_row)?.collect()
}

/// One by its id.
pub(crate) fn by_id(db: &Connection, id: Uuid) -> rusqlite::Result<Option<OauthClient>> {
    db.query_row(&format!("{SELECT} WHERE id = ?"), [id.to_string()], from_row).optional()
}

/// Removes a client, and with it the tokens that it was given.
pub(crate) fn delete(db: &Connection, id: Uuid) -> rusqlite::Result<()> {
    db.execute("DELETE FROM oauth_client WHERE id = ?", [id.to_string()])?;
    Ok(())
}
