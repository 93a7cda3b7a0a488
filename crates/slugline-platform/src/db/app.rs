//! Table `app`.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use slugline_model::kept::Ephemeral;
use slugline_model::name::AppName;
use uuid::Uuid;

use super::parsed;

/// An app.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) id: Uuid,
    pub(crate) name: AppName,
    pub(crate) maintenance: bool,
    /// Whether web dynos are replaced one by one, the new one first.
    pub(crate) preboot: bool,
    /// What it wants to hear and to allow of files that its dynos lose.
    pub(crate) ephemeral: Ephemeral,
    pub(crate) owner_id: Uuid,
    /// What its git repository takes on the disk (bytes); none where there is none.
    pub(crate) repo_size: Option<u64>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const COLUMNS: &str = "id, name, maintenance, created_at, updated_at, preboot, ephemeral, owner_id,
                       repo_size";

fn from_row(row: &Row<'_>) -> rusqlite::Result<App> {
    Ok(App {
        id: parsed(&row.get::<_, String>(0)?)?,
        name: parsed(&row.get::<_, String>(1)?)?,
        maintenance: row.get(2)?,
        created_at: row.get(3)?,
        updated_at: row.get(4)?,
        preboot: row.get(5)?,
        ephemeral: Ephemeral::named(&row.get::<_, String>(6)?).unwrap_or_default(),
        owner_id: parsed(&row.get::<_, String>(7)?)?,
        repo_size: row.get::<_, Option<i64>>(8)?.map(i64::unsigned_abs),
    })
}

/// Adds an app.
pub(crate) fn insert(db: &Connection, app: &App) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO app (id, name, maintenance, created_at, updated_at, owner_id)
         VALUES (?, ?, ?, ?, ?, ?)",
        params![
            app.id.to_string(),
            app.name.as_str(),
            app.maintenance,
            app.created_at,
            app.updated_at,
            app.owner_id.to_string()
        ],
    )?;
    Ok(())
}

/// An app by its name or its id.
pub(crate) fn find(db: &Connection, name_or_id: &str) -> rusqlite::Result<Option<App>> {
    let sql = format!("SELECT {COLUMNS} FROM app WHERE name = ?1 OR id = ?1");
    db.query_row(&sql, [name_or_id], from_row).optional()
}

/// All apps, by name.
pub(crate) fn all(db: &Connection) -> rusqlite::Result<Vec<App>> {
    let sql = format!("SELECT {COLUMNS} FROM app ORDER BY name");
    db.prepare_cached(&sql)?.query_map([], from_row)?.collect()
}

/// The apps that somebody owns or may work on, by name; without those of test runs, which come and go
/// by themselves.
pub(crate) fn of_account(db: &Connection, account: Uuid) -> rusqlite::Result<Vec<App>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM app WHERE (owner_id = ?1
         OR id IN (SELECT app_id FROM collaborator WHERE account_id = ?1))
         AND id NOT IN (SELECT app_id FROM test_run WHERE app_id IS NOT NULL) ORDER BY name"
    );
    db.prepare_cached(&sql)?.query_map([account.to_string()], from_row)?.collect()
}

/// Gives an app to somebody.
pub(crate) fn set_owner(db: &Connection, id: Uuid, owner: Uuid, now: i64) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE app SET owner_id = ?, updated_at = ? WHERE id = ?",
        params![owner.to_string(), now, id.to_string()],
    )?;
    Ok(())
}

/// Adds to what an app's repository takes.
pub(crate) fn grow_repo(db: &Connection, id: Uuid, bytes: u64) -> rusqlite::Result<()> {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    let sql = "UPDATE app SET repo_size = coalesce(repo_size, 0) + ? WHERE id = ?";
    db.execute(sql, params![bytes, id.to_string()])?;
    Ok(())
}

/// Notes what its git repository takes on the disk (bytes).
pub(crate) fn set_repo_size(db: &Connection, id: Uuid, bytes: u64) -> rusqlite::Result<()> {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    db.execute("UPDATE app SET repo_size = ? WHERE id = ?", params![bytes, id.to_string()])?;
    Ok(())
}

/// Switches maintenance mode.
pub(crate) fn set_maintenance(
    db: &Connection,
    id: Uuid,
    maintenance: bool,
    now: i64,
) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE app SET maintenance = ?, updated_at = ? WHERE id = ?",
        params![maintenance, now, id.to_string()],
    )?;
    Ok(())
}

/// Switches preboot.
pub(crate) fn set_preboot(db: &Connection, id: Uuid, preboot: bool) -> rusqlite::Result<()> {
    db.execute("UPDATE app SET preboot = ? WHERE id = ?", params![preboot, id.to_string()])?;
    Ok(())
}

/// Sets what it wants to hear and to allow of files that its dynos lose.
pub(crate) fn set_ephemeral(db: &Connection, id: Uuid, mode: Ephemeral) -> rusqlite::Result<()> {
    let mode = mode.as_str();
    db.execute("UPDATE app SET ephemeral = ? WHERE id = ?", params![mode, id.to_string()])?;
    Ok(())
}

/// Gives an app another name.
pub(crate) fn rename(db: &Connection, id: Uuid, name: &AppName, now: i64) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE app SET name = ?, updated_at = ? WHERE id = ?",
        params![name.as_str(), now, id.to_string()],
    )?;
    Ok(())
}

/// Whether nobody but its owner changes it.
pub(crate) fn is_locked(db: &Connection, id: Uuid) -> rusqlite::Result<bool> {
    db.query_row("SELECT locked FROM app WHERE id = ?", [id.to_string()], |row| row.get(0))
}

pub(crate) fn set_locked(db: &Connection, id: Uuid, locked: bool) -> rusqlite::Result<()> {
    db.execute("UPDATE app SET locked = ? WHERE id = ?", params![locked, id.to_string()])?;
    Ok(())
}

/// Removes an app and all that belongs to it.
pub(crate) fn delete(db: &Connection, id: Uuid) -> rusqlite::Result<()> {
    // Builds and releases refer to slugs: their rows go first.
    for table in ["build", "release", "slug", "app"] {
        let column = if table == "app" { "id" } else { "app_id" };
        db.execute(&format!("DELETE FROM {table} WHERE {column} = ?"), [id.to_string()])?;
    }
    Ok(())
}
