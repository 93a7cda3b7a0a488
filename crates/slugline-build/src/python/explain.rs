//! What is said when a Python build ends before its end.

use slugline_model::message::Message;

use crate::explain::{DOCTOR, OURS};

use super::error::PythonError;
use super::package_client::PackageClient;
use super::requested::{Origin, Requested};
use super::version::Unsupported;
use crate::hook;
use crate::program::describe;

/// What can be installed from.
const FILES: &str = "heroku/python installs from exactly one of requirements.txt (pip), Pipfile.lock \
                     (Pipenv), poetry.lock (Poetry) and uv.lock (uv), in the root directory.";

/// How to ask for a version.
const PIN: &str = "echo 3.13 > .python-version";

/// What to tell the app's author.
pub(crate) fn explain(error: &PythonError) -> Message {
    match error {
        PythonError::Hook(error) => hook::explain(error),
        PythonError::NoDependencies { .. }
        | PythonError::NoPipfileLock
        | PythonError::NoPyproject { .. }
        | PythonError::SeveralPackageClients { .. } => dependencies(error),
        PythonError::VersionFile { .. }
        | PythonError::SeveralVersions { .. }
        | PythonError::MisspelledVersionFile { .. }
        | PythonError::NoVersionForUvLock
        | PythonError::RuntimeTxtForUvLock
        | PythonError::UnsupportedVersion { .. }
        | PythonError::OutOfRange { .. } => version(error),
        PythonError::Uv { output } => Message {
            what: "uv, which installs Python packages here, could not be installed".into(),
            found: last_lines(output),
            allowed: "It is taken from the stack if it is there, else installed with pip: that \
                      needs python3 with pip or venv on the stack, and a package index in reach \
                      (PIP_INDEX_URL)."
                .into(),
            next: DOCTOR.into(),
            ..Message::default()
        },
        PythonError::Tool { tool, output } => Message {
            what: format!("{tool}, which the app's lock file needs, could not be installed"),
            found: last_lines(output),
            allowed: "It is installed with uv into the build cache, from the package index that \
                      the operator configured (UV_DEFAULT_INDEX or PIP_INDEX_URL)."
                .into(),
            next: DOCTOR.into(),
            ..Message::default()
        },
        PythonError::NoRuntime { requested, available, output } => {
            no_runtime(requested, available, output)
        }
        PythonError::Install { file, command, status } => Message {
            what: format!("The dependencies could not be installed from {file}"),
            found: format!(
                "`{command}` ended with {}; the reason is in its output above.",
                describe(*status)
            ),
            allowed: "If a package needs an older setuptools (`No module named 'pkg_resources'`), \
                      name one for builds: set the config var UV_BUILD_CONSTRAINT to a file with \
                      `setuptools<81`."
                .into(),
            next: format!("{command}, where it can be tried at once"),
            ..Message::default()
        },
        PythonError::LockFile { .. } | PythonError::PipfileLock(_) | PythonError::Toml { .. } => {
            lock_file(error)
        }
        PythonError::Collectstatic { status, .. } => Message {
            what: "Django's static files could not be collected".into(),
            found: format!(
                "collectstatic ended with {}; the reason is in its output above.",
                describe(*status)
            ),
            allowed: "It runs with the app's config vars. Build steps that write static files \
                      belong in bin/pre_compile if collectstatic has to see them. To build without \
                      it, set DISABLE_COLLECTSTATIC=1."
                .into(),
            next: "python manage.py collectstatic --noinput --traceback".into(),
            ..Message::default()
        },
        PythonError::Io { operation, source } => Message {
            what: format!("heroku/python could not {operation}"),
            found: source.to_string(),
            allowed: OURS.into(),
            next: DOCTOR.into(),
            ..Message::default()
        },
    }
}

fn dependencies(error: &PythonError) -> Message {
    let what = "The app's dependencies are not named in one file".to_owned();
    let message = |found: String, next: &str| Message {
        what,
        found,
        allowed: FILES.into(),
        next: next.into(),
        ..Message::default()
    };
    match error {
        PythonError::NoPipfileLock => {
            message("There is a Pipfile without a Pipfile.lock.".into(), "pipenv lock")
        }
        PythonError::NoPyproject { file } => message(
            format!("There is a {file}, and no pyproject.toml that it locks."),
            "git add pyproject.toml && git commit -m 'Add pyproject.toml'",
        ),
        PythonError::SeveralPackageClients { clients } => {
            let named = |client: &PackageClient| format!("{} ({})", client.file(), client.name());
            let all: Vec<_> = clients.iter().map(named).collect();
            let others: Vec<_> = clients[1..].iter().map(|client| client.file()).collect();
            message(
                format!("Found: {}", all.join(", ")),
                &format!("git rm {}, if {} is kept up to date", others.join(" "), all[0]),
            )
        }
        PythonError::NoDependencies { has_setup_py: true } => message(
            "There is a setup.py, and none of the files below.".into(),
            "echo '--editable .' > requirements.txt && git add requirements.txt",
        ),
        _ => message(
            "There is none of the files below.".into(),
            "touch requirements.txt && git add requirements.txt, if the app needs no packages",
        ),
    }
}

