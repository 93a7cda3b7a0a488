//! The state, in one SQLite file. One file per table.
//!
//! Write-ahead log and full synchronisation: what was committed survives `kill -9` and power loss.

pub(crate) mod account;
pub(crate) mod account_key;
pub(crate) mod acm;
pub(crate) mod add_on;
pub(crate) mod add_on_attachment;
pub(crate) mod add_on_move;
pub(crate) mod app;
pub(crate) mod app_setup;
pub(crate) mod app_transfer;
pub(crate) mod app_webhook;
pub(crate) mod audit_event;
pub(crate) mod authorization;
pub(crate) mod build;
pub(crate) mod buildpack_installation;
pub(crate) mod collaborator;
pub(crate) mod config_var;
pub(crate) mod crash;
pub(crate) mod cron;
pub(crate) mod domain;
pub(crate) mod dyno;
pub(crate) mod feature;
pub(crate) mod formation;
pub(crate) mod log_drain;
pub(crate) mod media;
pub(crate) mod oauth_client;
pub(crate) mod overview;
pub(crate) mod pipeline;
pub(crate) mod pipeline_coupling;
pub(crate) mod pipeline_promotion;
pub(crate) mod prove;
pub(crate) mod receipt;
pub(crate) mod release;
pub(crate) mod retention;
pub(crate) mod seal;
pub(crate) mod slug;
pub(crate) mod slug_upload;
pub(crate) mod sni_endpoint;
pub(crate) mod test_run;

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
    /// Secrets cannot be sealed or read.
    #[error(transparent)]
    Seal(#[from] seal::SealError),
}

impl DbError {
    /// What SQLite says, where it is that.
    pub(crate) fn code(&self) -> Option<rusqlite::ErrorCode> {
        match self {
            Self::Sqlite(error) => error.sqlite_error_code(),
            _ => None,
        }
    }
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
    M::up(include_str!("schema_11_access.sql")),
    M::up(include_str!("schema_12_secrets.sql")),
    M::up(include_str!("schema_13_add_ons.sql")),
    M::up(include_str!("schema_14_pipelines.sql")),
    M::up(include_str!("schema_17_acm.sql")),
    M::up(include_str!("schema_18_moves.sql")),
    M::up(include_str!("schema_16_media.sql")),
    M::up(include_str!("schema_19_test_runs.sql")),
    M::up(include_str!("schema_20_test_run_size.sql")),
];

/// The embedded database.
#[derive(Debug)]
pub(crate) struct Db {
    connection: Mutex<Connection>,
}

