//! A finished environment, kept from build to build with what it was made from.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::PythonError;
use crate::files;

/// What an environment was made from. Any difference means to make it again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Key {
    /// `3.11.2`
    pub(crate) python_version: String,
    /// The stack's, or part of the slug.
    pub(crate) python_origin: String,
    /// The hash of the files that name the dependencies.
    pub(crate) dependencies: String,
    /// Which of those files is the app's.
    pub(crate) dependencies_file: String,
    /// The version of uv.
    pub(crate) uv: String,
    /// `host`
    pub(crate) stack: String,
}

impl Key {
    /// What of it is another now, in the log's words; `None` if nothing is.
    pub(crate) fn change(&self, now: &Key) -> Option<String> {
        let file = &now.dependencies_file;
        let changes = [
            (self.stack == now.stack, "the stack changed".to_owned()),
            (
                (&self.python_version, &self.python_origin)
                    == (&now.python_version, &now.python_origin),
                format!("Python changed from {} to {}", self.python_version, now.python_version),
            ),
            (self.dependencies == now.dependencies, format!("{file} changed")),
            (self.uv == now.uv, format!("uv changed from {} to {}", self.uv, now.uv)),
        ];
        changes.into_iter().find(|(same, _)| !same).map(|(_, change)| change)
    }
}

fn key_path(cache_dir: &Path) -> PathBuf {
    cache_dir.join("python/key.json")
}

fn environment_path(cache_dir: &Path) -> PathBuf {
    cache_dir.join("python/environment")
}

/// What the kept environment was made from, if one is kept.
pub(crate) fn read_key(cache_dir: &Path) -> Option<Key> {
    let text = fs_err::read_to_string(key_path(cache_dir)).ok()?;
    let key = serde_json::from_str(&text).ok()?;
    environment_path(cache_dir).is_dir().then_some(key)
}

/// Copies the kept environment into the build. Copies, because hooks may edit what they find.
pub(crate) fn restore(cache_dir: &Path, into: &Path) -> Result<(), PythonError> {
    files::copy_tree(&environment_path(cache_dir), into)
        .map_err(PythonError::io("restore the environment from the cache"))
}

/// Keeps an environment. The key comes last: without it, nothing is kept.
pub(crate) fn save(cache_dir: &Path, from: &Path, key: &Key) -> Result<(), PythonError> {
    let save = || {
        let environment = environment_path(cache_dir);
        files::remove(&key_path(cache_dir))?;
        files::remove(&environment)?;
        files::copy_tree(from, &environment)?;
        files::write_atomically(&key_path(cache_dir), &serde_json::to_vec_pretty(key)?)
    };
    save().map_err(PythonError::io("save the environment to the cache"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_for_making_it_again_is_the_first_difference() {
        let key = Key { dependencies_file: "requirements.txt".into(), ..Key::default() };
        assert_eq!(key.change(&key), None);
        let other = Key { dependencies: "x".into(), ..key.clone() };
        assert_eq!(key.change(&other).as_deref(), Some("requirements.txt changed"));
        let other = Key { python_version: "3.12.1".into(), ..other };
        assert_eq!(key.change(&other).as_deref(), Some("Python changed from  to 3.12.1"));
    }

    #[test]
    fn an_environment_is_kept_with_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, build) = (dir.path().join("cache"), dir.path().join("build"));
        fs_err::create_dir_all(&build).unwrap();
        fs_err::write(build.join("python"), "x").unwrap();
        assert_eq!(read_key(&cache), None);
        save(&cache, &build, &Key::default()).unwrap();
        assert_eq!(read_key(&cache), Some(Key::default()));
        restore(&cache, &dir.path().join("again")).unwrap();
        assert!(dir.path().join("again/python").is_file());
    }
}
