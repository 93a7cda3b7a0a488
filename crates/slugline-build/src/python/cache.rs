//! A finished environment, kept from build to build with what it was made from.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::PythonError;
use super::version::{self, Version};
use crate::difference::{self, Packages};
use crate::kept::{self, Restored};
use crate::{files, log};

/// What an environment was made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Key {
    /// `3.11.2`
    pub(crate) python_version: String,
    /// The stack's, or part of the slug.
    pub(crate) python_origin: String,
    /// `requirements.txt`: which file, and so which tool.
    pub(crate) file: String,
    /// The hash of that file and of those that belong to it.
    pub(crate) fingerprint: String,
    /// What it names.
    pub(crate) packages: Packages,
    /// The hashes that they are locked to.
    pub(crate) hashes: Packages,
    /// `host`
    pub(crate) stack: String,
}

/// What the kept environment is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Use {
    /// It is what this build needs.
    AsItIs,
    /// It needs other packages, for this reason.
    Update(String),
    /// Nothing, for this reason.
    Nothing(String),
}

impl Key {
    /// What an environment that was made from this is good for now.
    pub(crate) fn good_for(&self, now: &Key) -> Use {
        let (python, wanted) = (&self.python_version, &now.python_version);
        if self.stack != now.stack {
            Use::Nothing(format!("the stack changed from {} to {}", self.stack, now.stack))
        } else if python != wanted {
            Use::Nothing(format!("Python {python} → {wanted}"))
        } else if self.python_origin != now.python_origin {
            let (before, after) = (&self.python_origin, &now.python_origin);
            Use::Nothing(format!("Python was {before}, and is {after}"))
        } else if self.file != now.file {
            Use::Nothing(format!("{} → {}", self.file, now.file))
        } else if let Some(name) = self.other_hashes(now) {
            // What is installed is of a name and version, and not asked for its hashes again.
            Use::Nothing(format!("{} locks {name} to other hashes", now.file))
        } else if self.fingerprint != now.fingerprint {
            let difference = difference::describe(&self.packages, &now.packages);
            let difference = difference.unwrap_or_else(|| "not the packages it names".to_owned());
            Use::Update(format!("{} changed ({difference})", now.file))
        } else {
            Use::AsItIs
        }
    }

    /// A package that has stayed the same but for its hashes.
    fn other_hashes<'a>(&self, now: &'a Key) -> Option<&'a String> {
        let same = |name: &&String| self.packages.get(*name) == now.packages.get(*name);
        let other = |name: &&String| self.hashes.get(*name) != now.hashes.get(*name);
        now.packages.keys().filter(same).find(other)
    }
}

fn home(cache_dir: &Path) -> PathBuf {
    cache_dir.join("python")
}

fn key_path(cache_dir: &Path) -> PathBuf {
    home(cache_dir).join("key.json")
}

fn environment_path(cache_dir: &Path) -> PathBuf {
    home(cache_dir).join("environment")
}

/// What the kept environment was made from, if one is kept.
pub(crate) fn read_key(cache_dir: &Path) -> Option<Key> {
    let text = fs_err::read_to_string(key_path(cache_dir)).ok()?;
    let key = serde_json::from_str(&text).ok()?;
    kept::is_kept(&environment_path(cache_dir)).then_some(key)
}

/// What the last build ran on. An app that asks for no version stays on its series.
pub(crate) fn last_python(cache_dir: &Path) -> Option<Version> {
    version::parse(&read_key(cache_dir)?.python_version)
}

