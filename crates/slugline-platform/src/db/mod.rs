//! The state, in one SQLite file. One file per table.
//!
//! Write-ahead log and full synchronisation: what was committed survives `kill -9` and power loss.

pub(crate) mod acm;
pub(crate) mod add_on;
pub(crate) mod add_on_attachment;
pub(crate) mod app;
pub(crate) mod app_setup;
pub(crate) mod app_webhook;
pub(crate) mod build;
pub(crate) mod buildpack_installation;
pub(crate) mod config_var;
pub(crate) mod crash;
pub(crate) mod cron;
pub(crate) mod domain;
pub(crate) mod dyno;
pub(crate) mod feature;
pub(crate) mod formation;
pub(crate) mod log_drain;
pub(crate) mod overview;
pub(crate) mod pipeline;
pub(crate) mod pipeline_coupling;
pub(crate) mod pipeline_promotion;
pub(crate) mod prove;
pub(crate) mod receipt;
pub(crate) mod release;
pub(crate) mod retention;
pub(crate) mod slug;
pub(crate) mod slug_upload;
pub(crate) mod sni_endpoint;

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use rusqlite_migration::{M, Migrations};

/// The state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// A statement failed.
    #[error("the state could not be read or written")]
    Sqlite(#[from] rusqlite::Error),
    /// The file is of a newer version, or its schema cannot be brought to this one's.
    #[error("the state's schema could not be brought up to date")]
    Migration(#[from] rusqlite_migration::Error),
}

/// The schema's versions, oldest first; never edited once released.
const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("schema_1.sql")),
    M::up(include_str!("schema_2_builds.sql")),
    M::up(include_str!("schema_3_retention.sql")),
    M::up(include_str!("schema_4_slug_uploads.sql")),
    M::up(include_str!("schema_5_dynos.sql")),
    M::up(include_str!("schema_6_ledger.sql")),
    M::up(include_str!("schema_7_prove.sql")),
    M::up(include_str!("schema_10_edge.sql")),
    M::up(include_str!("schema_13_add_ons.sql")),
    M::up(include_str!("schema_14_pipelines.sql")),
    M::up(include_str!("schema_17_acm.sql")),
];

/// The embedded database.
#[derive(Debug)]
pub(crate) struct Db {
    connection: Mutex<Connection>,
}

impl Db {
    /// Opens the file, making it and its tables if needed.
    pub(crate) fn open(path: &Path) -> Result<Self, DbError> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        Migrations::from_slice(MIGRATIONS).to_latest(&mut connection)?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Runs statements in one transaction: all of them take effect, or none.
    pub(crate) fn transaction<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, DbError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&transaction)?;
        transaction.commit()?;
        Ok(result)
    }

    /// Runs statements that only read.
    pub(crate) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, DbError> {
        Ok(work(&self.connection.lock().unwrap_or_else(PoisonError::into_inner))?)
    }
}

/// Copies a database as it stands at one moment, also while a server writes to it.
pub fn copy_database(from: &Path, to: &Path) -> io::Result<()> {
    let copied = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .and_then(|db| db.execute("VACUUM INTO ?", [to.to_string_lossy()]));
    copied.map(drop).map_err(|error| io::Error::other(format!("{}: {error}", from.display())))
}

/// A text of a row as one of the model's checked types.
pub(crate) fn parsed<T>(text: &str) -> rusqlite::Result<T>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })
}

/// A JSON text of a row as a value.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })
}

/// A value as the JSON text of a row.
pub(crate) fn to_json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
