//! Rows of uploads under way, and of their parts.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use s3s::S3ErrorCode;

use crate::content::ContentId;
use crate::content::checksums::{Algorithm, Checksums};
use crate::error::{Result, StorageError};
use crate::index::bucket;
use crate::index::object::{Details, json, read_error, release, write_error};

/// An object that comes in parts.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) bucket: i64,
    pub(crate) key: String,
    /// Microseconds since the epoch.
    pub(crate) started: i64,
    pub(crate) public_read: bool,
    pub(crate) details: Details,
    pub(crate) algorithm: Option<Algorithm>,
    /// Whether its checksum is to be one of all its bytes.
    pub(crate) full_object: bool,
}

/// One part of it.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) number: i32,
    pub(crate) content: ContentId,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: i64,
    pub(crate) checksums: Checksums,
}

const COLUMNS: &str = "id, bucket, key, started, public_read, details, algorithm, full_object";

fn upload(row: &Row<'_>) -> rusqlite::Result<Upload> {
    let key: Vec<u8> = row.get(2)?;
    let algorithm: Option<String> = row.get(6)?;
    Ok(Upload {
        id: row.get(0)?,
        bucket: row.get(1)?,
        key: String::from_utf8_lossy(&key).into_owned(),
        started: row.get(3)?,
        public_read: row.get(4)?,
        details: parsed(row, 5)?,
        algorithm: algorithm.as_deref().and_then(Algorithm::parse),
        full_object: row.get(7)?,
    })
}

fn parsed<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into())
    })
}

fn part(row: &Row<'_>) -> rusqlite::Result<Part> {
    Ok(Part {
        number: row.get(0)?,
        content: row.get(1)?,
        size: row.get(2)?,
        etag: row.get(3)?,
        modified: row.get(4)?,
        checksums: parsed(row, 5)?,
    })
}

pub(crate) fn add(db: &Connection, upload: &Upload) -> Result<()> {
    let insert = "INSERT INTO upload (id, bucket, key, started, public_read, details, algorithm, \
                  full_object) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let row = params![
        upload.id,
        upload.bucket,
        upload.key.as_bytes(),
        upload.started,
        upload.public_read,
        json(&upload.details)?,
        upload.algorithm.map(Algorithm::name),
        upload.full_object
    ];
    db.prepare_cached(insert).and_then(|mut insert| insert.execute(row)).map_err(write_error)?;
    Ok(())
}

/// The upload of a key with this id.
pub(crate) fn find(db: &Connection, bucket: i64, key: &str, id: &str) -> Result<Upload> {
    let select = format!("SELECT {COLUMNS} FROM upload WHERE id = ?1 AND bucket = ?2 AND key = ?3");
    let mut select = db.prepare_cached(&select).map_err(read_error)?;
    let found = select.query_row(params![id, bucket, key.as_bytes()], upload).optional();
    found.map_err(read_error)?.ok_or_else(|| {
        StorageError::refused(
            S3ErrorCode::NoSuchUpload,
            "The specified upload does not exist. The upload ID may be invalid, or the upload may \
             have been aborted or completed.",
        )
    })
}

/// Uploads of a bucket behind a key and an id, in order; at most so many.
pub(crate) fn list(
    db: &Connection,
    bucket: i64,
    after: (&[u8], &str),
    most: usize,
) -> Result<Vec<Upload>> {
    let select = format!(
        "SELECT {COLUMNS} FROM upload WHERE bucket = ?1 AND (key, id) > (?2, ?3) \
         ORDER BY key, id LIMIT ?4"
    );
    let mut select = db.prepare_cached(&select).map_err(read_error)?;
    let rows = select.query_map(params![bucket, after.0, after.1, most], upload);
    rows.map_err(read_error)?.collect::<rusqlite::Result<_>>().map_err(read_error)
}

/// Uploads that were started before a time.
pub(crate) fn older_than(db: &Connection, time: i64) -> Result<Vec<Upload>> {
    let select = format!("SELECT {COLUMNS} FROM upload WHERE started < ?1");
    let mut select = db.prepare_cached(&select).map_err(read_error)?;
    let rows = select.query_map([time], upload).map_err(read_error)?;
    rows.collect::<rusqlite::Result<_>>().map_err(read_error)
}

/// Parts behind a number, in order.
pub(crate) fn parts(db: &Connection, id: &str, after: i32, most: usize) -> Result<Vec<Part>> {
    let select = "SELECT number, content, size, etag, modified, checksums FROM part \
                  WHERE upload = ?1 AND number > ?2 ORDER BY number LIMIT ?3";
    let mut select = db.prepare_cached(select).map_err(read_error)?;
    let rows = select.query_map(params![id, after, most], part).map_err(read_error)?;
    rows.collect::<rusqlite::Result<_>>().map_err(read_error)
}

/// Puts a part in the place of what has its number.
pub(crate) fn put_part(
    db: &Connection,
    upload: &Upload,
    new: &Part,
    gone: &mut Vec<ContentId>,
) -> Result<()> {
    // It may have been completed or aborted meanwhile.
    find(db, upload.bucket, &upload.key, &upload.id)?;
    let delete = "DELETE FROM part WHERE upload = ?1 AND number = ?2 RETURNING content, size";
    let old = db.prepare_cached(delete).and_then(|mut delete| {
        let row = delete.query_row(params![upload.id, new.number], |row| {
            Ok((row.get::<_, ContentId>(0)?, row.get::<_, u64>(1)?))
        });
        row.optional()
    });
    if let Some((content, size)) = old.map_err(write_error)? {
        bucket::discharge_pending(db, upload.bucket, size)?;
        release(db, [content], gone)?;
    }
    bucket::charge_pending(db, upload.bucket, new.size)?;
    let insert = "INSERT INTO part (upload, number, content, size, etag, modified, checksums) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let row = params![
        upload.id,
        new.number,
        new.content,
        new.size,
        new.etag,
        new.modified,
        json(&new.checksums)?
    ];
    db.prepare_cached(insert).and_then(|mut insert| insert.execute(row)).map_err(write_error)?;
    Ok(())
}

/// What its parts take counts as an object's from now on.
pub(crate) fn uncharge(db: &Connection, upload: &Upload) -> Result<()> {
    let sum = "SELECT coalesce(sum(size), 0) FROM part WHERE upload = ?1";
    let bytes = db.query_row(sum, [&upload.id], |row| row.get(0)).map_err(read_error)?;
    bucket::discharge_pending(db, upload.bucket, bytes)
}

/// Removes an upload whose parts count no more; what an object consists of stays.
pub(crate) fn close(db: &Connection, upload: &Upload, gone: &mut Vec<ContentId>) -> Result<()> {
    let parts = parts(db, &upload.id, 0, usize::MAX >> 1)?;
    for delete in ["DELETE FROM part WHERE upload = ?1", "DELETE FROM upload WHERE id = ?1"] {
        let deleted = db.prepare_cached(delete).and_then(|mut delete| delete.execute([&upload.id]));
        deleted.map_err(write_error)?;
    }
    release(db, parts.into_iter().map(|part| part.content), gone)
}

/// Removes an upload and its parts; what an object consists of stays.
pub(crate) fn remove(db: &Connection, upload: &Upload, gone: &mut Vec<ContentId>) -> Result<()> {
    uncharge(db, upload)?;
    close(db, upload, gone)
}
