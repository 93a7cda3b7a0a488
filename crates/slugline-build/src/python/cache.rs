//! A finished environment, handed from build to build with what it was made from.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use slugline_model::build::TAKEN;

use super::error::PythonError;
use super::version::{self, Version};
use crate::difference::{self, Packages};
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

/// Beside the packages, so that it is true of the tree it lies in and of no other.
const KEY: &str = "made-from.json";

/// Where a tree has its environment.
fn environment(tree: &Path) -> PathBuf {
    tree.join(".heroku/python")
}

/// What the environment of a tree was made from, if it has a finished one.
pub(crate) fn read_key(tree: &Path) -> Option<Key> {
    let text = fs_err::read_to_string(environment(tree).join(KEY)).ok()?;
    serde_json::from_str(&text).ok()
}

/// What the last build ran on. An app that asks for no version stays on its series.
pub(crate) fn last_python(cache_dir: &Path) -> Option<Version> {
    version::parse(fs_err::read_to_string(version_path(cache_dir)).ok()?.trim())
}

fn version_path(cache_dir: &Path) -> PathBuf {
    cache_dir.join("python/version")
}

/// Moves the last build's environment into this one's tree, if it is of use, says why or why not,
/// and returns for what. Moved and not copied: that takes no time, and the store knows the files.
pub(crate) fn restore(
    last_tree: Option<&Path>,
    tree: &Path,
    now: &Key,
) -> Result<Use, PythonError> {
    log::heading("Restoring cache");
    let kept = last_tree.and_then(|last| Some((last, read_key(last)?)));
    let Some((last, key)) = kept else {
        log::detail("Nothing is cached yet");
        return Ok(Use::Nothing("nothing is cached yet".to_owned()));
    };
    let good_for = key.good_for(now);
    if !matches!(good_for, Use::Nothing(_)) {
        fs_err::write(last.join(TAKEN), "")
            .and_then(|()| move_in(&environment(last), &environment(tree)))
            .map_err(PythonError::io("restore the environment of the last build"))?;
    }
    if matches!(good_for, Use::Update(_)) {
        // Until it is updated it is neither what it was nor what it shall be.
        files::remove(&environment(tree).join(KEY))
            .map_err(PythonError::io("open the environment for changes"))?;
    }
    log::detail(match &good_for {
        Use::AsItIs => format!("Restored dependencies from the cache: {} unchanged", now.file),
        Use::Update(why) => format!("{why}: only the difference is installed"),
        Use::Nothing(why) => format!("Dependencies are installed afresh: {why}"),
    });
    Ok(good_for)
}

fn move_in(from: &Path, to: &Path) -> std::io::Result<()> {
    files::remove(to)?;
    if let Some(parent) = to.parent() {
        fs_err::create_dir_all(parent)?;
    }
    fs_err::rename(from, to)
}

/// Says that the tree's environment is finished, and what it was made from.
pub(crate) fn save(cache_dir: &Path, tree: &Path, key: &Key) -> Result<(), PythonError> {
    let save = || {
        let version = version_path(cache_dir);
        fs_err::create_dir_all(cache_dir.join("python"))?;
        files::write_atomically(&version, key.python_version.as_bytes())?;
        let path = environment(tree).join(KEY);
        files::write_atomically(&path, &serde_json::to_vec_pretty(key)?)
    };
    save().map_err(PythonError::io("finish the environment"))
}

/// Forgets what the environment of a failed build was made from if anything in it was changed
/// since it was installed: a build that failed half-way hands nothing on but what was whole.
pub(crate) fn distrust_if_changed(tree: &Path, installed: SystemTime) {
    let environment = environment(tree);
    if changed_since(&environment, installed).unwrap_or(true) {
        let _ = files::remove(&environment.join(KEY));
    }
}

fn changed_since(path: &Path, time: SystemTime) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let metadata = path.symlink_metadata()?;
    // The change time, since nobody can set it.
    let (seconds, rest) = (metadata.ctime().cast_unsigned(), metadata.ctime_nsec());
    if (seconds, rest) > (since.as_secs(), i64::from(since.subsec_nanos())) {
        return Ok(true);
    }
    if metadata.is_dir() {
        for entry in fs_err::read_dir(path)? {
            if changed_since(&entry?.path(), time)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
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
    fn an_environment_moves_from_tree_to_tree_with_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let tree = |name: &str| dir.path().join(name);
        let (cache, one, two) = (tree("cache"), tree("one"), tree("two"));
        fs_err::create_dir_all(environment(&one)).unwrap();
        fs_err::write(environment(&one).join("python"), "x").unwrap();
        let key = Key { python_version: "3.11.9".into(), ..Key::default() };
        let restored = |last: &Path, tree: &Path, key| restore(Some(last), tree, key).unwrap();
        assert!(matches!(restored(&one, &two, &key), Use::Nothing(_)), "it was not finished");
        save(&cache, &one, &key).unwrap();
        assert_eq!(last_python(&cache).unwrap().to_string(), "3.11.9");
        assert_eq!(restored(&one, &two, &key), Use::AsItIs);
        assert!(environment(&two).join("python").is_file() && !environment(&one).exists());
        let later = SystemTime::now() + std::time::Duration::from_secs(1);
        distrust_if_changed(&two, later);
        assert_eq!(read_key(&two), Some(key.clone()));
        let other = Key { fingerprint: "x".into(), ..key.clone() };
        assert!(matches!(restored(&two, &one, &other), Use::Update(_)));
        assert_eq!(read_key(&one), None, "an update that ends in the middle leaves nothing to use");
        save(&cache, &one, &key).unwrap();
        distrust_if_changed(&one, UNIX_EPOCH);
        assert_eq!(read_key(&one), None);
    }
}
