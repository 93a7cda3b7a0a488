//! The environment of the programs that a Node.js build starts.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::NodejsError;
use crate::builtin::Call;
use crate::env_dir::{self, DENIED_BY_NODEJS};

/// Variables for npm and for the app's scripts.
#[derive(Debug)]
pub(crate) struct BuildEnvironment {
    variables: BTreeMap<OsString, OsString>,
    /// As it was before this buildpack.
    path_before: OsString,
}

impl BuildEnvironment {
    /// The surrounding environment, Heroku's defaults, then the config vars, which may change them.
    pub(crate) fn new(call: &Call) -> Result<Self, NodejsError> {
        let config_vars = env_dir::read(&call.env_dir).map_err(NodejsError::io("read ENV_DIR"))?;
        let mut variables: BTreeMap<_, _> = std::env::vars_os().collect();
        let path_before = variables.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        for (name, value) in [
            ("NODE_ENV", "production"),
            ("NODE_OPTIONS", "--max_old_space_size=2560"),
            ("NPM_CONFIG_LOGLEVEL", "error"),
            ("NPM_CONFIG_FUND", "false"),
            ("NPM_CONFIG_AUDIT", "false"),
            ("NPM_CONFIG_UPDATE_NOTIFIER", "false"),
        ] {
            variables.entry(name.into()).or_insert_with(|| value.into());
        }
        variables.insert("NPM_CONFIG_CACHE".into(), call.cache_dir.join("npm").into());
        for (name, value) in env_dir::allowed(&config_vars, DENIED_BY_NODEJS) {
            variables.insert(name.into(), value.into());
        }
        variables.insert("BUILD_DIR".into(), call.build_dir.clone().into());
        variables.insert("CACHE_DIR".into(), call.cache_dir.clone().into());
        variables.insert("ENV_DIR".into(), call.env_dir.clone().into());
        let mut environment = Self { variables, path_before };
        environment.set_path(&[], &call.build_dir);
        Ok(environment)
    }

    /// Puts a Node.js first on the search path; the packages' own programs come last.
    pub(crate) fn set_path(&mut self, first: &[PathBuf], build_dir: &Path) {
        let before = std::env::split_paths(&self.path_before);
        let last = build_dir.join("node_modules/.bin");
        let all = first.iter().cloned().chain(before).chain([last]);
        // Only a directory with a colon in its name cannot be joined, and none of these has one.
        let joined = std::env::join_paths(all).unwrap_or_else(|_| self.path_before.clone());
        self.variables.insert("PATH".into(), joined);
    }

    /// Sets a variable that no config var has set.
    pub(crate) fn set(&mut self, name: &str, value: PathBuf) {
        self.variables.entry(name.into()).or_insert_with(|| value.into());
    }

    /// One variable.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(OsStr::new(name))?.to_str()
    }

    /// Makes this the whole environment of a command.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.env_clear().envs(&self.variables);
    }
}
