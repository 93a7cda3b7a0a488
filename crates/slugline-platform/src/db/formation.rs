//! Table `formation`: how many dynos of each process type, and of which size.

use rusqlite::{Connection, Row, params};
use slugline_model::name::ProcessType;
use slugline_model::resources::DynoSize;
use uuid::Uuid;

use super::parsed;

/// The quantity and the size of one process type.
#[derive(Debug, Clone)]
pub(crate) struct Formation {
    pub(crate) id: Uuid,
    pub(crate) process_type: ProcessType,
    pub(crate) quantity: u32,
    pub(crate) size: DynoSize,
}

/// The formation of an app, by process type.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<Formation>> {
    let sql = "SELECT id, type, quantity, size FROM formation WHERE app_id = ? ORDER BY type";
    db.prepare_cached(sql)?.query_map([app.to_string()], from_row)?.collect()
}

/// The formations of all apps, by app and process type.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<(Uuid, Formation)>> {
    let sql = "SELECT id, type, quantity, size, app_id FROM formation ORDER BY app_id, type";
    db.prepare_cached(sql)?
        .query_map([], |row| Ok((parsed(&row.get::<_, String>(4)?)?, from_row(row)?)))?
        .collect()
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Formation> {
    Ok(Formation {
        id: parsed(&row.get::<_, String>(0)?)?,
        process_type: parsed(&row.get::<_, String>(1)?)?,
        quantity: row.get(2)?,
        // One that a later version knew is not known here.
        size: DynoSize::named(&row.get::<_, String>(3)?).unwrap_or(DynoSize::BASIC),
    })
}

/// Sets a quantity.
pub(crate) fn set(
    db: &Connection,
    app: Uuid,
    process_type: &ProcessType,
    quantity: u32,
) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO formation (id, app_id, type, quantity) VALUES (?, ?, ?, ?)
         ON CONFLICT (app_id, type) DO UPDATE SET quantity = excluded.quantity",
        params![Uuid::new_v4().to_string(), app.to_string(), process_type.as_str(), quantity],
    )?;
    Ok(())
}

/// Sets the size of a process type that has a quantity.
pub(crate) fn resize(
    db: &Connection,
    app: Uuid,
    process_type: &ProcessType,
    size: DynoSize,
) -> rusqlite::Result<()> {
    let sql = "UPDATE formation SET size = ? WHERE app_id = ? AND type = ?";
    db.execute(sql, params![size.name, app.to_string(), process_type.as_str()])?;
    Ok(())
}

/// Gives a process type that has no quantity yet its first one: Heroku runs one web dyno, and
/// nothing else until it is scaled.
pub(crate) fn introduce(
    db: &Connection,
    app: Uuid,
    process_type: &ProcessType,
) -> rusqlite::Result<()> {
    let quantity = u32::from(process_type.is_web());
    db.execute(
        "INSERT INTO formation (id, app_id, type, quantity) VALUES (?, ?, ?, ?)
         ON CONFLICT (app_id, type) DO NOTHING",
        params![Uuid::new_v4().to_string(), app.to_string(), process_type.as_str(), quantity],
    )?;
    Ok(())
}
