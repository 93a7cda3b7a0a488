//! Rows of objects and of what they consist of.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use s3s::S3ErrorCode;
use s3s::dto::{ETag, ETagCondition};
use serde::{Deserialize, Serialize};

use crate::content::ContentId;
use crate::content::checksums::Checksums;
use crate::content::read::Segment;
use crate::content::write::Written;
use crate::error::{Result, StorageError};
use crate::index::bucket;

/// What is known of an object beside its bytes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    /// Seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) checksums: Checksums,
    /// Sizes of the parts that it was uploaded in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<u64>,
}

/// A stored object.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) id: i64,
    pub(crate) key: String,
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    /// Microseconds since the epoch.
    pub(crate) modified: i64,
    pub(crate) public_read: bool,
    pub(crate) details: Details,
}

/// An object that is about to be.
#[derive(Debug, Clone)]
pub(crate) struct NewObject {
    pub(crate) bucket: i64,
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: i64,
    pub(crate) public_read: bool,
    pub(crate) details: Details,
    pub(crate) contents: Vec<ContentId>,
}

/// What must be so of the object that is there, for a change to be made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Condition {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
}

impl Condition {
    /// Decides by the entity tag of what is there.
    pub(crate) fn check(&self, etag: Option<&str>) -> Result<()> {
        let is = |condition: &ETagCondition| match condition {
            ETagCondition::Any => etag.is_some(),
            ETagCondition::ETag(wanted) => etag == Some(wanted.value()),
        };
        if self.if_match.is_some() && etag.is_none() {
            return Err(no_such_key());
        }
        let failed = self.if_match.as_ref().is_some_and(|condition| !is(condition))
            || self.if_none_match.as_ref().is_some_and(is);
        if failed {
            return Err(StorageError::refused(
                S3ErrorCode::PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold",
            ));
        }
        Ok(())
    }
}

/// As S3 says it.
pub(crate) fn no_such_key() -> StorageError {
    StorageError::refused(S3ErrorCode::NoSuchKey, "The specified key does not exist.")
}

pub(crate) fn etag(value: &str) -> ETag {
    ETag::Strong(value.to_owned())
}

pub(super) fn read_error(error: rusqlite::Error) -> StorageError {
    StorageError::index("read", error)
}

pub(super) fn write_error(error: rusqlite::Error) -> StorageError {
    StorageError::index("write", error)
}

pub(super) const COLUMNS: &str = "id, key, size, etag, modified, public_read, details";

pub(super) fn object(row: &Row<'_>) -> rusqlite::Result<Object> {
    let key: Vec<u8> = row.get(1)?;
    let details: String = row.get(6)?;
    let details = serde_json::from_str(&details).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(6, rusqlite::types::Type::Text, error.into())
    })?;
    Ok(Object {
        id: row.get(0)?,
        key: String::from_utf8_lossy(&key).into_owned(),
        size: row.get(2)?,
        etag: row.get(3)?,
        modified: row.get(4)?,
        public_read: row.get(5)?,
        details,
    })
}

/// The object of a key.
pub(crate) fn find(db: &Connection, bucket: i64, key: &str) -> Result<Option<Object>> {
    let select = format!("SELECT {COLUMNS} FROM object WHERE bucket = ?1 AND key = ?2");
    let mut select = db.prepare_cached(&select).map_err(read_error)?;
    let found = select.query_row(params![bucket, key.as_bytes()], object);
    found.optional().map_err(read_error)
}

/// Whether an object that was found is still what its key names.
pub(crate) fn stands(db: &Connection, id: i64) -> Result<bool> {
    let mut select = db.prepare_cached("SELECT 1 FROM object WHERE id = ?1").map_err(read_error)?;
    select.exists([id]).map_err(read_error)
}

/// What an object consists of, in order.
pub(crate) fn segments(db: &Connection, id: i64) -> Result<Vec<Segment>> {
    let select = "SELECT c.id, c.size, c.hashes, c.data FROM segment s JOIN content c \
                  ON c.id = s.content WHERE s.object = ?1 ORDER BY s.place";
    let mut select = db.prepare_cached(select).map_err(read_error)?;
    let rows = select.query_map([id], |row| {
        let (hashes, data): (Vec<u8>, Option<Vec<u8>>) = (row.get(2)?, row.get(3)?);
        let data = data.map(bytes::Bytes::from);
        Ok(Segment { id: row.get(0)?, size: row.get(1)?, hashes: hashes.into(), data })
    });
    rows.map_err(read_error)?.collect::<rusqlite::Result<_>>().map_err(read_error)
}

/// Makes content known.
pub(crate) fn add_content(db: &Connection, written: &Written) -> Result<()> {
    let insert = "INSERT INTO content (id, size, hashes, data) VALUES (?1, ?2, ?3, ?4)";
    let mut insert = db.prepare_cached(insert).map_err(write_error)?;
    let data = written.data.as_deref();
    insert.execute(params![written.id, written.size, written.hashes, data]).map_err(write_error)?;
    Ok(())
}

