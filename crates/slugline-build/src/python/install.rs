//! How each package client's file is installed from.

use std::path::Path;
use std::process::Command;

use super::dependencies::Installing;
use super::environment::python_home;
use super::error::PythonError;
use super::lock::{self, Lock};
use super::package_client::PackageClient;
use super::pipfile::{self, PipfileLock};
use super::requirements::{self, Requirements};
use super::tool;
use super::uv::Uv;
use crate::difference::Packages;
use crate::log;

/// What the app's file asks for.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// requirements.txt
    Pip(Requirements),
    /// Pipfile.lock
    Pipenv(PipfileLock),
    /// poetry.lock
    Poetry(Lock),
    /// uv.lock
    Uv(Lock),
}

impl Wanted {
    /// Reads it.
    pub(crate) fn read(root: &Path, client: PackageClient) -> Result<Self, PythonError> {
        Ok(match client {
            PackageClient::Pip => Self::Pip(requirements::read(root, client.file())),
            PackageClient::Pipenv => Self::Pipenv(pipfile::read(root)?),
            PackageClient::Poetry => Self::Poetry(lock::read(root, client.file())?),
            PackageClient::Uv => Self::Uv(lock::read(root, client.file())?),
        })
    }

    /// The hash of what was read.
    pub(crate) fn fingerprint(&self) -> &str {
        match self {
            Self::Pip(requirements) => &requirements.fingerprint,
            Self::Pipenv(lock) => &lock.fingerprint,
            Self::Poetry(lock) | Self::Uv(lock) => &lock.fingerprint,
        }
    }

    /// The packages that it names.
    pub(crate) fn packages(&self) -> &Packages {
        match self {
            Self::Pip(requirements) => &requirements.packages,
            Self::Pipenv(lock) => &lock.packages,
            Self::Poetry(lock) | Self::Uv(lock) => &lock.packages,
        }
    }

    /// The hashes that the packages are locked to; lock files of tools that see to that themselves
    /// have none here.
    pub(crate) fn hashes(&self) -> Packages {
        match self {
            Self::Pip(requirements) => requirements.hashes.clone(),
            Self::Pipenv(lock) => lock.hashes.clone(),
            Self::Poetry(_) | Self::Uv(_) => Packages::new(),
        }
    }

    /// The Pythons that the app allows.
    pub(crate) fn requires_python(&self) -> Option<&str> {
        match self {
            Self::Poetry(lock) | Self::Uv(lock) => lock.requires_python.as_deref(),
            Self::Pip(_) | Self::Pipenv(_) => None,
        }
    }

    /// Why an unchanged file does not mean that nothing has to be installed.
    pub(crate) fn why_install_anyway(&self) -> Option<String> {
        let directories = match self {
            Self::Pip(requirements) => return requirements.uncacheable.clone(),
            Self::Pipenv(lock) => lock.installs_directories,
            Self::Poetry(lock) | Self::Uv(lock) => lock.installs_directories,
        };
        directories.then(|| "a directory of the app is one of the packages".to_owned())
    }

    /// Whether what is installed cannot be brought into step, and has to be made afresh.
    pub(crate) fn cannot_update(&self) -> bool {
        matches!(self, Self::Pip(requirements) if requirements.only_for_pip.is_some())
    }

    /// Installs into an environment that is empty, or that the last build left.
    pub(crate) fn install(
        &self,
        installing: &Installing,
        uv: &Uv,
        afresh: bool,
    ) -> Result<(), PythonError> {
        match self {
            Self::Pip(requirements) if requirements.only_for_pip.is_some() => {
                with_pip(installing, requirements)
            }
            Self::Pip(requirements) => with_uv_pip(installing, uv, requirements, afresh),
            Self::Pipenv(lock) => pipenv(installing, uv, lock, afresh),
            Self::Poetry(_) => poetry(installing, uv),
            Self::Uv(_) => uv_sync(installing, uv, afresh),
        }
    }
}

