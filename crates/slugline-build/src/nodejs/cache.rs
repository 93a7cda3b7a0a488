//! `node_modules` and the app's own cache directories, kept from build to build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::NodejsError;
use crate::builtin::Call;
use crate::difference::{self, Packages};
use crate::kept::{self, Restored};
use crate::{files, log};

/// What `node_modules` was made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Key {
    /// `host`
    pub(crate) stack: String,
    /// `20.20.2`
    pub(crate) node: String,
    /// `yarn 1.22.22`
    pub(crate) client: String,
    /// The hashes of the files that decide, by name.
    pub(crate) files: BTreeMap<String, String>,
    /// What package.json depends on.
    pub(crate) packages: Packages,
}

/// What the kept `node_modules` is good for.
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
    /// What the `node_modules` that was made from this is good for now.
    pub(crate) fn good_for(&self, now: &Key) -> Use {
        if self.stack != now.stack {
            Use::Nothing(format!("the stack changed from {} to {}", self.stack, now.stack))
        } else if self.node != now.node {
            Use::Nothing(format!("Node.js {} → {}", self.node, now.node))
        } else if self.client != now.client {
            Use::Nothing(format!("{} → {}", self.client, now.client))
        } else {
            self.changed_file(now).map_or(Use::AsItIs, Use::Update)
        }
    }

    fn changed_file(&self, now: &Key) -> Option<String> {
        let changed = |name: &&String| self.files.get(*name) != now.files.get(*name);
        let names = now.files.keys().chain(self.files.keys());
        let mut names: Vec<&String> = names.filter(changed).collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            return None;
        }
        let difference = difference::describe(&self.packages, &now.packages);
        let difference = difference.map(|text| format!(" ({text})")).unwrap_or_default();
        let names = names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(" and ");
        Some(format!("{names} changed{difference}"))
    }
}

fn home(cache_dir: &Path) -> PathBuf {
    cache_dir.join("nodejs")
}

fn kept_modules(cache_dir: &Path) -> PathBuf {
    home(cache_dir).join("node_modules")
}

/// Caches that packages keep inside `node_modules`. Installers remove them with it, so they are kept
/// apart, and come back when it is there.
pub(crate) const CACHE_INSIDE: &str = "node_modules/.cache";

/// What the kept `node_modules` was made from, if it is kept.
pub(crate) fn read_key(cache_dir: &Path) -> Option<Key> {
    let text = fs_err::read_to_string(home(cache_dir).join("key.json")).ok()?;
    let key = serde_json::from_str(&text).ok()?;
    kept::is_kept(&kept_modules(cache_dir)).then_some(key)
}

/// Restores what can be used, and returns for what: an update where that is possible at all.
pub(crate) fn restore(call: &Call, now: &Key, may_update: bool) -> Result<Use, NodejsError> {
    let Some(kept) = read_key(&call.cache_dir) else {
        return Ok(Use::Nothing("nothing is cached yet".to_owned()));
    };
    let good_for = kept.good_for(now);
    let wanted = match &good_for {
        Use::AsItIs => true,
        Use::Update(_) => may_update,
        Use::Nothing(_) => false,
    };
    if !wanted {
        return Ok(good_for);
    }
    let tree = call.build_dir.join("node_modules");
    let restored = kept::restore(&kept_modules(&call.cache_dir), &tree);
    match restored.map_err(NodejsError::io("restore the cache"))? {
        Restored::Whole => Ok(good_for),
        Restored::Altered => {
            Ok(Use::Nothing("an earlier build edited the kept files in place".to_owned()))
        }
    }
}

/// Keeps `node_modules` as it is now. The key comes last: without it, nothing is kept.
pub(crate) fn save(call: &Call, key: &Key) -> Result<(), NodejsError> {
    let tree = call.build_dir.join("node_modules");
    let save = || {
        let path = home(&call.cache_dir).join("key.json");
        files::remove(&path)?;
        if !tree.is_dir() {
            return Ok(());
        }
        kept::keep(&tree, &kept_modules(&call.cache_dir), &[".cache"])?;
        files::write_atomically(&path, &serde_json::to_vec_pretty(key)?)
    };
    save().map_err(NodejsError::io("save the cache"))
}

