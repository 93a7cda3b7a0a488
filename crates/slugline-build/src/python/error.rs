//! Everything that can end a Python build.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use slugline_model::build::exit_code;

use super::package_client::PackageClient;
use super::requested::Requested;
use super::version::{Unsupported, Version};
use crate::hook::HookError;
use crate::program::describe;

/// Why a Python build ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PythonError {
    /// A hook failed.
    #[error("run a hook")]
    Hook(#[from] HookError),
    /// Nothing says what to install.
    #[error("the app has no file that names its dependencies")]
    NoDependencies {
        /// Older versions of Heroku's buildpack installed from it.
        has_setup_py: bool,
    },
    /// There is a Pipfile, and nothing that locks it.
    #[error("the app has a Pipfile without a Pipfile.lock")]
    NoPipfileLock,
    /// A lock file without the file that it locks.
    #[error("{file} comes without pyproject.toml")]
    NoPyproject {
        /// `poetry.lock`
        file: &'static str,
    },
    /// The app has files of several tools.
    #[error("the app has files of several package clients")]
    SeveralPackageClients {
        /// Those tools.
        clients: Vec<PackageClient>,
    },
    /// The file names no version.
    #[error("{file} names no Python version: `{found}`")]
    VersionFile {
        /// `.python-version`
        file: &'static str,
        /// What stands in it.
        found: String,
    },
    /// The file names several versions.
    #[error("{file} names several Python versions: {found}")]
    SeveralVersions {
        /// `.python-version`
        file: &'static str,
        /// What stands in it.
        found: String,
    },
    /// A file that was probably meant to be `.python-version`.
    #[error("{name} was probably meant to be .python-version")]
    MisspelledVersionFile {
        /// `python-version.txt`
        name: String,
    },
    /// A uv.lock without a `.python-version`, which uv itself would have written.
    #[error("uv.lock comes without .python-version")]
    NoVersionForUvLock,
    /// A uv.lock with a `runtime.txt`, which uv does not read.
    #[error("uv.lock comes with runtime.txt")]
    RuntimeTxtForUvLock,
    /// The version is too old or too new.
    #[error("Python {} is not supported", requested.version)]
    UnsupportedVersion {
        /// The version, and who asked for it.
        requested: Requested,
        /// Too old, or too new.
        why: Unsupported,
    },
    /// The version is not one that the app's own project file allows.
    #[error("Python {version} is not in the range {range}")]
    OutOfRange {
        /// `pyproject.toml`
        file: &'static str,
        /// `>=3.12`
        range: String,
        /// What would be used.
        version: Version,
        /// Who asked for that.
        requested: Requested,
    },
    /// There is no uv, and it could not be installed.
    #[error("install uv")]
    Uv {
        /// What pip said.
        output: String,
    },
    /// Poetry could not be installed.
    #[error("install {tool}")]
    Tool {
        /// `Poetry`
        tool: &'static str,
        /// What uv said.
        output: String,
    },
    /// The wanted Python is neither here nor could it be fetched.
    #[error("find Python {}", requested.version)]
    NoRuntime {
        /// What was wanted, and who said so.
        requested: Requested,
        /// What the stack has.
        available: Vec<String>,
        /// What uv said.
        output: String,
    },
    /// The dependencies could not be installed.
    #[error("install {file} ended with {}", describe(*status))]
    Install {
        /// `requirements.txt`
        file: &'static str,
        /// `uv pip install -r requirements.txt`
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A lock file does not lock what the file beside it asks for.
    #[error("{file} is out of step with {source_file}")]
    LockFile {
        /// `uv.lock`
        file: &'static str,
        /// `pyproject.toml`
        source_file: &'static str,
        /// What was found.
        output: String,
    },
    /// Pipfile.lock is no JSON.
    #[error("read Pipfile.lock")]
    PipfileLock(#[source] serde_json::Error),
    /// A project file is no TOML.
    #[error("read {file}")]
    Toml {
        /// `pyproject.toml`
        file: &'static str,
        /// What is wrong with it. Large, so in a box.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// collectstatic failed.
    #[error("{} collectstatic ended with {}", manage_py.display(), describe(*status))]
    Collectstatic {
        /// Which manage.py.
        manage_py: PathBuf,
        /// How it ended.
        status: ExitStatus,
    },
    /// The machine is in the way.
    #[error("{operation}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl PythonError {
    /// Names what was being done when the machine got in the way.
    pub(crate) fn io(operation: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { operation, source }
    }

    /// By phase.
    pub(crate) fn exit_code(&self) -> i32 {
        match self {
            Self::Hook(_) => exit_code::HOOK,
            Self::LockFile { .. } => exit_code::LOCK_FILE,
            Self::Io { .. } => exit_code::INTERNAL,
            _ => exit_code::COMPILE,
        }
    }
}