fn with_uv_pip(
    installing: &Installing,
    uv: &Uv,
    requirements: &Requirements,
    afresh: bool,
) -> Result<(), PythonError> {
    let shown = "uv pip install -r requirements.txt";
    log::heading(format!("Installing dependencies using '{shown}'"));
    let mut command = uv_pip_install(installing, uv, afresh);
    command.args(["-r", "requirements.txt"]);
    if !requirements.hashes.is_empty() {
        command.arg("--require-hashes");
    }
    if !afresh {
        command.arg("--exact");
        if requirements.hashes.is_empty() {
            // As if nothing were there yet: what is not pinned comes in its newest version.
            command.arg("--upgrade");
        }
    }
    if requirements.has_own_index {
        for name in ["UV_DEFAULT_INDEX", "UV_INDEX_URL"] {
            command.env_remove(name);
        }
    }
    installing.run_for_output(&mut command, shown).map(drop)
}

/// uv installs no editable packages from repositories.
fn with_pip(installing: &Installing, requirements: &Requirements) -> Result<(), PythonError> {
    let shown = "pip install -r requirements.txt";
    log::heading(format!("Installing dependencies using '{shown}'"));
    let line = requirements.only_for_pip.as_deref().unwrap_or_default();
    log::detail(format!("Using pip and not uv for: --editable {line}"));
    let mut command = Command::new(installing.interpreter());
    installing.environment.apply(&mut command);
    command.args(["-m", "pip", "install", "-r", "requirements.txt", "--exists-action=w"]);
    command.args(["--no-input", "--progress-bar", "off", "--disable-pip-version-check", "--src"]);
    command.arg(python_home(installing.call).join("src"));
    command.env("PIP_CACHE_DIR", installing.call.cache_dir.join("pip"));
    installing.run_for_output(&mut command, shown).map(drop)
}

/// `uv pip install` with pip's idea of several indexes: the best version of all of them.
fn uv_pip_install(installing: &Installing, uv: &Uv, afresh: bool) -> Command {
    let mut command = uv.command(installing.environment);
    command.args(["pip", "install", "--break-system-packages", "--python"]);
    command.arg(installing.interpreter());
    if installing.environment.get("UV_INDEX_STRATEGY").is_none() {
        command.env("UV_INDEX_STRATEGY", "unsafe-best-match");
    }
    compile_all_if(afresh, &mut command);
    command
}

/// uv compiles either everything that is there or nothing.
fn compile_all_if(afresh: bool, command: &mut Command) {
    command.env("UV_COMPILE_BYTECODE", if afresh { "1" } else { "0" });
}

fn pipenv(
    installing: &Installing,
    uv: &Uv,
    lock: &PipfileLock,
    afresh: bool,
) -> Result<(), PythonError> {
    let shown = "pipenv install --deploy";
    log::heading(format!("Installing dependencies as '{shown}' does, using uv"));
    let io = PythonError::io("write the requirements of Pipfile.lock");
    // Beside the Pipfile, as paths in it are relative to it; gone afterwards.
    let requirements = installing.call.build_dir.join(".slugline-pipfile-requirements.txt");
    fs_err::write(&requirements, &lock.requirements).map_err(&io)?;
    let mut command = uv_pip_install(installing, uv, afresh);
    command.args(["--exact", "--no-deps", "-r"]).arg(&requirements);
    if !lock.packages.is_empty() && lock.hashes.len() == lock.packages.len() {
        command.arg("--require-hashes");
    }
    set_indexes(installing, lock, &mut command);
    let installed = installing.run_for_output(&mut command, shown);
    fs_err::remove_file(&requirements).map_err(io)?;
    installed?;
    provide_pipenv(installing, uv)
}

/// The indexes that Pipfile.lock names, unless the operator says where the public one is to be had.
fn set_indexes(installing: &Installing, lock: &PipfileLock, command: &mut Command) {
    let get = |name: &str| installing.environment.get(name);
    let mirrored = ["UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"]
        .iter()
        .any(|name| get(name).is_some());
    for (position, index) in lock.indexes.iter().enumerate() {
        if index.name == "pypi" && mirrored {
            continue;
        }
        let option = if position == 0 { "--default-index" } else { "--index" };
        if position == 0 {
            command.env_remove("UV_DEFAULT_INDEX").env_remove("UV_INDEX_URL");
        }
        command.arg(option).arg(with_variables(&index.url, get));
    }
}

