//! Everything that can end a compile.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use slugline_model::app_json::AppJsonError;
use slugline_model::build::exit_code;
use slugline_model::name::AppName;
use slugline_model::procfile::ProcfileError;

use crate::buildpack::{ChooseError, FetchError};
use crate::heroku_yml::HerokuYmlError;
use crate::process_types::ReleaseYamlError;
use crate::program;
use crate::record::Failure;
use crate::source::{AppRootError, UnpackError};

/// Why there is no tree.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The build's own directories do not work.
    #[error("use {}", path.display())]
    Workplace {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The source cannot be unpacked.
    #[error("unpack the source")]
    Source(#[from] UnpackError),
    /// The app is not where it was said to be.
    #[error("find the app in its source")]
    Root {
        /// What is wrong with the place.
        #[source]
        source: AppRootError,
        /// What the source's root holds.
        found: Vec<String>,
    },
    /// heroku.yml cannot be obeyed.
    #[error("obey heroku.yml")]
    HerokuYml(#[from] HerokuYmlError),
    /// What the app or its owner says about buildpacks cannot be read.
    #[error("choose buildpacks")]
    Choose(#[from] ChooseError),
    /// A buildpack cannot be brought here.
    #[error("fetch a buildpack")]
    Fetch(#[from] FetchError),
    /// No built-in buildpack recognises the app.
    #[error("no buildpack recognises {app}")]
    NotRecognised {
        /// The app.
        app: AppName,
        /// What its root holds.
        found: Vec<String>,
        /// A directory in it that looks like an app.
        inside: Option<String>,
    },
    /// The buildpack that was asked for does not recognise the app.
    #[error("{buildpack} does not recognise the app")]
    NotCompatible {
        /// The buildpack.
        buildpack: String,
        /// What the app's root holds.
        found: Vec<String>,
    },
    /// A script of a buildpack cannot be run.
    #[error("run {script} of {buildpack}")]
    Script {
        /// The buildpack.
        buildpack: String,
        /// `bin/compile`.
        script: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A buildpack failed.
    #[error("{buildpack}: bin/compile ended with {}", program::describe(*status))]
    Compile {
        /// The buildpack.
        buildpack: String,
        /// What its `bin/detect` calls the app: `Python`.
        kind: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A built-in buildpack failed, and told why.
    #[error("{buildpack} failed")]
    Builtin {
        /// The buildpack.
        buildpack: String,
        /// What it told.
        failure: Box<Failure>,
    },
    /// The tree, or what is in it, cannot be built or released.
    #[error("build the app")]
    Told(Box<Failure>),
    /// `bin/release` failed.
    #[error("{buildpack}: bin/release ended with {}", program::describe(*status))]
    Release {
        /// The buildpack.
        buildpack: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// What `bin/release` prints cannot be read.
    #[error("read what bin/release of {buildpack} prints")]
    ReleaseYaml {
        /// The buildpack.
        buildpack: String,
        /// What is wrong with it.
        #[source]
        source: ReleaseYamlError,
    },
    /// The Procfile has a line that declares nothing.
    #[error("read the Procfile")]
    Procfile(#[source] ProcfileError),
    /// What app.json says of how the app is run cannot be meant.
    #[error("read app.json")]
    AppJson(#[source] AppJsonError),
    /// There is nothing to run.
    #[error("the app declares no process types")]
    NoProcessTypes {
        /// A file that was probably meant to be the Procfile.
        misnamed: Option<String>,
    },
}

impl CompileError {
    /// The exit code of `slugline compile`, by phase.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Workplace { .. } => exit_code::INTERNAL,
            Self::Source(_) | Self::Root { .. } => exit_code::SOURCE,
            Self::Choose(ChooseError::AppJson(_))
            | Self::AppJson(_)
            | Self::Procfile(_)
            | Self::HerokuYml(_) => exit_code::PROCFILE,
            Self::Choose(ChooseError::Reference { .. })
            | Self::Fetch(_)
            | Self::NotRecognised { .. }
            | Self::NotCompatible { .. } => exit_code::DETECT,
            Self::Script { .. }
            | Self::Compile { .. }
            | Self::Release { .. }
            | Self::ReleaseYaml { .. } => exit_code::COMPILE,
            Self::Builtin { failure, .. } | Self::Told(failure) => failure.exit_code,
            Self::NoProcessTypes { .. } => exit_code::PROCESS_TYPES,
        }
    }
}
