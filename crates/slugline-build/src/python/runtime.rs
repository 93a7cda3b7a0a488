//! The interpreter: the stack's own, else one that uv fetches and that becomes part of the slug.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::environment::{BuildEnvironment, python_home};
use super::error::PythonError;
use super::requested::{Origin, Requested};
use super::uv::{self, Uv};
use super::version::{self, SUPPORTED, Version};
use crate::answers::Answers;
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

/// Finds what was asked for, and says what is used and why. `uv` is only asked for where something
/// has to be fetched.
pub(crate) fn choose(
    call: &Call,
    requested: &Requested,
    answers: &mut Answers,
    environment: &BuildEnvironment,
) -> Result<Runtime, PythonError> {
    let available = of_the_stack(answers);
    let runtime = match pick(requested, &available) {
        Some((interpreter, version)) => Runtime::Stack { interpreter, version },
        None => standalone(call, requested, answers, environment, &available)?,
    };
    say(requested, &runtime);
    Ok(runtime)
}

fn say(requested: &Requested, runtime: &Runtime) {
    let version = runtime.version();
    log::heading(match requested.origin {
        Origin::Default => format!("No Python version was specified: using Python {version}"),
        Origin::Cache => format!(
            "No Python version was specified: using Python {version}, the series of the last build"
        ),
        named => format!("Using Python {} specified in {}", requested.version, named.file()),
    });
    log::detail(format!("Python {version} is {}", runtime.origin()));
    for warning in warnings(requested, version) {
        log::warning(warning);
    }
}

/// What the app's author should know about the choice.
fn warnings(requested: &Requested, version: Version) -> Vec<String> {
    let mut warnings = Vec::new();
    match requested.origin {
        Origin::RuntimeTxt => warnings.push(
            "runtime.txt is deprecated: use a .python-version file with only the number".to_owned(),
        ),
        Origin::Default | Origin::Cache => warnings.push(format!(
            "The default changes over time; to stay on this version: echo {} > .python-version",
            version.series()
        )),
        Origin::PythonVersionFile | Origin::PipfileLock => {}
    }
    if version.series() == version::NEXT_END_OF_LIFE {
        let series = version.series();
        warnings.push(format!("Python {series} is at the end of its life: move to a newer one"));
    }
    let file = requested.origin.file();
    if let (Some(asked), Some(latest)) = (requested.version.patch, version::latest_patch(version))
        && asked < latest
    {
        let series = version.series();
        warnings.push(format!(
            "Python {version} lacks fixes of {series}.{latest}: write {series} into {file} to \
             always get the newest"
        ));
    }
    warnings
}

/// Who asks for nothing gets the default, or the newest that the stack has.
fn pick(requested: &Requested, available: &[(PathBuf, Version)]) -> Option<(PathBuf, Version)> {
    let exact = available.iter().find(|(_, version)| version.satisfies(requested.version));
    let newest = || available.iter().max_by_key(|(_, version)| version.minor);
    let any = if requested.origin.is_asked() { exact } else { exact.or_else(newest) };
    any.cloned()
}

fn of_the_stack(answers: &mut Answers) -> Vec<(PathBuf, Version)> {
    let names = SUPPORTED.map(|minor| format!("python3.{minor}"));
    let paths = names.flat_map(|name| STACK_DIRECTORIES.map(|dir| Path::new(dir).join(&name)));
    paths
        .filter(|path| program::is_executable(path))
        .filter_map(|path| {
            let answer = answers.of(&path, || version_of(&path))?;
            Some((path, version::parse(&answer)?))
        })
        .collect()
}

fn version_of(interpreter: &Path) -> Option<String> {
    let print = "import platform; print(platform.python_version())";
    program::answer(Command::new(interpreter).args(["-I", "-S", "-c", print]))
}

/// One that stands on its own: the one of an earlier build, or a new one.
fn standalone(
    call: &Call,
    requested: &Requested,
    answers: &mut Answers,
    environment: &BuildEnvironment,
    available: &[(PathBuf, Version)],
) -> Result<Runtime, PythonError> {
    let store = call.cache_dir.join("python-runtimes");
    let known = newest_in(&store, requested.version);
    let (from, version) = known.map_or_else(
        || {
            let uv = uv::find_or_install(call, environment, answers)?;
            fetch(&store, requested, &uv, environment, available)
        },
        Ok,
    )?;
    Ok(Runtime::Standalone { from, home: python_home(call), version })
}

fn fetch(
    store: &Path,
    requested: &Requested,
    uv: &Uv,
    environment: &BuildEnvironment,
    available: &[(PathBuf, Version)],
) -> Result<(PathBuf, Version), PythonError> {
    let mut command = uv.command(environment);
    command.args(["python", "install", "--quiet", "--no-bin", "--install-dir"]).arg(store);
    command.arg(requested.version.to_string()).env("UV_PYTHON_DOWNLOADS", "automatic");
    let installed =
        program::run_quietly(&mut command).map_err(PythonError::io("run uv python install"))?;
    let found = installed.status.success().then(|| newest_in(store, requested.version)).flatten();
    found.ok_or_else(|| PythonError::NoRuntime {
        requested: *requested,
        available: available.iter().map(|(path, v)| format!("{} ({v})", path.display())).collect(),
        output: installed.output,
    })
}

/// uv names a runtime's directory `cpython-3.13.2-linux-x86_64-gnu`.
fn newest_in(store: &Path, wanted: Version) -> Option<(PathBuf, Version)> {
    let of = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        let version = version::parse(name.strip_prefix("cpython-")?.split('-').next()?)?;
        (version.satisfies(wanted) && version.patch.is_some()).then_some((path, version))
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

    fn requested(asked: Option<&str>) -> Requested {
        let version = asked.map_or(version::DEFAULT, |text| version::parse(text).unwrap());
        let origin = asked.map_or(Origin::Default, |_| Origin::PythonVersionFile);
        Requested { version, origin }
    }

    fn check(asked: Option<&str>, stack: &[&str], expect: Option<&str>) {
        let available: Vec<_> =
            stack.iter().map(|text| (PathBuf::from(text), version::parse(text).unwrap())).collect();
        let picked = pick(&requested(asked), &available);
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
    #[test]
    fn a_version_that_will_not_do_for_long_is_warned_of() {
        let count = |asked: Option<&str>, version: &str| {
            warnings(&requested(asked), version::parse(version).unwrap()).len()
        };
        assert_eq!(count(Some("3.12"), "3.12.1"), 0);
        assert_eq!(count(Some("3.12.1"), "3.12.1"), 1);
        assert_eq!(count(Some("3.12.999"), "3.12.999"), 0);
        assert_eq!(count(None, "3.13.1"), 1);
        assert_eq!(count(Some("3.10"), "3.10.1"), 1);
    }
}