/// Restores what can be used of the kept environment, says why or why not, and returns for what.
pub(crate) fn restore(cache_dir: &Path, into: &Path, now: &Key) -> Result<Use, PythonError> {
    log::heading("Restoring cache");
    let Some(kept) = read_key(cache_dir) else {
        log::detail("Nothing is cached yet");
        return Ok(Use::Nothing("nothing is cached yet".to_owned()));
    };
    let mut good_for = kept.good_for(now);
    if !matches!(good_for, Use::Nothing(_)) {
        let restored = kept::restore(&environment_path(cache_dir), into)
            .map_err(PythonError::io("restore the environment from the cache"))?;
        if restored == Restored::Altered {
            let why = "an earlier build edited the kept files in place".to_owned();
            good_for = Use::Nothing(why);
        }
    }
    log::detail(match &good_for {
        Use::AsItIs => format!("Restored dependencies from the cache: {} unchanged", now.file),
        Use::Update(why) => format!("{why}: only the difference is installed"),
        Use::Nothing(why) => format!("Dependencies are installed afresh: {why}"),
    });
    Ok(good_for)
}

/// Keeps an environment. The key comes last: without it, nothing is kept.
pub(crate) fn save(cache_dir: &Path, from: &Path, key: &Key) -> Result<(), PythonError> {
    let save = || {
        forget(cache_dir)?;
        fs_err::create_dir_all(home(cache_dir))?;
        kept::keep(from, &environment_path(cache_dir), &[])?;
        files::write_atomically(&key_path(cache_dir), &serde_json::to_vec_pretty(key)?)
    };
    save().map_err(PythonError::io("save the environment to the cache"))
}

fn forget(cache_dir: &Path) -> std::io::Result<()> {
    files::remove(&key_path(cache_dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_used_as_far_as_it_goes() {
        let key = Key {
            python_version: "3.11.9".into(),
            file: "requirements.txt".into(),
            stack: "host".into(),
            ..Key::default()
        };
        assert_eq!(key.good_for(&key), Use::AsItIs);
        let comment = Key { fingerprint: "x".into(), ..key.clone() };
        let why = "requirements.txt changed (not the packages it names)";
        assert_eq!(key.good_for(&comment), Use::Update(why.into()));
        let packages = [("six".to_owned(), String::new())].into();
        let more = Key { packages, ..comment };
        let why = "requirements.txt changed (1 added: six)";
        assert_eq!(key.good_for(&more), Use::Update(why.into()));
        let other = Key { python_version: "3.12.4".into(), ..more };
        assert_eq!(key.good_for(&other), Use::Nothing("Python 3.11.9 → 3.12.4".into()));
        let packages: Packages = [("six".to_owned(), "==1".to_owned())].into();
        let hashes = |hash: &str| [("six".to_owned(), hash.to_owned())].into();
        let locked = Key { packages, hashes: hashes("00"), ..key.clone() };
        let relocked = Key { hashes: hashes("11"), ..locked.clone() };
        let why = "requirements.txt locks six to other hashes";
        assert_eq!(locked.good_for(&relocked), Use::Nothing(why.into()));
        let other = Key { file: "uv.lock".into(), ..key.clone() };
        assert_eq!(key.good_for(&other), Use::Nothing("requirements.txt → uv.lock".into()));
        let other = Key { stack: "heroku-24".into(), ..other };
        let why = "the stack changed from host to heroku-24";
        assert_eq!(key.good_for(&other), Use::Nothing(why.into()));
    }

    #[test]
    fn an_environment_is_kept_with_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let (cache, build) = (dir.path().join("cache"), dir.path().join("build"));
        fs_err::create_dir_all(&build).unwrap();
        fs_err::write(build.join("python"), "x").unwrap();
        assert_eq!(read_key(&cache), None);
        let key = Key { python_version: "3.11.9".into(), ..Key::default() };
        save(&cache, &build, &key).unwrap();
        assert_eq!(read_key(&cache), Some(key.clone()));
        assert_eq!(last_python(&cache).unwrap().to_string(), "3.11.9");
        assert_eq!(restore(&cache, &dir.path().join("again"), &key).unwrap(), Use::AsItIs);
        assert!(dir.path().join("again/python").is_file());
        fs_err::write(dir.path().join("again/python"), "edited").unwrap();
        let third = restore(&cache, &dir.path().join("third"), &key).unwrap();
        assert!(matches!(third, Use::Nothing(_)), "{third:?}");
    }
}
