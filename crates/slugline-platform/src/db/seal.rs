//! Secrets at rest: config vars, keys of certificates and the like are sealed in their rows, with a
//! key that lies beside the database and not in it.
//!
//! SQL has `seal(text, place)` and `unseal(sealed, place)`. The place, a table and what names the row,
//! is sealed in, so that a sealed text is good where it stands and nowhere else. Equal texts in one
//! place give equal sealed ones, which is what makes a column of them unique.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};

/// What every sealed text begins with: how it is sealed.
const VERSION: &str = "1:";

/// What is sealed at the first start, so that later ones know whether they have the key.
const CHECK: &str = "slugline";

/// Bytes of the key.
const KEY: usize = 32;

/// Bytes of a nonce.
const NONCE: usize = 24;

/// Why secrets cannot be sealed or read.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The key's file could not be read or made.
    #[error("use the key in {}", path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// What the machine said.
        source: std::io::Error,
    },
    /// What it holds is no key.
    #[error("{} does not hold 64 hexadecimal digits: put the key back from a backup", path.display())]
    NoKey {
        /// Where.
        path: PathBuf,
    },
    /// The state has secrets, and there is no key to read them with.
    #[error(
        "{} is missing, and the secrets in the state were sealed with it: put it back from a backup",
        path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The secrets were sealed with another one.
    #[error(
        "the secrets in the state were sealed with another key than that in {}: put the one back that was made with this data directory",
        path.display()
    )]
    OtherKey {
        /// Where.
        path: PathBuf,
    },
    /// A sealed text is not as it was written, or stands in another place.
    #[error("a secret of the state is damaged, or was put in another place")]
    Damaged,
}

/// Seals and unseals.
pub(crate) struct Seal {
    cipher: XChaCha20Poly1305,
    /// What nonces are made with.
    nonces: [u8; KEY],
}

impl Seal {
    /// With the key of a file, which is made where there is none and nothing was sealed yet.
    pub(crate) fn open(path: &Path, is_in_use: bool) -> Result<Self, SealError> {
        let error = |source| SealError::File { path: path.to_path_buf(), source };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => {
                if is_in_use {
                    return Err(SealError::Missing { path: path.to_path_buf() });
                }
                make(path).map_err(error)?
            }
            Err(other) => return Err(error(other)),
        };
        let key = blake3::Hash::from_hex(text.trim())
            .map_err(|_| SealError::NoKey { path: path.to_path_buf() })?;
        Ok(Self::new(*key.as_bytes()))
    }

    fn new(key: [u8; KEY]) -> Self {
        // Two uses, two keys.
        let derived = |what| blake3::derive_key(what, &key);
        Self {
            cipher: XChaCha20Poly1305::new(&derived("slugline secrets at rest, cipher").into()),
            nonces: derived("slugline secrets at rest, nonces"),
        }
    }

    fn seal(&self, text: &str, place: &str) -> Result<String, SealError> {
        let mut hasher = blake3::Hasher::new_keyed(&self.nonces);
        hasher.update(&(place.len() as u64).to_le_bytes());
        hasher.update(place.as_bytes()).update(text.as_bytes());
        let mut nonce = [0; NONCE];
        hasher.finalize_xof().fill(&mut nonce);
        let payload = Payload { msg: text.as_bytes(), aad: place.as_bytes() };
        let sealed = self.cipher.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| SealError::Damaged)?;
        Ok(format!("{VERSION}{}", STANDARD_NO_PAD.encode([&nonce[..], &sealed].concat())))
    }

    fn unseal(&self, sealed: &str, place: &str) -> Result<String, SealError> {
        let encoded = sealed.strip_prefix(VERSION).ok_or(SealError::Damaged)?;
        let bytes = STANDARD_NO_PAD.decode(encoded).map_err(|_| SealError::Damaged)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE).ok_or(SealError::Damaged)?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let text = self.cipher.decrypt(XNonce::from_slice(nonce), payload);
        String::from_utf8(text.map_err(|_| SealError::Damaged)?).map_err(|_| SealError::Damaged)
    }

    /// Gives a connection's SQL the two functions. What is null stays null.
    pub(crate) fn teach(self, db: &Connection) -> rusqlite::Result<()> {
        // No view or trigger of a prepared database may have a secret told.
        let flags = FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_DIRECTONLY;
        let unseal = Arc::new(self);
        let seal = Arc::clone(&unseal);
        db.create_scalar_function("seal", 2, flags, move |context| {
            apply(context, |text, place| seal.seal(text, place))
        })?;
        db.create_scalar_function("unseal", 2, flags, move |context| {
            apply(context, |text, place| unseal.unseal(text, place))
        })
    }
}

