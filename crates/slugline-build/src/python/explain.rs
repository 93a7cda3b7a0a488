//! What is said when a Python build ends before its end.

use slugline_model::message::Message;

use crate::explain::{DOCTOR, OURS};

use super::error::PythonError;
use super::version::{Origin, Requested};
use crate::hook;
use crate::program::describe;

/// What to tell the app's author.
pub(crate) fn explain(error: &PythonError) -> Message {
    match error {
        PythonError::Hook(error) => hook::explain(error),
        PythonError::NoDependencies => Message {
            what: "The app has no file that names its dependencies".into(),
            found: "There is a Pipfile without a Pipfile.lock.".into(),
            allowed: "heroku/python installs from requirements.txt or uv.lock.".into(),
            next: "pipenv lock && pipenv requirements > requirements.txt".into(),
            ..Message::default()
        },
        PythonError::UnsupportedPackageClient { file } => unsupported(file),
        PythonError::SeveralPackageClients { files } => Message {
            what: "The app's dependencies are named in several files".into(),
            found: format!("Found: {}", files.join(", ")),
            allowed: "Keep the one that is kept up to date: requirements.txt or uv.lock.".into(),
            next: format!("git rm {}", files[1..].join(" ")),
            ..Message::default()
        },
        PythonError::VersionFile { file, found } => version_file(file, found),
        PythonError::NoVersionForUvLock => Message {
            what: "The app asks for no Python version".into(),
            found: "There is a uv.lock, but no .python-version.".into(),
            allowed: "An app with a uv.lock says in .python-version which Python it runs on, so \
                      that uv uses the same one here as at home."
                .into(),
            next: "uv python pin 3.13 && git add .python-version && git commit -m 'Pin Python'"
                .into(),
            ..Message::default()
        },
        PythonError::UnsupportedVersion { file, version } => Message {
            what: format!("Python {version} is not supported"),
            found: format!("It is asked for in {file}."),
            allowed: "Python 3.10 to 3.14 can be asked for.".into(),
            next: "echo 3.13 > .python-version".into(),
            ..Message::default()
        },
        PythonError::Uv { output } => Message {
            what: "uv, which installs Python packages here, could not be installed".into(),
            found: last_lines(output),
            allowed: "It is taken from the stack if it is there, else installed with pip: that \
                      needs python3 with pip or venv on the stack, and a package index in reach \
                      (PIP_INDEX_URL)."
                .into(),
            next: "slugline doctor".into(),
            ..Message::default()
        },
        PythonError::NoRuntime { requested, available, output } => {
            no_runtime(requested, available, output)
        }
        PythonError::Install { file, status } => Message {
            what: format!("The dependencies could not be installed from {file}"),
            found: format!(
                "uv ended with {}; the reason is in its output above.",
                describe(*status)
            ),
            allowed: "If a package needs an older setuptools (`No module named 'pkg_resources'`), \
                      name one for builds: set the config var UV_BUILD_CONSTRAINT to a file with \
                      `setuptools<81`."
                .into(),
            next: format!("uv pip install --dry-run -r {file}, where it can be tried at once"),
            ..Message::default()
        },
        PythonError::LockFile { output } => Message {
            what: "uv.lock is out of step with pyproject.toml".into(),
            found: last_lines(output),
            allowed: "A build installs exactly what is locked.".into(),
            next: "uv lock && git commit -m 'Update uv.lock' uv.lock".into(),
            ..Message::default()
        },
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

fn unsupported(file: &str) -> Message {
    let next = match file {
        "poetry.lock" => "poetry export --output requirements.txt && git rm poetry.lock",
        _ => "pipenv requirements > requirements.txt && git rm Pipfile Pipfile.lock",
    };
    Message {
        what: format!("{file} is not supported yet"),
        found: format!("There is a {file}, and no requirements.txt or uv.lock."),
        allowed: "heroku/python installs from requirements.txt or uv.lock.".into(),
        next: next.into(),
        ..Message::default()
    }
}

fn version_file(file: &str, found: &str) -> Message {
    let (allowed, next) = match file {
        "runtime.txt" => (
            "It holds one line: `python-3.13` or `python-3.13.2`.",
            "git mv runtime.txt .python-version",
        ),
        _ => ("It holds one version: `3.13` or `3.13.2`.", "echo 3.13 > .python-version"),
    };
    let found = if found.is_empty() { "It is empty.".into() } else { format!("Found: {found}") };
    Message {
        what: format!("{file} names no Python version"),
        found,
        allowed: allowed.into(),
        next: next.into(),
        ..Message::default()
    }
}

fn no_runtime(requested: &Requested, available: &[String], output: &str) -> Message {
    let version = requested.version;
    let what = match requested.origin {
        Origin::Default => format!("No Python could be found, nor {version} fetched"),
        named => format!("Python {version}, asked for in {}, could not be had", named.file()),
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
