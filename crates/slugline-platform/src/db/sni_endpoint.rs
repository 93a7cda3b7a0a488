//! Table `sni_endpoint`: certificates that users have uploaded.

use rusqlite::{Connection, Row, Transaction, params};
use uuid::Uuid;

use super::parsed;

/// A certificate and its key.
#[derive(Clone)]
pub(crate) struct SniEndpoint {
    pub(crate) id: Uuid,
    pub(crate) app_id: Uuid,
    pub(crate) name: String,
    /// PEM, the server's first.
    pub(crate) certificate_chain: String,
    /// PEM. A secret.
    pub(crate) private_key: String,
    /// Whether an authority issued it for the platform, which renews it.
    pub(crate) acm: bool,
    /// Microseconds since 1970.
    pub(crate) created_at: i64,
    /// Microseconds since 1970.
    pub(crate) updated_at: i64,
}

const COLUMNS: &str = "id, app_id, name, certificate_chain,
     unseal(private_key, 'sni_endpoint' || id), created_at, updated_at, acm FROM sni_endpoint";

fn from_row(row: &Row<'_>) -> rusqlite::Result<SniEndpoint> {
    Ok(SniEndpoint {
        id: parsed(&row.get::<_, String>(0)?)?,
        app_id: parsed(&row.get::<_, String>(1)?)?,
        name: row.get(2)?,
        certificate_chain: row.get(3)?,
        private_key: row.get(4)?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
        acm: row.get(7)?,
    })
}

/// An app's certificates, oldest first.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<SniEndpoint>> {
    let sql = format!("SELECT {COLUMNS} WHERE app_id = ? ORDER BY created_at, id");
    db.prepare_cached(&sql)?.query_map([app.to_string()], from_row)?.collect()
}

/// Every app's certificates.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<SniEndpoint>> {
    db.prepare_cached(&format!("SELECT {COLUMNS}"))?.query_map([], from_row)?.collect()
}

/// Adds one, or replaces what the one of its id has.
pub(crate) fn put(db: &Transaction<'_>, endpoint: &SniEndpoint) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO sni_endpoint
         (id, app_id, name, certificate_chain, private_key, created_at, updated_at, acm)
         VALUES (?1, ?2, ?3, ?4, seal(?5, 'sni_endpoint' || ?1), ?6, ?7, ?8)
         ON CONFLICT (id) DO UPDATE SET certificate_chain = excluded.certificate_chain,
         private_key = excluded.private_key, updated_at = excluded.updated_at",
        params![
            endpoint.id.to_string(),
            endpoint.app_id.to_string(),
            endpoint.name,
            endpoint.certificate_chain,
            endpoint.private_key,
            endpoint.created_at,
            endpoint.updated_at,
            endpoint.acm
        ],
    )?;
    Ok(())
}

pub(crate) fn delete(db: &Transaction<'_>, id: Uuid) -> rusqlite::Result<()> {
    db.execute("DELETE FROM sni_endpoint WHERE id = ?", [id.to_string()])?;
    Ok(())
}
