//! The environment of the programs that a Python build starts.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::error::PythonError;
use super::runtime::Runtime;
use crate::builtin::Call;
use crate::env_dir::{self, ConfigVars, DENIED_BY_PYTHON};
use crate::network::is_network_variable;

/// Where the Python environment is: in the app as it will run, not in `BUILD_DIR`, so that every path
/// written into scripts is right in a dyno.
pub(crate) fn python_home(call: &Call) -> PathBuf {
    call.app_dir.join(".heroku/python")
}

/// Variables for the build's programs, and the config vars for those that may see them.
#[derive(Debug)]
pub(crate) struct BuildEnvironment {
    variables: BTreeMap<OsString, OsString>,
    /// The app's config vars.
    pub(crate) config_vars: ConfigVars,
}

impl BuildEnvironment {
    /// The surrounding environment, which is already short, and what Heroku's buildpack adds to it.
    pub(crate) fn new(call: &Call) -> Result<Self, PythonError> {
        let config_vars = env_dir::read(&call.env_dir).map_err(PythonError::io("read ENV_DIR"))?;
        let mut variables: BTreeMap<_, _> = std::env::vars_os().collect();
        let home = python_home(call);
        let include = home.join("include");
        let library = home.join("lib");
        for (name, value) in [
            ("BUILD_DIR", call.build_dir.as_path()),
            ("CACHE_DIR", &call.cache_dir),
            ("ENV_DIR", &call.env_dir),
            ("C_INCLUDE_PATH", &include),
            ("CPLUS_INCLUDE_PATH", &include),
            ("LIBRARY_PATH", &library),
            ("LD_LIBRARY_PATH", &library),
            ("PKG_CONFIG_PATH", &library.join("pkg-config")),
            ("LANG", Path::new("en_US.UTF-8")),
            ("PYTHONUNBUFFERED", Path::new("1")),
        ] {
            variables.insert(name.into(), value.into());
        }
        let path = variables.get(OsStr::new("PATH")).cloned().unwrap_or_default();
        variables.insert("PATH".into(), with_first(&home.join("bin"), &path));
        Ok(Self { variables, config_vars })
    }

    /// A Python that stands on its own has to be told where it is: it was built for elsewhere.
    pub(crate) fn set_runtime(&mut self, runtime: &Runtime) {
        if let Runtime::Standalone { home, .. } = runtime {
            self.variables.insert("PYTHONHOME".into(), home.into());
        }
    }

    /// The search path.
    pub(crate) fn path(&self) -> &OsStr {
        self.variables.get(OsStr::new("PATH")).map_or(OsStr::new(""), OsString::as_os_str)
    }

    /// Makes this the whole environment of a package client. Of the config vars it sees only those
    /// that set up package clients, such as an app's private index.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.env_clear().envs(&self.variables);
        let allowed = env_dir::allowed(&self.config_vars, DENIED_BY_PYTHON);
        command.envs(allowed.filter(|(name, _)| is_network_variable(name)));
    }

    /// One variable, config vars first.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let surrounding = || self.variables.get(OsStr::new(name))?.clone().into_string().ok();
        self.config_vars.get(name).cloned().or_else(surrounding)
    }

    /// The environment of hooks and of the app's own code: with all config vars.
    pub(crate) fn with_config_vars(&self) -> Vec<(OsString, OsString)> {
        let mut variables = self.variables.clone();
        for (name, value) in env_dir::allowed(&self.config_vars, DENIED_BY_PYTHON) {
            variables.insert(name.into(), value.into());
        }
        variables.into_iter().collect()
    }
}

fn with_first(directory: &Path, path: &OsStr) -> OsString {
    let mut first = directory.as_os_str().to_owned();
    first.push(":");
    first.push(path);
    first
}
