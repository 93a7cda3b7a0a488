//! The tables of the index, which is the truth of what exists.

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use crate::error::{Result, StorageError};

/// Keys are blobs: compared byte by byte, which is the order in which S3 lists.
const FIRST: &str = "
CREATE TABLE bucket (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    created INTEGER NOT NULL,
    quota INTEGER,
    public_read INTEGER NOT NULL DEFAULT 0,
    cors TEXT,
    tags TEXT,
    -- What the bucket's objects, and the parts of uploads under way, take.
    bytes INTEGER NOT NULL DEFAULT 0,
    objects INTEGER NOT NULL DEFAULT 0,
    pending INTEGER NOT NULL DEFAULT 0
);
-- Secrets are not here: they follow from the key's name and the storage's own key.
CREATE TABLE access_key (
    name TEXT PRIMARY KEY,
    bucket INTEGER NOT NULL REFERENCES bucket (id) ON DELETE CASCADE,
    created INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX access_key_of_bucket ON access_key (bucket);
CREATE TABLE content (
    id BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    -- A BLAKE3 hash of every piece.
    hashes BLOB NOT NULL,
    -- Small content itself; the rest lies in a file.
    data BLOB
);
CREATE TABLE object (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket INTEGER NOT NULL REFERENCES bucket (id),
    key BLOB NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified INTEGER NOT NULL,
    public_read INTEGER NOT NULL,
    -- Headers and metadata, checksums, tags, and sizes of parts: JSON.
    details TEXT NOT NULL,
    UNIQUE (bucket, key)
);
CREATE TABLE segment (
    object INTEGER NOT NULL REFERENCES object (id) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    content BLOB NOT NULL REFERENCES content (id),
    PRIMARY KEY (object, place)
) WITHOUT ROWID;
CREATE INDEX segment_of_content ON segment (content);
CREATE TABLE upload (
    id TEXT PRIMARY KEY,
    bucket INTEGER NOT NULL REFERENCES bucket (id),
    key BLOB NOT NULL,
    started INTEGER NOT NULL,
    public_read INTEGER NOT NULL,
    details TEXT NOT NULL,
    algorithm TEXT,
    full_object INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX upload_of_bucket ON upload (bucket, key, id);
CREATE TABLE part (
    upload TEXT NOT NULL REFERENCES upload (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    content BLOB NOT NULL REFERENCES content (id),
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    modified INTEGER NOT NULL,
    checksums TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;
CREATE INDEX part_of_content ON part (content);
-- Files that nothing refers to any more, until they are removed.
CREATE TABLE doomed (content BLOB PRIMARY KEY) WITHOUT ROWID;
";

/// Brings an index up to date.
pub(crate) fn migrate(connection: &mut Connection) -> Result<()> {
    Migrations::new(vec![M::up(FIRST)]).to_latest(connection).map_err(|error| {
        let source = match error {
            rusqlite_migration::Error::RusqliteError { err, .. } => err,
            other => rusqlite::Error::ToSqlConversionFailure(Box::new(other)),
        };
        StorageError::index("prepare", source)
    })
}
