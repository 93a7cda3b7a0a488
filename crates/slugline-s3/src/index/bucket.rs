//! Rows of buckets: their settings, what they hold, and the keys that open them.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::error::{Result, StorageError};
use crate::index::object::{read_error, write_error};

/// A bucket, as it was when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its number.
    pub(crate) id: i64,
    /// Its name.
    pub name: String,
    /// When it was made (microseconds since the epoch).
    pub created: i64,
    /// How much it may hold (bytes).
    pub quota: Option<u64>,
    /// Whether anybody may read its objects.
    pub public_read: bool,
    /// Its rules for browsers: JSON.
    pub(crate) cors: Option<String>,
    /// Its tags: JSON.
    pub(crate) tags: Option<String>,
    /// What its objects take (bytes).
    pub bytes: u64,
    /// How many objects are in it.
    pub objects: u64,
    /// What parts of uploads under way take (bytes).
    pub pending: u64,
}

const COLUMNS: &str = "id, name, created, quota, public_read, cors, tags, bytes, objects, pending";

fn bucket(row: &Row<'_>) -> rusqlite::Result<Bucket> {
    Ok(Bucket {
        id: row.get(0)?,
        name: row.get(1)?,
        created: row.get(2)?,
        quota: row.get(3)?,
        public_read: row.get(4)?,
        cors: row.get(5)?,
        tags: row.get(6)?,
        bytes: row.get(7)?,
        objects: row.get(8)?,
        pending: row.get(9)?,
    })
}

pub(crate) fn find(db: &Connection, name: &str) -> Result<Option<Bucket>> {
    let select = format!("SELECT {COLUMNS} FROM bucket WHERE name = ?1");
    let mut select = db.prepare_cached(&select).map_err(read_error)?;
    select.query_row([name], bucket).optional().map_err(read_error)
}

pub(crate) fn all(db: &Connection) -> Result<Vec<Bucket>> {
    let select = format!("SELECT {COLUMNS} FROM bucket ORDER BY name");
    let mut select = db.prepare_cached(&select).map_err(read_error)?;
    let rows = select.query_map([], bucket).map_err(read_error)?;
    rows.collect::<rusqlite::Result<_>>().map_err(read_error)
}

/// Makes a bucket; one that is there stays as it is.
pub(crate) fn add(db: &Connection, name: &str, now: i64) -> Result<()> {
    let insert = "INSERT OR IGNORE INTO bucket (name, created) VALUES (?1, ?2)";
    db.execute(insert, params![name, now]).map_err(write_error)?;
    Ok(())
}

/// Removes an empty bucket and its keys.
pub(crate) fn remove(db: &Connection, id: i64) -> Result<()> {
    db.execute("DELETE FROM bucket WHERE id = ?1", [id]).map_err(write_error)?;
    Ok(())
}

/// Writes a bucket's settings down.
pub(crate) fn set(db: &Connection, bucket: &Bucket) -> Result<()> {
    let update =
        "UPDATE bucket SET quota = ?2, public_read = ?3, cors = ?4, tags = ?5 WHERE id = ?1";
    let row = params![bucket.id, bucket.quota, bucket.public_read, bucket.cors, bucket.tags];
    db.execute(update, row).map_err(write_error)?;
    Ok(())
}

/// So many bytes and objects more, if the quota allows them.
pub(crate) fn charge(db: &Connection, id: i64, bytes: u64, objects: u64) -> Result<()> {
    let update = "UPDATE bucket SET bytes = bytes + ?2, objects = objects + ?3 WHERE id = ?1 \
                  RETURNING quota, bytes + pending";
    let mut update = db.prepare_cached(update).map_err(write_error)?;
    within(update.query_row(params![id, bytes, objects], pair))
}

/// So many bytes of an upload under way more, if the quota allows them.
pub(crate) fn charge_pending(db: &Connection, id: i64, bytes: u64) -> Result<()> {
    let update = "UPDATE bucket SET pending = pending + ?2 WHERE id = ?1 \
                  RETURNING quota, bytes + pending";
    let mut update = db.prepare_cached(update).map_err(write_error)?;
    within(update.query_row(params![id, bytes], pair))
}

fn pair(row: &Row<'_>) -> rusqlite::Result<(Option<u64>, u64)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn within(found: rusqlite::Result<(Option<u64>, u64)>) -> Result<()> {
    match found.optional().map_err(write_error)? {
        Some((Some(quota), used)) if used > quota => Err(StorageError::Quota { quota }),
        Some(_) => Ok(()),
        None => Err(no_such_bucket()),
    }
}

/// As S3 says it.
pub(crate) fn no_such_bucket() -> StorageError {
    StorageError::refused(s3s::S3ErrorCode::NoSuchBucket, "The specified bucket does not exist")
}

/// So many bytes and objects less.
pub(crate) fn discharge(db: &Connection, id: i64, bytes: u64, objects: u64) -> Result<()> {
    let update = "UPDATE bucket SET bytes = bytes - ?2, objects = objects - ?3 WHERE id = ?1";
    let row = params![id, bytes, objects];
    db.prepare_cached(update).and_then(|mut update| update.execute(row)).map_err(write_error)?;
    Ok(())
}

/// So many bytes of uploads under way less.
pub(crate) fn discharge_pending(db: &Connection, id: i64, bytes: u64) -> Result<()> {
    let update = "UPDATE bucket SET pending = pending - ?2 WHERE id = ?1";
    let row = params![id, bytes];
    db.prepare_cached(update).and_then(|mut update| update.execute(row)).map_err(write_error)?;
    Ok(())
}

/// Every key's name with its bucket's.
pub(crate) fn keys(db: &Connection) -> Result<Vec<(String, String)>> {
    let select = "SELECT k.name, b.name FROM access_key k JOIN bucket b ON b.id = k.bucket";
    let mut select = db.prepare_cached(select).map_err(read_error)?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(read_error)?;
    rows.collect::<rusqlite::Result<_>>().map_err(read_error)
}

/// A key that opens a bucket.
pub(crate) fn add_key(db: &Connection, name: &str, bucket: i64, now: i64) -> Result<()> {
    let insert = "INSERT INTO access_key (name, bucket, created) VALUES (?1, ?2, ?3)";
    db.execute(insert, params![name, bucket, now]).map_err(write_error)?;
    Ok(())
}

/// Takes keys of a bucket away, all but one.
pub(crate) fn remove_keys(db: &Connection, bucket: i64, except: Option<&str>) -> Result<()> {
    let delete = "DELETE FROM access_key WHERE bucket = ?1 AND (?2 IS NULL OR name <> ?2)";
    db.execute(delete, params![bucket, except]).map_err(write_error)?;
    Ok(())
}
