//! Brings a buildpack into a directory of its own, where it may write its `export` file.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use slugline_model::limits::Limits;

use super::environment::Environment;
use super::reference::Reference;
use crate::builtin::{self, Builtin};
use crate::source::{UnpackError, unpack};
use crate::{files, program};

/// Heroku's limit for one buildpack.
const LIMIT: Duration = Duration::from_secs(90);

/// A buildpack on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Buildpack {
    /// As it stands in the log.
    pub(crate) name: String,
    /// Where its `bin` is.
    pub(crate) directory: PathBuf,
    /// Which of ours it is, if it is.
    pub(crate) builtin: Option<Builtin>,
}

/// Why a buildpack could not be brought here.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Its directory could not be written, or its program not be started.
    #[error("prepare buildpack {name}")]
    Prepare {
        /// The buildpack.
        name: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// git or curl failed.
    #[error("fetch buildpack {name}: {program} ended with {status}")]
    Program {
        /// The buildpack.
        name: String,
        /// `git`, `curl`.
        program: &'static str,
        /// How it ended.
        status: String,
    },
    /// It took too long.
    #[error("fetch buildpack {name}: it took more than {} seconds", LIMIT.as_secs())]
    TooSlow {
        /// The buildpack.
        name: String,
    },
    /// Its tarball is not acceptable.
    #[error("unpack buildpack {name}")]
    Unpack {
        /// The buildpack.
        name: String,
        /// What is wrong with it.
        #[source]
        source: UnpackError,
    },
    /// A directory that the build does not see.
    #[error("find buildpack {name}: the build sees no such directory")]
    NoDirectory {
        /// The buildpack.
        name: String,
    },
    /// There is no `bin/compile` in it.
    #[error("{name} is no buildpack")]
    NotABuildpack {
        /// The buildpack.
        name: String,
    },
}

/// Where buildpacks are put, and what they are fetched with.
pub(crate) struct Fetching<'a> {
    pub(crate) buildpacks_dir: &'a Path,
    pub(crate) build_dir: &'a Path,
    pub(crate) environment: &'a Environment,
    pub(crate) limits: &'a Limits,
    pub(crate) scripts: builtin::Scripts<'a>,
}

/// Fetches one buildpack, afresh in each build.
pub(crate) fn fetch(fetching: &Fetching, reference: &Reference) -> Result<Buildpack, FetchError> {
    let name = reference.name();
    let prepare = |source| FetchError::Prepare { name: name.clone(), source };
    let mut directory = fetching.buildpacks_dir.join(directory_name(&name));
    files::remove(&directory).map_err(prepare)?;
    let mut builtin = None;
    match reference {
        Reference::Builtin(own) => {
            builtin = Some(*own);
            fetching.scripts.write(*own, &directory).map_err(prepare)?;
        }
        Reference::Inline => directory = fetching.build_dir.to_path_buf(),
        Reference::Named { place, .. } => bring(fetching, &name, place, &directory)?,
        other => bring(fetching, &name, other, &directory)?,
    }
    if !directory.join("bin/compile").is_file() {
        return Err(FetchError::NotABuildpack { name });
    }
    for script in ["detect", "compile", "test-compile", "release", "report", "test"] {
        let path = directory.join("bin").join(script);
        if path.is_file() {
            files::make_executable(&path).map_err(prepare)?;
        }
    }
    Ok(Buildpack { name, directory, builtin })
}

/// Brings what lies elsewhere into its directory.
fn bring(
    fetching: &Fetching,
    name: &str,
    reference: &Reference,
    directory: &Path,
) -> Result<(), FetchError> {
    match reference {
        Reference::Git { url, reference } => clone(fetching, name, url, reference, directory),
        Reference::Tarball(url) => download(fetching, name, url, directory),
        Reference::Directory(path) if !path.is_dir() => {
            Err(FetchError::NoDirectory { name: name.to_owned() })
        }
        Reference::Directory(path) => files::copy_tree(path, directory)
            .map_err(|source| FetchError::Prepare { name: name.to_owned(), source }),
        Reference::Builtin(_) | Reference::Inline | Reference::Named { .. } => Ok(()),
    }
}

/// A name that is new for each buildpack and the same in each build.
fn directory_name(name: &str) -> String {
    blake3::hash(name.as_bytes()).to_hex()[..40].to_owned()
}

fn clone(
    fetching: &Fetching,
    name: &str,
    url: &str,
    reference: &str,
    directory: &Path,
) -> Result<(), FetchError> {
    let mut clone = Command::new("git");
    clone.args(["clone", "--quiet", "--recurse-submodules"]);
    if reference.is_empty() {
        clone.arg("--depth=1");
    }
    clone.arg("--").arg(url).arg(directory);
    run(fetching, name, "git", &mut clone)?;
    if reference.is_empty() {
        return Ok(());
    }
    let mut checkout = Command::new("git");
    checkout.arg("-C").arg(directory).args([
        "checkout",
        "--quiet",
        "--recurse-submodules",
        reference,
        "--",
    ]);
    run(fetching, name, "git", &mut checkout)
}

fn download(
    fetching: &Fetching,
    name: &str,
    url: &str,
    directory: &Path,
) -> Result<(), FetchError> {
    let tarball = directory.with_extension("tgz");
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--silent", "--show-error", "--location", "--retry", "2", "--output"]);
    curl.arg(&tarball).arg("--").arg(url);
    run(fetching, name, "curl", &mut curl)?;
    unpack(&tarball, directory, fetching.limits)
        .map_err(|source| FetchError::Unpack { name: name.to_owned(), source })?;
    files::remove(&tarball).map_err(|source| FetchError::Prepare { name: name.to_owned(), source })
}

fn run(
    fetching: &Fetching,
    name: &str,
    program: &'static str,
    command: &mut Command,
) -> Result<(), FetchError> {
    let prepare = |source| FetchError::Prepare { name: name.to_owned(), source };
    fs_err::create_dir_all(fetching.buildpacks_dir).map_err(prepare)?;
    fetching.environment.apply(command);
    // A question for a password would wait for ever.
    command.env("GIT_TERMINAL_PROMPT", "0").stdin(std::process::Stdio::null());
    let mut child = command.spawn().map_err(prepare)?;
    match program::wait_for(&mut child, LIMIT).map_err(prepare)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => {
            let status = program::describe(status);
            Err(FetchError::Program { name: name.to_owned(), program, status })
        }
        None => Err(FetchError::TooSlow { name: name.to_owned() }),
    }
}
