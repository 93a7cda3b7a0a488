//! `node_modules` and the app's own cache directories, kept from build to build.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::NodejsError;
use crate::builtin::Call;
use crate::files;

/// What `node_modules` was made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Key {
    /// `host`
    pub(crate) stack: String,
    /// `20.20.2`
    pub(crate) node: String,
    /// The hash of package.json and its lock file.
    pub(crate) packages: String,
}

impl Key {
    /// What of it is another now; `None` if nothing is.
    pub(crate) fn change(&self, now: &Key) -> Option<String> {
        if self.stack != now.stack {
            Some("the stack changed".to_owned())
        } else if self.node != now.node {
            Some(format!("Node.js changed from {} to {}", self.node, now.node))
        } else {
            (self.packages != now.packages)
                .then(|| "package.json or its lock file changed".to_owned())
        }
    }
}

fn home(cache_dir: &Path) -> PathBuf {
    cache_dir.join("nodejs")
}

/// What the kept `node_modules` was made from, if it is kept.
pub(crate) fn read_key(cache_dir: &Path) -> Option<Key> {
    let text = fs_err::read_to_string(home(cache_dir).join("key.json")).ok()?;
    let key = serde_json::from_str(&text).ok()?;
    home(cache_dir).join("directories/node_modules").is_dir().then_some(key)
}

/// Forgets what is kept: the first step of keeping something else.
pub(crate) fn remove_key(call: &Call) -> Result<(), NodejsError> {
    files::remove(&home(&call.cache_dir).join("key.json"))
        .map_err(NodejsError::io("save the cache"))
}

/// The last step: what is kept is whole.
pub(crate) fn write_key(call: &Call, key: &Key) -> Result<(), NodejsError> {
    let write = || {
        fs_err::create_dir_all(home(&call.cache_dir))?;
        let text = serde_json::to_vec_pretty(key)?;
        files::write_atomically(&home(&call.cache_dir).join("key.json"), &text)
    };
    write().map_err(NodejsError::io("save the cache"))
}

/// Copies a kept directory into the build, if there is one and the source brings none.
pub(crate) fn restore_directory(call: &Call, name: &str) -> Result<(), NodejsError> {
    let kept = home(&call.cache_dir).join("directories").join(name);
    let target = call.build_dir.join(name);
    if !kept.is_dir() || (target.exists() && name != "node_modules") {
        return Ok(());
    }
    let restore = || {
        files::remove(&target)?;
        files::copy_tree(&kept, &target)
    };
    restore().map_err(NodejsError::io("restore the cache"))
}

/// Keeps a directory of the build, replacing what was kept under its name.
pub(crate) fn save_directory(call: &Call, name: &str) -> Result<(), NodejsError> {
    let kept = home(&call.cache_dir).join("directories").join(name);
    let source = call.build_dir.join(name);
    let save = || {
        files::remove(&kept)?;
        if source.is_dir() { files::copy_tree(&source, &kept) } else { Ok(()) }
    };
    save().map_err(NodejsError::io("save the cache"))
}