/// Gives the app's cache directories back to it: moved, so that a build that fails leaves none that
/// is half of the one build and half of the other.
pub(crate) fn restore_directories(call: &Call, names: &[&str]) -> Result<(), NodejsError> {
    for name in names {
        let (kept, target) = (kept_directory(call, name), call.build_dir.join(name));
        if !kept.is_dir() || target.exists() {
            continue;
        }
        let restore = || {
            if let Some(parent) = target.parent() {
                fs_err::create_dir_all(parent)?;
            }
            fs_err::rename(&kept, &target)
        };
        restore().map_err(NodejsError::io("restore the cache"))?;
        if *name != CACHE_INSIDE {
            log::detail(format!("Restored {name} from the cache"));
        }
    }
    Ok(())
}

/// Keeps the app's cache directories as they are now.
pub(crate) fn save_directories(call: &Call, names: &[&str]) -> Result<(), NodejsError> {
    for name in names {
        let (kept, source) = (kept_directory(call, name), call.build_dir.join(name));
        let save = || {
            files::remove(&kept)?;
            if source.is_dir() { kept::link_tree(&source, &kept, &[]) } else { Ok(()) }
        };
        save().map_err(NodejsError::io("save the cache"))?;
    }
    Ok(())
}

fn kept_directory(call: &Call, name: &str) -> PathBuf {
    home(&call.cache_dir).join("directories").join(name.replace('/', "%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_used_as_far_as_it_goes() {
        let file = |name: &str, hash: &str| (name.to_owned(), hash.to_owned());
        let key = Key {
            node: "20.1.0".into(),
            client: "npm".into(),
            files: [file("package-lock.json", "1"), file("package.json", "1")].into(),
            ..Key::default()
        };
        assert_eq!(key.good_for(&key), Use::AsItIs);
        let locked = Key {
            files: [file("package-lock.json", "2"), file("package.json", "1")].into(),
            ..key.clone()
        };
        assert_eq!(key.good_for(&locked), Use::Update("package-lock.json changed".into()));
        let added = Key {
            files: [file("package-lock.json", "2"), file("package.json", "2")].into(),
            packages: [file("ms", "^2")].into(),
            ..key.clone()
        };
        let why = "package-lock.json and package.json changed (1 added: ms ^2)";
        assert_eq!(key.good_for(&added), Use::Update(why.into()));
        let other = Key { node: "22.1.0".into(), ..key.clone() };
        assert_eq!(key.good_for(&other), Use::Nothing("Node.js 20.1.0 → 22.1.0".into()));
        let other = Key { client: "yarn 1.22.22".into(), ..key.clone() };
        assert_eq!(key.good_for(&other), Use::Nothing("npm → yarn 1.22.22".into()));
    }

    #[test]
    fn a_cache_directory_moves_out_and_is_linked_back() {
        let root = tempfile::tempdir().unwrap();
        let call = Call {
            build_dir: root.path().join("build"),
            cache_dir: root.path().join("cache"),
            ..Call::default()
        };
        let write = |path: &Path| {
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "x").unwrap();
        };
        write(&call.build_dir.join(".next/cache/a"));
        write(&call.build_dir.join("node_modules/.cache/b"));
        save_directories(&call, &[".next/cache", CACHE_INSIDE]).unwrap();
        fs_err::remove_dir_all(&call.build_dir).unwrap();
        restore_directories(&call, &[".next/cache", CACHE_INSIDE]).unwrap();
        assert!(call.build_dir.join(".next/cache/a").is_file());
        assert!(call.build_dir.join("node_modules/.cache/b").is_file());
        assert!(!kept_directory(&call, ".next/cache").exists());
    }
}