fn apply(
    context: &Context<'_>,
    work: impl FnOnce(&str, &str) -> Result<String, SealError>,
) -> rusqlite::Result<Option<String>> {
    let text: Option<String> = context.get(0)?;
    let place: String = context.get(1)?;
    let done = text.map(|text| work(&text, &place)).transpose();
    done.map_err(|error| rusqlite::Error::UserFunctionError(Box::new(error)))
}

/// Whether the key is the one that the database was begun with; a new database is begun with it.
pub(crate) fn check(db: &Connection, path: &Path) -> Result<(), crate::db::DbError> {
    let sealed = db.query_row("SELECT count(*) FROM seal_check", [], |row| row.get::<_, i64>(0))?;
    if sealed == 0 {
        db.execute("INSERT INTO seal_check (text) VALUES (seal(?, 'seal_check'))", [CHECK])?;
        return Ok(());
    }
    let sql = "SELECT unseal(text, 'seal_check') FROM seal_check";
    let found = db.query_row(sql, [], |row| row.get::<_, String>(0));
    if found.is_ok_and(|found| found == CHECK) {
        return Ok(());
    }
    Err(SealError::OtherKey { path: path.to_path_buf() }.into())
}

/// A key at random, on the disk before anything is sealed with it.
fn make(path: &Path) -> std::io::Result<String> {
    let mut key = [0; KEY];
    getrandom::fill(&mut key).map_err(|error| std::io::Error::other(error.to_string()))?;
    let text = format!("{}\n", blake3::Hash::from_bytes(key).to_hex());
    let part = path.with_extension("part");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    if let Some(directory) = path.parent() {
        std::fs::File::open(directory)?.sync_all()?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_where_it_stands_and_nowhere_else() {
        let seal = Seal::new([7; KEY]);
        let sealed = seal.seal("sesame", "config_var a").unwrap();
        assert!(!sealed.contains("sesame") && sealed.starts_with(VERSION));
        assert_eq!(seal.unseal(&sealed, "config_var a").unwrap(), "sesame");
        assert_eq!(seal.seal("sesame", "config_var a").unwrap(), sealed);
        assert_ne!(seal.seal("sesame", "config_var b").unwrap(), sealed);
        assert!(seal.unseal(&sealed, "config_var b").is_err(), "another place");
        assert!(Seal::new([8; KEY]).unseal(&sealed, "config_var a").is_err(), "another key");
        let last = if sealed.ends_with('A') { "B" } else { "A" };
        let changed = format!("{}{last}", &sealed[..sealed.len() - 1]);
        for damaged in ["", "1:", "sesame", &sealed[2..], &sealed[..40], &changed] {
            assert!(seal.unseal(damaged, "config_var a").is_err(), "{damaged}");
        }
        let empty = seal.seal("", "x").unwrap();
        assert_eq!(seal.unseal(&empty, "x").unwrap(), "");
    }

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let there = tempfile::tempdir().unwrap();
        let path = there.path().join("key");
        assert!(matches!(Seal::open(&path, true), Err(SealError::Missing { .. })));
        let sealed = Seal::open(&path, false).unwrap().seal("a", "b").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Seal::open(&path, true).unwrap().unseal(&sealed, "b").unwrap(), "a");
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(Seal::open(&path, true), Err(SealError::NoKey { .. })));
    }
}
