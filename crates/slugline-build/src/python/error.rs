//! Everything that can end a Python build.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use slugline_model::build::exit_code;

use super::version::{Requested, Version};
use crate::hook::HookError;
use crate::program::describe;

/// Why a Python build ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PythonError {
    /// A hook failed.
    #[error("run a hook")]
    Hook(#[from] HookError),
    /// There is a Pipfile, and nothing that locks it.
    #[error("the app has no file that names its dependencies")]
    NoDependencies,
    /// The app's lock file is of a tool that is not supported.
    #[error("{file} is not supported yet")]
    UnsupportedPackageClient {
        /// `poetry.lock`
        file: &'static str,
    },
    /// The app has files of several tools.
    #[error("the app has several files that name its dependencies: {}", files.join(", "))]
    SeveralPackageClients {
        /// Those files.
        files: Vec<&'static str>,
    },
    /// The file names no version.
    #[error("{file} names no Python version: `{found}`")]
    VersionFile {
        /// `.python-version`
        file: &'static str,
        /// What stands in it.
        found: String,
    },
    /// A uv.lock without a `.python-version`, which uv itself would have written.
    #[error("uv.lock comes without .python-version")]
    NoVersionForUvLock,
    /// The version is too old or too new.
    #[error("Python {version} of {file} is not supported")]
    UnsupportedVersion {
        /// `.python-version`
        file: &'static str,
        /// What stands in it.
        version: Version,
    },
    /// There is no uv, and it could not be installed.
    #[error("install uv")]
    Uv {
        /// What pip said.
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
        file: String,
        /// How uv ended.
        status: ExitStatus,
    },
    /// uv.lock does not lock what pyproject.toml asks for.
    #[error("uv.lock is out of step with pyproject.toml")]
    LockFile {
        /// What uv said.
        output: String,
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