fn version(error: &PythonError) -> Message {
    let message = |what: String, found: String, allowed: &str, next: &str| Message {
        what,
        found,
        allowed: allowed.into(),
        next: next.into(),
        ..Message::default()
    };
    match error {
        PythonError::SeveralVersions { file, found } => message(
            format!("{file} names several Python versions"),
            format!("Found: {found}"),
            "An app runs on one version. Lines that start with # are passed over.",
            PIN,
        ),
        PythonError::MisspelledVersionFile { name } => message(
            format!("`{name}` is not read: is it meant to be .python-version?"),
            format!("There is a file `{name}`, and no .python-version."),
            "The file that asks for a Python is called exactly `.python-version`.",
            &format!("git mv '{name}' .python-version"),
        ),
        PythonError::NoVersionForUvLock => message(
            "The app asks for no Python version".into(),
            "There is a uv.lock, but no .python-version.".into(),
            "An app with a uv.lock says in .python-version which Python it runs on, so that uv \
             uses the same one here as at home.",
            "uv python pin 3.13 && git add .python-version && git commit -m 'Pin Python'",
        ),
        PythonError::RuntimeTxtForUvLock => message(
            "runtime.txt is not read by uv".into(),
            "There are a uv.lock and a runtime.txt.".into(),
            "An app with a uv.lock says in .python-version which Python it runs on, so that uv \
             uses the same one here as at home.",
            "git rm runtime.txt && uv python pin 3.13 && git add .python-version",
        ),
        PythonError::UnsupportedVersion { requested, why } => unsupported(requested, *why),
        PythonError::OutOfRange { file, range, version, requested } => message(
            format!("Python {version} is not a version that the app allows"),
            format!("{} asks for Python {}; {file} allows `{range}`.", asker(requested), {
                requested.version
            }),
            "Both have to be true of the version that the app is built with.",
            "echo VERSION > .python-version, with one that both allow",
        ),
        PythonError::VersionFile { file, found } => {
            let (allowed, next) = match *file {
                "runtime.txt" => (
                    "It holds one line: `python-3.13` or `python-3.13.2`.",
                    "git rm runtime.txt && echo 3.13 > .python-version",
                ),
                "Pipfile.lock" => (
                    "python_version is `3.13` or `3.13.2`, without wildcards.",
                    "mend [requires] in the Pipfile, then: pipenv lock",
                ),
                _ => ("It holds one version: `3.13` or `3.13.2`, without quotes.", PIN),
            };
            let found =
                if found.is_empty() { "It is empty.".into() } else { format!("Found: {found}") };
            message(format!("{file} names no Python version"), found, allowed, next)
        }
        _ => Message::default(),
    }
}

fn asker(requested: &Requested) -> &'static str {
    if requested.origin.is_asked() { requested.origin.file() } else { "The default" }
}

fn unsupported(requested: &Requested, why: Unsupported) -> Message {
    let found = match requested.origin {
        Origin::Cache => {
            "The app asks for no version, and the last build was made with this one.".to_owned()
        }
        origin => format!("It is asked for in {}.", origin.file()),
    };
    let reason = match why {
        Unsupported::EndOfLife => "it gets no security fixes any more",
        Unsupported::Unknown => "it is not one that is known here",
    };
    Message {
        what: format!("Python {} is not supported: {reason}", requested.version),
        found,
        allowed: "Python 3.10 to 3.14 can be asked for.".into(),
        next: PIN.into(),
        ..Message::default()
    }
}

fn lock_file(error: &PythonError) -> Message {
    let message = |what: String, found: String, allowed: &str, next: String| Message {
        what,
        found,
        allowed: allowed.into(),
        next,
        ..Message::default()
    };
    match error {
        PythonError::LockFile { file, source_file, output } => message(
            format!("{file} is out of step with {source_file}"),
            last_lines(output),
            "A build installs exactly what is locked.",
            match *file {
                "poetry.lock" => "poetry lock && git commit -m 'Update poetry.lock' poetry.lock",
                "Pipfile.lock" => "pipenv lock && git commit -m 'Update Pipfile.lock' Pipfile.lock",
                _ => "uv lock && git commit -m 'Update uv.lock' uv.lock",
            }
            .to_owned(),
        ),
        PythonError::PipfileLock(source) => message(
            "Pipfile.lock could not be read".into(),
            source.to_string(),
            "It is a JSON object, as Pipenv writes it.",
            "pipenv lock".into(),
        ),
        PythonError::Toml { file, source } => message(
            format!("{file} could not be read"),
            source.to_string().trim_end().to_owned(),
            "It is a TOML file.",
            format!("git log -1 --patch {file}, to see what changed last"),
        ),
        _ => Message::default(),
    }
}

fn no_runtime(requested: &Requested, available: &[String], output: &str) -> Message {
    let version = requested.version;
    let what = if requested.origin.is_asked() {
        format!("Python {version}, asked for in {}, could not be had", requested.origin.file())
    } else {
        format!("No Python could be found, nor {version} fetched")
    };
    let stack = if available.is_empty() { "no Python".into() } else { available.join(", ") };
    Message {
        what,
        found: format!("The stack has: {stack}\nuv python install: {}", last_lines(output)),
        allowed: "Ask for a version that the stack has (without the last number, any of that \
                  series will do), or let the operator name a mirror of Python builds in \
                  UV_PYTHON_INSTALL_MIRROR."
            .into(),
        next: "echo 3.13 > .python-version, with a version that can be had".into(),
        ..Message::default()
    }
}

/// The end of a program's output, where the reason usually is.
fn last_lines(output: &str) -> String {
    const MOST: usize = 8;
    let lines: Vec<_> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(MOST)..].join("\n")
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
