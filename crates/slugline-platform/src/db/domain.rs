//! Table `domain`: host names that apps answer to beside their own.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use slugline_model::domain::HostName;
use uuid::Uuid;

use super::parsed;

/// A domain.
#[derive(Debug, Clone)]
pub(crate) struct Domain {
    pub(crate) id: Uuid,
    pub(crate) app_id: Uuid,
    pub(crate) hostname: HostName,
    pub(crate) sni_endpoint_id: Option<Uuid>,
    /// Microseconds since 1970.
    pub(crate) created_at: i64,
    /// Microseconds since 1970.
    pub(crate) updated_at: i64,
}

const COLUMNS: &str = "id, app_id, hostname, sni_endpoint_id, created_at, updated_at FROM domain";

fn from_row(row: &Row<'_>) -> rusqlite::Result<Domain> {
    Ok(Domain {
        id: parsed(&row.get::<_, String>(0)?)?,
        app_id: parsed(&row.get::<_, String>(1)?)?,
        hostname: parsed(&row.get::<_, String>(2)?)?,
        sni_endpoint_id: row.get::<_, Option<String>>(3)?.map(|id| parsed(&id)).transpose()?,
        created_at: row.get(4)?,
        updated_at: row.get(5)?,
    })
}

/// An app's domains, oldest first.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<Domain>> {
    let sql = format!("SELECT {COLUMNS} WHERE app_id = ? ORDER BY created_at, id");
    db.prepare_cached(&sql)?.query_map([app.to_string()], from_row)?.collect()
}

/// Every app's domains.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<Domain>> {
    db.prepare_cached(&format!("SELECT {COLUMNS}"))?.query_map([], from_row)?.collect()
}

/// Whose a host name is.
pub(crate) fn find(db: &Connection, hostname: &HostName) -> rusqlite::Result<Option<Domain>> {
    let sql = format!("SELECT {COLUMNS} WHERE hostname = ?");
    db.prepare_cached(&sql)?.query_row([hostname.as_str()], from_row).optional()
}

pub(crate) fn insert(db: &Transaction<'_>, domain: &Domain) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO domain (id, app_id, hostname, sni_endpoint_id, created_at, updated_at)
         VALUES (?, ?, ?, ?, ?, ?)",
        params![
            domain.id.to_string(),
            domain.app_id.to_string(),
            domain.hostname.as_str(),
            domain.sni_endpoint_id.map(|id| id.to_string()),
            domain.created_at,
            domain.updated_at
        ],
    )?;
    Ok(())
}

/// Which certificate a domain shows.
pub(crate) fn set_endpoint(
    db: &Transaction<'_>,
    id: Uuid,
    endpoint: Option<Uuid>,
    now: i64,
) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE domain SET sni_endpoint_id = ?, updated_at = ? WHERE id = ?",
        params![endpoint.map(|id| id.to_string()), now, id.to_string()],
    )?;
    Ok(())
}

pub(crate) fn delete(db: &Transaction<'_>, id: Uuid) -> rusqlite::Result<()> {
    db.execute("DELETE FROM domain WHERE id = ?", [id.to_string()])?;
    Ok(())
}