impl Db {
    /// Opens the file, making it and its tables if needed. The key of its secrets lies beside it.
    pub(crate) fn open(path: &Path) -> Result<Self, DbError> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // What is deleted is overwritten: it may have been a secret.
        connection.pragma_update(None, "secure_delete", true)?;
        let key = path.with_file_name("key");
        let sql = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'seal_check')";
        let is_in_use = connection.query_row(sql, [], |row| row.get(0))?;
        seal::Seal::open(&key, is_in_use)?.teach(&connection)?;
        let version = |db: &Connection| db.query_row("PRAGMA user_version", [], |row| row.get(0));
        let before: i64 = version(&connection)?;
        Migrations::from_slice(MIGRATIONS).to_latest(&mut connection)?;
        if before != 0 && before != version(&connection)? {
            // What stood in the clear is nowhere in the files any more.
            connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")?;
        }
        seal::check(&connection, &key)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// How many versions of the schema kept secrets in the clear.
    const IN_THE_CLEAR: usize = 8;

    #[test]
    fn secrets_of_an_older_server_are_sealed_and_nowhere_in_the_clear() {
        let there = tempfile::tempdir().unwrap();
        let path = there.path().join("state.sqlite3");
        let app = "00000000-0000-4000-8000-0000000000aa";
        let mut old = Connection::open(&path).unwrap();
        Migrations::from_slice(&MIGRATIONS[..IN_THE_CLEAR]).to_latest(&mut old).unwrap();
        old.execute_batch(&format!(
            "INSERT INTO app (id, name, created_at, updated_at) VALUES ('{app}', 'owl', 1, 1);
             INSERT INTO config_var (app_id, name, value) VALUES ('{app}', 'A', 'sesame5417');
             INSERT INTO release (id, app_id, version, config_vars, description, status, created_at,
                 updated_at)
             VALUES ('{app}', '{app}', 1, '{{\"A\":\"sesame5417\"}}', 'Deploy', 'succeeded', 1, 1);
             INSERT INTO log_drain (id, app_id, url, token, created_at)
             VALUES ('{app}', '{app}', 'https://u:sesame5417@logs.example/', 'd.1', 1);"
        ))
        .unwrap();
        drop(old);
        let holds = || {
            let files = std::fs::read_dir(there.path()).unwrap().flatten();
            let bytes = files.flat_map(|file| std::fs::read(file.path()).unwrap());
            let bytes: Vec<u8> = bytes.collect();
            bytes.windows(10).any(|window| window == b"sesame5417")
        };
        assert!(holds());
        let db = Db::open(&path).unwrap();
        assert!(!holds());
        let id = parsed(app).unwrap();
        let vars = db.read(|db| config_var::of_app(db, id)).unwrap();
        assert_eq!(vars.get("A").map(String::as_str), Some("sesame5417"));
        let release = db.read(|db| release::current(db, id)).unwrap().unwrap();
        assert_eq!(release.config_vars, vars);
        let drains = db.read(|db| log_drain::of_app(db, id)).unwrap();
        assert_eq!(drains[0].url.as_str(), "https://u:sesame5417@logs.example/");
        drop(db);
        // Without its key, or with another one, nothing starts and nothing is made.
        let key = there.path().join("key");
        let kept = std::fs::read(&key).unwrap();
        std::fs::remove_file(&key).unwrap();
        let missing = Db::open(&path).unwrap_err();
        assert!(matches!(missing, DbError::Seal(seal::SealError::Missing { .. })), "{missing}");
        assert!(!key.exists());
        std::fs::write(&key, "ab".repeat(32)).unwrap();
        let other = Db::open(&path).unwrap_err();
        assert!(matches!(other, DbError::Seal(seal::SealError::OtherKey { .. })), "{other}");
        std::fs::write(&key, kept).unwrap();
        Db::open(&path).unwrap();
    }

    /// Those that came before `schema_20`.
    const WITHOUT_SIZES: usize = 16;

    #[test]
    fn test_runs_of_an_older_server_have_a_size() {
        let there = tempfile::tempdir().unwrap();
        let path = there.path().join("state.sqlite3");
        let id = "00000000-0000-4000-8000-0000000000aa";
        let mut old = Connection::open(&path).unwrap();
        seal::Seal::open(&path.with_file_name("key"), false).unwrap().teach(&old).unwrap();
        Migrations::from_slice(&MIGRATIONS[..WITHOUT_SIZES]).to_latest(&mut old).unwrap();
        old.execute_batch(&format!(
            "INSERT INTO pipeline (id, name, created_at, updated_at) VALUES ('{id}', 'owls', 1, 1);
             INSERT INTO test_run (id, pipeline_id, number, status, commit_branch, commit_message,
                 commit_sha, source_blob_url, user_id, node_id, setup_id, output_id, created_at,
                 updated_at)
             VALUES ('{id}', '{id}', 1, 'succeeded', 'main', 'Owls', 'c0ffee', 'http://x/', '{id}',
                 '{id}', '{id}', '{id}', 1, 1);"
        ))
        .unwrap();
        drop(old);
        let db = Db::open(&path).unwrap();
        let runs = db.read(|db| test_run::of_pipeline(db, parsed(id)?)).unwrap();
        assert_eq!(runs[0].size.name, "Basic");
    }
}
