//! Table `authorization`: tokens, of which only hashes are kept.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use slugline_model::access::Scope;
use uuid::Uuid;

use super::parsed;

/// A token's authorization.
#[derive(Debug, Clone)]
pub(crate) struct Authorization {
    pub(crate) id: Uuid,
    pub(crate) account_id: Uuid,
    /// The OAuth client that it was given to.
    pub(crate) client_id: Option<Uuid>,
    pub(crate) description: String,
    pub(crate) scopes: Vec<Scope>,
    pub(crate) token: Token,
    /// Microseconds since 1970; none for never.
    pub(crate) expires_at: Option<i64>,
    /// Whether it was made by logging in.
    pub(crate) is_session: bool,
    /// Microseconds since 1970.
    pub(crate) created_at: i64,
    /// Microseconds since 1970.
    pub(crate) updated_at: i64,
}

/// What is known of a token itself.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) id: Uuid,
    pub(crate) hash: String,
    /// Its last characters.
    pub(crate) end: String,
}

impl Token {
    /// What is kept of a token. It is random, so that a plain hash gives nothing away.
    pub(crate) fn of(text: &str) -> Self {
        let end = text.get(text.len().saturating_sub(4)..).unwrap_or_default().to_owned();
        Self { id: Uuid::new_v4(), hash: hash(text), end }
    }
}

/// By what a token or a client's secret is found again.
pub(crate) fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

const SELECT: &str = "SELECT id, account_id, client_id, description, scope, token_id, token_hash,
                      token_end, expires_at, is_session, created_at, updated_at FROM authorization";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Authorization> {
    let client_id = row.get::<_, Option<String>>(2)?;
    let scope: String = row.get(4)?;
    Ok(Authorization {
        id: parsed(&row.get::<_, String>(0)?)?,
        account_id: parsed(&row.get::<_, String>(1)?)?,
        client_id: client_id.map(|id| parsed(&id)).transpose()?,
        description: row.get(3)?,
        scopes: scope.split(' ').filter_map(Scope::named).collect(),
        token: Token {
            id: parsed(&row.get::<_, String>(5)?)?,
            hash: row.get(6)?,
            end: row.get(7)?,
        },
        expires_at: row.get(8)?,
        is_session: row.get(9)?,
        created_at: row.get(10)?,
        updated_at: row.get(11)?,
    })
}

/// Adds an authorization, or writes what was changed.
pub(crate) fn put(db: &Connection, authorization: &Authorization) -> rusqlite::Result<()> {
    let Authorization { token, scopes, .. } = authorization;
    let scope: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
    db.execute(
        "INSERT INTO authorization (id, account_id, client_id, description, scope, token_id,
         token_hash, token_end, expires_at, is_session, created_at, updated_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET description = excluded.description,
         token_id = excluded.token_id, token_hash = excluded.token_hash,
         token_end = excluded.token_end, expires_at = excluded.expires_at,
         updated_at = excluded.updated_at",
        params![
            authorization.id.to_string(),
            authorization.account_id.to_string(),
            authorization.client_id.map(|id| id.to_string()),
            authorization.description,
            scope.join(" "),
            token.id.to_string(),
            token.hash,
            token.end,
            authorization.expires_at,
            authorization.is_session,
            authorization.created_at,
            authorization.updated_at
        ],
    )?;
    Ok(())
}

/// The authorization of a token that is good now.
pub(crate) fn of_token(
    db: &Connection,
    token: &str,
    now: i64,
) -> rusqlite::Result<Option<Authorization>> {
    let sql = format!("{SELECT} WHERE token_hash = ? AND coalesce(expires_at > ?, 1)");
    db.prepare_cached(&sql)?.query_row(params![hash(token), now], from_row).optional()
}

/// One of an account, by its id or its token's.
pub(crate) fn find(
    db: &Connection,
    account: Uuid,
    id: &str,
) -> rusqlite::Result<Option<Authorization>> {
    let sql = format!("{SELECT} WHERE account_id = ?1 AND (id = ?2 OR token_id = ?2)");
    db.query_row(&sql, params![account.to_string(), id], from_row).optional()
}

/// Those of an account, oldest first.
pub(crate) fn of_account(db: &Connection, account: Uuid) -> rusqlite::Result<Vec<Authorization>> {
    let sql = format!("{SELECT} WHERE account_id = ? ORDER BY created_at, id");
    db.prepare_cached(&sql)?.query_map([account.to_string()], from_row)?.collect()
}

/// Ends an authorization.
pub(crate) fn delete(db: &Connection, id: Uuid) -> rusqlite::Result<()> {
    db.execute("DELETE FROM authorization WHERE id = ?", [id.to_string()])?;
    Ok(())
}

/// Ends those of an account, but one.
pub(crate) fn delete_others(db: &Connection, account: Uuid, kept: Uuid) -> rusqlite::Result<()> {
    db.execute(
        "DELETE FROM authorization WHERE account_id = ? AND id NOT IN (?, ?)",
        params![account.to_string(), kept.to_string(), OPERATOR.to_string()],
    )?;
    Ok(())
}

/// The operator's token, which lies in the data directory.
pub(crate) const OPERATOR: Uuid = Uuid::from_u128(0x0000_0000_0000_4000_8000_0000_0000_0002);
