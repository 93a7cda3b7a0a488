//! Keys of buckets. A secret is kept nowhere: it follows from its key's name and the storage's own
//! key, which lies in a file beside the index.

use std::fmt;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::content::write::sync_directory;
use crate::error::{Result, StorageError};

/// The letters of access keys, as Amazon's have them.
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What opens a bucket.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The access key's id: 20 letters and digits.
    pub name: String,
    /// Its secret: 40 letters, digits and signs that need no escaping in an address.
    pub secret: String,
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Knows the secret of every key.
#[derive(Clone)]
pub(crate) struct Secrets(Arc<[u8; 32]>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// Reads the storage's own key, or draws it at the first start.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let path = root.join("secret.key");
        let wrong = |error| StorageError::file("read", &path, error);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let key: [u8; 32] = bytes.try_into().map_err(|_| {
                    wrong(std::io::Error::other("it is not a key: bring it back from a backup"))
                })?;
                Ok(Self(Arc::new(key)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut key = [0; 32];
                getrandom::fill(&mut key).map_err(|error| wrong(chance(error)))?;
                store(&path, &key).map_err(|error| StorageError::file("write", &path, error))?;
                sync_directory(root)?;
                Ok(Self(Arc::new(key)))
            }
            Err(error) => Err(wrong(error)),
        }
    }

    pub(crate) fn of(&self, name: &str) -> String {
        let hash = blake3::keyed_hash(&self.0, name.as_bytes());
        URL_SAFE_NO_PAD.encode(&hash.as_bytes()[..30])
    }

    /// A new key.
    pub(crate) fn draw(&self) -> Result<KeyPair> {
        let mut drawn = [0; 18];
        getrandom::fill(&mut drawn).map_err(|error| {
            StorageError::file("draw", Path::new("an access key"), chance(error))
        })?;
        let letters = drawn.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
        let name: String = "SL".chars().chain(letters).collect();
        let secret = self.of(&name);
        Ok(KeyPair { name, secret })
    }
}

fn chance(error: getrandom::Error) -> std::io::Error {
    std::io::Error::other(error.to_string())
}

/// Whole or not at all.
fn store(path: &Path, key: &[u8; 32]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(key)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_same_after_a_restart_and_differs_from_key_to_key() {
        let directory = tempfile::tempdir().unwrap();
        let first = Secrets::open(directory.path()).unwrap();
        let (one, two) = (first.draw().unwrap(), first.draw().unwrap());
        assert_eq!((one.name.len(), one.secret.len()), (20, 40));
        assert_ne!(one.secret, two.secret);
        let again = Secrets::open(directory.path()).unwrap();
        assert_eq!(again.of(&one.name), one.secret);
        let elsewhere = Secrets::open(tempfile::tempdir().unwrap().path()).unwrap();
        assert_ne!(elsewhere.of(&one.name), one.secret);
        assert!(!format!("{one:?}").contains(&one.secret));
    }
}