/// Puts an object in the place of what its key names, where the condition holds. `gone` gets files
/// that nothing needs any more.
pub(crate) fn put(
    db: &Connection,
    new: &NewObject,
    condition: &Condition,
    gone: &mut Vec<ContentId>,
) -> Result<()> {
    let old = find(db, new.bucket, &new.key)?;
    condition.check(old.as_ref().map(|object| object.etag.as_str()))?;
    if let Some(old) = &old {
        remove(db, new.bucket, old, gone)?;
    }
    bucket::charge(db, new.bucket, new.size, 1)?;
    let insert = "INSERT INTO object (bucket, key, size, etag, modified, public_read, details) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let details = json(&new.details)?;
    let row = params![
        new.bucket,
        new.key.as_bytes(),
        new.size,
        new.etag,
        new.modified,
        new.public_read,
        details
    ];
    db.prepare_cached(insert).and_then(|mut insert| insert.execute(row)).map_err(write_error)?;
    let id = db.last_insert_rowid();
    let insert = "INSERT INTO segment (object, place, content) VALUES (?1, ?2, ?3)";
    let mut insert = db.prepare_cached(insert).map_err(write_error)?;
    for (place, content) in new.contents.iter().enumerate() {
        insert.execute(params![id, place, content]).map_err(write_error)?;
    }
    Ok(())
}

pub(crate) fn json(details: &impl Serialize) -> Result<String> {
    serde_json::to_string(details)
        .map_err(|error| write_error(rusqlite::Error::ToSqlConversionFailure(error.into())))
}

/// The same for one that shares its content with another, perhaps with the one that it replaces.
pub(crate) fn put_copy(db: &Connection, new: &NewObject, gone: &mut Vec<ContentId>) -> Result<()> {
    // Nothing is released before the copy refers to it.
    let old = find(db, new.bucket, &new.key)?;
    let Some(old) = old else { return put(db, new, &Condition::default(), gone) };
    let aside = "UPDATE object SET key = x'' WHERE id = ?1";
    db.execute(aside, [old.id]).map_err(write_error)?;
    bucket::discharge(db, new.bucket, old.size, 1)?;
    put(db, new, &Condition::default(), gone)?;
    dismantle(db, &old, gone)
}

/// Removes an object, and what it alone consisted of.
pub(crate) fn remove(
    db: &Connection,
    bucket: i64,
    object: &Object,
    gone: &mut Vec<ContentId>,
) -> Result<()> {
    bucket::discharge(db, bucket, object.size, 1)?;
    dismantle(db, object, gone)
}

fn dismantle(db: &Connection, object: &Object, gone: &mut Vec<ContentId>) -> Result<()> {
    let contents: Vec<ContentId> = {
        let mut select = db
            .prepare_cached("SELECT content FROM segment WHERE object = ?1")
            .map_err(read_error)?;
        let rows = select.query_map([object.id], |row| row.get(0)).map_err(read_error)?;
        rows.collect::<rusqlite::Result<_>>().map_err(read_error)?
    };
    for delete in ["DELETE FROM segment WHERE object = ?1", "DELETE FROM object WHERE id = ?1"] {
        let deleted = db.prepare_cached(delete).and_then(|mut delete| delete.execute([object.id]));
        deleted.map_err(write_error)?;
    }
    release(db, contents, gone)
}

/// Removes content that nothing consists of any more.
pub(crate) fn release(
    db: &Connection,
    contents: impl IntoIterator<Item = ContentId>,
    gone: &mut Vec<ContentId>,
) -> Result<()> {
    let delete = "DELETE FROM content WHERE id = ?1 \
                  AND NOT EXISTS (SELECT 1 FROM segment WHERE content = ?1) \
                  AND NOT EXISTS (SELECT 1 FROM part WHERE content = ?1) RETURNING data IS NULL";
    let mut delete = db.prepare_cached(delete).map_err(write_error)?;
    let doom = "INSERT OR IGNORE INTO doomed (content) VALUES (?1)";
    let mut doom = db.prepare_cached(doom).map_err(write_error)?;
    for id in contents {
        let is_file = delete.query_row([id], |row| row.get::<_, bool>(0)).optional();
        if is_file.map_err(write_error)? == Some(true) {
            doom.execute([id]).map_err(write_error)?;
            gone.push(id);
        }
    }
    Ok(())
}

/// Writes down what became of an object's tags or of who may read it.
pub(crate) fn update(db: &Connection, id: i64, details: &Details, public_read: bool) -> Result<()> {
    let update = "UPDATE object SET details = ?2, public_read = ?3 WHERE id = ?1";
    let row = params![id, json(details)?, public_read];
    db.prepare_cached(update).and_then(|mut update| update.execute(row)).map_err(write_error)?;
    Ok(())
}

/// Whether the index knows of content.
pub(crate) fn knows(db: &Connection, id: ContentId) -> Result<bool> {
    let mut select =
        db.prepare_cached("SELECT 1 FROM content WHERE id = ?1").map_err(read_error)?;
    select.exists([id]).map_err(read_error)
}

/// How much content lies in files.
pub(crate) fn count_files(db: &Connection) -> Result<u64> {
    let count = "SELECT count(*) FROM content WHERE data IS NULL";
    db.query_row(count, [], |row| row.get(0)).map_err(read_error)
}

/// Files that are to be removed.
pub(crate) fn doomed(db: &Connection) -> Result<Vec<ContentId>> {
    let mut select = db.prepare_cached("SELECT content FROM doomed").map_err(read_error)?;
    let rows = select.query_map([], |row| row.get(0)).map_err(read_error)?;
    rows.collect::<rusqlite::Result<_>>().map_err(read_error)
}

/// They are.
pub(crate) fn undoom(db: &Connection, removed: &[ContentId]) -> Result<()> {
    let delete = "DELETE FROM doomed WHERE content = ?1";
    let mut delete = db.prepare_cached(delete).map_err(write_error)?;
    for id in removed {
        delete.execute([id]).map_err(write_error)?;
    }
    Ok(())
}
