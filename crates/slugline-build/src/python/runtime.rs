//! The interpreter: the stack's own, else one that uv fetches and that becomes part of the slug.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::environment::{BuildEnvironment, python_home};
use super::error::PythonError;
use super::uv::Uv;
use super::version::{self, Origin, Requested, SUPPORTED, Version};
use crate::builtin::Call;
use crate::{files, log, program};

/// Where a stack keeps its interpreters. Not the search path: what a person installed for
/// themselves is not there when a dyno runs.
const STACK_DIRECTORIES: [&str; 2] = ["/usr/bin", "/usr/local/bin"];

/// A Python that will run the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// The stack's: the slug holds an environment over it.
    Stack {
        /// `/usr/bin/python3.11`
        interpreter: PathBuf,
        /// `3.11.2`
        version: Version,
    },
    /// One that is part of the slug.
    Standalone {
        /// Where uv put it.
        from: PathBuf,
        /// Where it will be: `/app/.heroku/python`.
        home: PathBuf,
        /// `3.13.2`
        version: Version,
    },
}

impl Runtime {
    /// `3.11.2`
    pub(crate) fn version(&self) -> Version {
        match self {
            Self::Stack { version, .. } | Self::Standalone { version, .. } => *version,
        }
    }

    /// For the cache's key and for the log.
    pub(crate) fn origin(&self) -> String {
        match self {
            Self::Stack { interpreter, .. } => format!("the stack's {}", interpreter.display()),
            Self::Standalone { .. } => "part of the slug".to_owned(),
        }
    }
}

/// Finds what was asked for, and says what is used and why.
pub(crate) fn choose(
    call: &Call,
    requested: &Requested,
    uv: &Uv,
    environment: &BuildEnvironment,
) -> Result<Runtime, PythonError> {
    let available = of_the_stack();
    if requested.origin == Origin::RuntimeTxt {
        log::warning("runtime.txt is deprecated: use a .python-version file with only the number");
    }
    let runtime = match pick(requested, &available) {
        Some((interpreter, version)) => Runtime::Stack { interpreter, version },
        None => fetch(call, requested, uv, environment, &available)?,
    };
    let (version, origin) = (runtime.version(), runtime.origin());
    log::heading(match requested.origin {
        Origin::Default => format!("No Python version was specified: using Python {version}"),
        named => format!("Using Python {} specified in {}", requested.version, named.file()),
    });
    log::detail(format!("Python {version} is {origin}"));
    Ok(runtime)
}

/// Who asks for nothing gets the default, or the newest that the stack has.
fn pick(requested: &Requested, available: &[(PathBuf, Version)]) -> Option<(PathBuf, Version)> {
    let wanted = requested.version;
    let satisfies = |found: &Version| {
        found.minor == wanted.minor && (wanted.patch.is_none() || found.patch == wanted.patch)
    };
    let exact = available.iter().find(|(_, version)| satisfies(version));
    let newest = || available.iter().max_by_key(|(_, version)| version.minor);
    let any = if requested.origin == Origin::Default { exact.or_else(newest) } else { exact };
    any.cloned()
}

fn of_the_stack() -> Vec<(PathBuf, Version)> {
    let names = SUPPORTED.map(|minor| format!("python3.{minor}"));
    let paths = names.flat_map(|name| STACK_DIRECTORIES.map(|dir| Path::new(dir).join(&name)));
    paths.filter_map(|path| Some((path.clone(), version_of(&path)?))).collect()
}

fn version_of(interpreter: &Path) -> Option<Version> {
    if !program::is_executable(interpreter) {
        return None;
    }
    let print = "import platform; print(platform.python_version())";
    let mut command = Command::new(interpreter);
    let answer = program::answer(command.args(["-I", "-S", "-c", print]))?;
    version::parse(&answer)
}

fn fetch(
    call: &Call,
    requested: &Requested,
    uv: &Uv,
    environment: &BuildEnvironment,
    available: &[(PathBuf, Version)],
) -> Result<Runtime, PythonError> {
    let store = call.cache_dir.join("python-runtimes");
    let mut command = uv.command(environment);
    command.args(["python", "install", "--quiet", "--no-bin", "--install-dir"]).arg(&store);
    command.arg(requested.version.to_string()).env("UV_PYTHON_DOWNLOADS", "automatic");
    let installed =
        program::run_quietly(&mut command).map_err(PythonError::io("run uv python install"))?;
    let found = installed.status.success().then(|| newest_in(&store, requested.version)).flatten();
    let (from, version) = found.ok_or_else(|| PythonError::NoRuntime {
        requested: *requested,
        available: available.iter().map(|(path, v)| format!("{} ({v})", path.display())).collect(),
        output: installed.output,
    })?;
    Ok(Runtime::Standalone { from, home: python_home(call), version })
}

/// uv names a runtime's directory `cpython-3.13.2-linux-x86_64-gnu`.
fn newest_in(store: &Path, wanted: Version) -> Option<(PathBuf, Version)> {
    let of = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        let version = version::parse(name.strip_prefix("cpython-")?.split('-').next()?)?;
        let wanted_patch = wanted.patch.is_none_or(|patch| version.patch == Some(patch));
        (version.minor == wanted.minor && wanted_patch && version.patch.is_some())
            .then_some((path, version))
    };
    let entries = fs_err::read_dir(store).ok()?.flatten();
    entries.filter_map(|entry| of(entry.path())).max_by_key(|(_, version)| version.patch)
}

/// Makes `.heroku/python` empty, and reachable where it will be when the app runs.
pub(crate) fn link_into_app(call: &Call) -> Result<(), PythonError> {
    let io = PythonError::io("prepare .heroku/python");
    let in_build = call.build_dir.join(".heroku/python");
    let link = || {
        files::remove(&in_build)?;
        fs_err::create_dir_all(&in_build)?;
        let in_app = python_home(call);
        // On a continuous integration server BUILD_DIR is /app itself.
        if call.build_dir.canonicalize()? == call.app_dir.canonicalize()? {
            return Ok(());
        }
        fs_err::create_dir_all(call.app_dir.join(".heroku"))?;
        files::remove(&in_app)?;
        fs_err::os::unix::fs::symlink(&in_build, &in_app)
    };
    link().map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(asked: Option<&str>, stack: &[&str], expect: Option<&str>) {
        let version = asked.map_or(Version { minor: version::DEFAULT, patch: None }, |text| {
            version::parse(text).unwrap()
        });
        let origin = asked.map_or(Origin::Default, |_| Origin::PythonVersionFile);
        let available: Vec<_> =
            stack.iter().map(|text| (PathBuf::from(text), version::parse(text).unwrap())).collect();
        let picked = pick(&Requested { version, origin }, &available);
        assert_eq!(picked.map(|(_, v)| v.to_string()).as_deref(), expect);
    }

    #[test]
    fn the_stacks_interpreter_is_used_when_it_is_what_was_asked_for() {
        check(Some("3.11"), &["3.11.2"], Some("3.11.2"));
        check(Some("3.11.2"), &["3.11.2"], Some("3.11.2"));
        check(Some("3.11.9"), &["3.11.2"], None);
        check(Some("3.12"), &["3.11.2"], None);
    }

    #[test]
    fn who_asks_for_nothing_gets_the_default_or_what_there_is() {
        check(None, &["3.11.2", "3.13.1", "3.14.0"], Some("3.13.1"));
        check(None, &["3.10.1", "3.11.2"], Some("3.11.2"));
        check(None, &[], None);
    }
}
