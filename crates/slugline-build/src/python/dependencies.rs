//! The app's dependencies: restored if nothing changed, else installed.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cache::{self, Key};
use super::environment::{BuildEnvironment, python_home};
use super::error::PythonError;
use super::package_client::PackageClient;
use super::requirements::{self, Uncacheable};
use super::runtime::Runtime;
use super::uv::Uv;
use crate::builtin::Call;
use crate::{files, log, program};

/// Fills `.heroku/python`.
pub(crate) fn install(
    call: &Call,
    client: PackageClient,
    runtime: &Runtime,
    uv: &Uv,
    environment: &BuildEnvironment,
) -> Result<(), PythonError> {
    let installing = Installing { call, runtime, uv, environment };
    match client {
        PackageClient::Requirements => installing.requirements(),
        PackageClient::UvLock => installing.uv_lock(),
    }
}

struct Installing<'a> {
    call: &'a Call,
    runtime: &'a Runtime,
    uv: &'a Uv,
    environment: &'a BuildEnvironment,
}

impl Installing<'_> {
    fn requirements(&self) -> Result<(), PythonError> {
        let file = "requirements.txt";
        let key = requirements::fingerprint(&self.call.build_dir, file)
            .map(|dependencies| self.key(file, dependencies));
        if self.restored(file, &key)? {
            return Ok(());
        }
        self.make_environment()?;
        log::heading(format!("Installing dependencies using 'uv pip install -r {file}'"));
        let mut command = self.uv.command(self.environment);
        command.args(["pip", "install", "--break-system-packages", "--python"]);
        command.arg(python_home(self.call).join("bin/python")).args(["-r", file]);
        self.run(&mut command, file)?;
        self.save(&key)
    }

    /// The app itself may be one of the things installed, so that uv always has a look; with a
    /// restored environment it is done at once.
    fn uv_lock(&self) -> Result<(), PythonError> {
        let file = "uv.lock";
        let files = [file, "pyproject.toml"].map(|name| self.call.build_dir.join(name));
        let mut hasher = blake3::Hasher::new();
        for path in files {
            hasher.update(&fs_err::read(path).map_err(PythonError::io("read the lock file"))?);
        }
        let key = Ok(self.key(file, hasher.finalize().to_hex().to_string()));
        let restored = self.restored(file, &key)?;
        if !restored {
            self.make_environment()?;
        }
        self.check_lock()?;
        log::heading("Installing dependencies using 'uv sync --locked --no-default-groups'");
        let mut command = self.uv.command(self.environment);
        command.args(["sync", "--locked", "--no-default-groups"]);
        command.env("UV_PROJECT_ENVIRONMENT", python_home(self.call));
        command.env("UV_PYTHON_DOWNLOADS", "never");
        self.run(&mut command, file)?;
        if restored { Ok(()) } else { self.save(&key) }
    }

    fn check_lock(&self) -> Result<(), PythonError> {
        let mut command = self.uv.command(self.environment);
        command.args(["lock", "--check", "--python"]).arg(self.interpreter());
        command.current_dir(&self.call.build_dir);
        let checked =
            program::run_quietly(&mut command).map_err(PythonError::io("run uv lock --check"))?;
        if checked.status.success() {
            Ok(())
        } else {
            Err(PythonError::LockFile { output: checked.output })
        }
    }

    fn interpreter(&self) -> PathBuf {
        python_home(self.call).join("bin/python")
    }

    fn key(&self, file: &str, dependencies: String) -> Key {
        Key {
            python_version: self.runtime.version().to_string(),
            python_origin: self.runtime.origin(),
            dependencies,
            dependencies_file: file.to_owned(),
            uv: self.uv.version.clone(),
            stack: std::env::var("STACK").unwrap_or_default(),
        }
    }

    /// Restores the kept environment if it was made from the same things, and says why or why not.
    fn restored(&self, file: &str, key: &Result<Key, Uncacheable>) -> Result<bool, PythonError> {
        let cache_dir = &self.call.cache_dir;
        log::heading("Restoring cache");
        let reason = match (cache::read_key(cache_dir), key) {
            (_, Err(Uncacheable(why))) => format!("Dependencies are installed afresh: {why}"),
            (None, _) => "Nothing is cached yet".to_owned(),
            (Some(kept), Ok(now)) => {
                let Some(change) = kept.change(now) else {
                    cache::restore(cache_dir, &self.call.build_dir.join(".heroku/python"))?;
                    log::detail(format!("Restored dependencies from the cache: {file} unchanged"));
                    return Ok(true);
                };
                format!("Dependencies are installed afresh: {change}")
            }
        };
        log::detail(reason);
        Ok(false)
    }

    fn save(&self, key: &Result<Key, Uncacheable>) -> Result<(), PythonError> {
        match key {
            Ok(key) => {
                cache::save(&self.call.cache_dir, &self.call.build_dir.join(".heroku/python"), key)
            }
            Err(_) => Ok(()),
        }
    }

    /// An empty environment over the stack's interpreter, or the interpreter itself.
    fn make_environment(&self) -> Result<(), PythonError> {
        match self.runtime {
            Runtime::Stack { interpreter, .. } => {
                let mut command = self.uv.command(self.environment);
                command.args(["venv", "--quiet", "--seed", "--allow-existing", "--python"]);
                command.arg(interpreter).arg(python_home(self.call));
                self.run(&mut command, "uv venv")
            }
            Runtime::Standalone { from, .. } => {
                let home = self.call.build_dir.join(".heroku/python");
                copy_runtime(from, &home).map_err(PythonError::io("copy Python into the slug"))
            }
        }
    }

    fn run(&self, command: &mut Command, file: &str) -> Result<(), PythonError> {
        command.current_dir(&self.call.build_dir);
        let status = program::run_indented(command).map_err(PythonError::io("run uv"))?.status;
        if status.success() {
            Ok(())
        } else {
            Err(PythonError::Install { file: file.to_owned(), status })
        }
    }
}

/// The copy is the app's own: its hooks may install into it with pip.
fn copy_runtime(from: &Path, home: &Path) -> io::Result<()> {
    files::copy_tree(from, home)?;
    for library in fs_err::read_dir(home.join("lib"))? {
        let library = library?.path();
        if library.is_dir() {
            files::remove(&library.join("EXTERNALLY-MANAGED"))?;
        }
    }
    Ok(())
}