/// `https://${USER}:$PASSWORD@index.example`, as Pipenv expands it.
fn with_variables(text: &str, get: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, end) = if let Some(inner) = after.strip_prefix('{') {
            let length = inner.find('}').unwrap_or(inner.len());
            (&inner[..length], (length + 2).min(after.len()))
        } else {
            let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
            let end = end.unwrap_or(after.len());
            (&after[..end], end)
        };
        match get(name) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[at..=at + end]),
        }
        rest = &after[end..];
    }
    out + rest
}

/// An app that says `pipenv run` in its Procfile finds Pipenv in its slug, as on Heroku.
fn provide_pipenv(installing: &Installing, uv: &Uv) -> Result<(), PythonError> {
    let procfile = installing.call.build_dir.join("Procfile");
    let procfile = fs_err::read_to_string(procfile).unwrap_or_default();
    if !procfile.contains("pipenv ") {
        return Ok(());
    }
    let home = python_home(installing.call).join("pipenv");
    let base = match installing.runtime {
        super::runtime::Runtime::Stack { interpreter, .. } => interpreter.clone(),
        super::runtime::Runtime::Standalone { .. } => installing.interpreter(),
    };
    let program = tool::PIPENV.provide(&home, &base, uv, installing.environment)?;
    log::detail("Pipenv is part of the slug, for the Procfile");
    let link = installing.call.build_dir.join(".heroku/python/bin/pipenv");
    let make = || {
        crate::files::remove(&link)?;
        fs_err::os::unix::fs::symlink(&program, &link)
    };
    make().map_err(PythonError::io("link Pipenv into the slug"))
}

fn poetry(installing: &Installing, uv: &Uv) -> Result<(), PythonError> {
    let home = installing.call.cache_dir.join("poetry");
    let program = tool::POETRY.provide(
        &home.join("program"),
        &installing.base_interpreter(),
        uv,
        installing.environment,
    )?;
    let version = tool::POETRY.version(&home.join("program")).unwrap_or_default();
    log::heading(format!("Using Poetry {version}"));
    let shown = "poetry sync --only main";
    log::heading(format!("Installing dependencies using '{shown}'"));
    let mut command = Command::new(program);
    installing.environment.apply(&mut command);
    command.args(["sync", "--only", "main", "--compile", "--no-ansi", "--no-interaction"]);
    // Into the app's environment: Poetry takes an active one for its own.
    command.env("VIRTUAL_ENV", python_home(installing.call)).env_remove("PYTHONHOME");
    command.env("POETRY_VIRTUALENVS_CREATE", "false").env("POETRY_CACHE_DIR", home.join("cache"));
    installing.run_for_output(&mut command, shown).map(drop)
}

/// One run looks whether the lock file is in step and installs.
fn uv_sync(installing: &Installing, uv: &Uv, afresh: bool) -> Result<(), PythonError> {
    let shown = "uv sync --locked --no-default-groups";
    log::heading(format!("Installing dependencies using '{shown}'"));
    let mut command = uv.command(installing.environment);
    command.args(["sync", "--locked", "--no-default-groups"]);
    command.env("UV_PROJECT_ENVIRONMENT", python_home(installing.call));
    command.env("UV_PYTHON_DOWNLOADS", "never");
    compile_all_if(afresh, &mut command);
    installing.run_for_output(&mut command, shown).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_in_the_address_of_an_index_are_filled_in() {
        let get = |name: &str| (name == "TOKEN").then(|| "t0".to_owned());
        let check = |text: &str, expect: &str| assert_eq!(with_variables(text, get), expect);
        check("https://${TOKEN}:$TOKEN@index.example/a", "https://t0:t0@index.example/a");
        check("https://$OTHER@x/${OTHER}", "https://$OTHER@x/${OTHER}");
        check("plain", "plain");
        check("end$", "end$");
    }
}
