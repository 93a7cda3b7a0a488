//! The app's dependencies: what the last build left is restored, and only what is missing from it,
//! or superfluous, is installed or removed.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::bytecode;
use super::cache::{self, Key, Use};
use super::environment::{BuildEnvironment, python_home};
use super::error::PythonError;
use super::install::Wanted;
use super::package_client::PackageClient;
use super::requested::Requested;
use super::runtime::Runtime;
use super::specifier;
use super::uv::{self, Uv};
use crate::answers::Answers;
use crate::builtin::Call;
use crate::{files, log, program};

/// What all the steps of an installation know.
pub(crate) struct Installing<'a> {
    pub(crate) call: &'a Call,
    pub(crate) client: PackageClient,
    pub(crate) requested: &'a Requested,
    pub(crate) runtime: &'a Runtime,
    pub(crate) answers: &'a mut Answers,
    pub(crate) environment: &'a BuildEnvironment,
}

impl Installing<'_> {
    /// Fills `.heroku/python`.
    pub(crate) fn install(mut self) -> Result<(), PythonError> {
        let wanted = Wanted::read(&self.call.build_dir, self.client)?;
        self.check_range(&wanted)?;
        let key = self.key(&wanted);
        let tree = self.call.build_dir.join(".heroku/python");
        let last_tree = self.call.last_tree.as_deref();
        let restored = cache::restore(last_tree, &self.call.build_dir, &key)?;
        match (&restored, wanted.why_install_anyway()) {
            (Use::AsItIs, None) => return Ok(()),
            (Use::AsItIs, Some(why)) => log::detail(format!("Looking again all the same: {why}")),
            _ => {}
        }
        let uv = self.uv()?;
        let afresh = matches!(restored, Use::Nothing(_)) || wanted.cannot_update();
        if afresh {
            self.make_environment(&uv, &tree)?;
        }
        wanted.install(&self, &uv, afresh)?;
        if !afresh {
            let version = self.runtime.version();
            bytecode::compile_new_packages(self.call, self.environment, version)?;
        }
        if restored == Use::AsItIs {
            return Ok(());
        }
        cache::save(&self.call.cache_dir, &self.call.build_dir, &key)
    }

    fn uv(&mut self) -> Result<Uv, PythonError> {
        uv::find_or_install(self.call, self.environment, self.answers)
    }
}

/// What Heroku puts beside the packages of older Pythons, whose packages still import it.
const SETUPTOOLS: &str = "setuptools==70.3.0";

/// Newer ones come without.
const LAST_WITH_SETUPTOOLS: u32 = 12;

impl Installing<'_> {
    fn key(&self, wanted: &Wanted) -> Key {
        Key {
            python_version: self.runtime.version().to_string(),
            python_origin: self.runtime.origin(),
            file: self.client.file().to_owned(),
            fingerprint: wanted.fingerprint().to_owned(),
            packages: wanted.packages().clone(),
            hashes: wanted.hashes(),
            stack: std::env::var("STACK").unwrap_or_default(),
        }
    }

    /// uv and Poetry would say so too, but only after everything is fetched.
    fn check_range(&self, wanted: &Wanted) -> Result<(), PythonError> {
        let version = self.runtime.version();
        match wanted.requires_python() {
            Some(range) if specifier::contains(range, version) == Some(false) => {
                Err(PythonError::OutOfRange {
                    file: "pyproject.toml",
                    range: range.to_owned(),
                    version,
                    requested: *self.requested,
                })
            }
            _ => Ok(()),
        }
    }

    /// The interpreter of the app's environment.
    pub(crate) fn interpreter(&self) -> PathBuf {
        python_home(self.call).join("bin/python")
    }

    /// The interpreter that environments of other programs can stand on.
    pub(crate) fn base_interpreter(&self) -> PathBuf {
        match self.runtime {
            Runtime::Stack { interpreter, .. } => interpreter.clone(),
            Runtime::Standalone { from, .. } => from.join("bin/python3"),
        }
    }

    /// The interpreter, and what Heroku puts beside it, without any package of the app.
    fn make_environment(&self, uv: &Uv, tree: &Path) -> Result<(), PythonError> {
        match self.runtime {
            Runtime::Stack { interpreter, .. } => {
                let mut command = uv.command(self.environment);
                command.args(["venv", "--quiet", "--clear", "--python"]);
                command.arg(interpreter).arg(python_home(self.call));
                self.run(&mut command, "uv venv")?;
                mark_as_seeded(tree).map_err(PythonError::io("write pyvenv.cfg"))?;
            }
            Runtime::Standalone { from, .. } => {
                let copy = || files::remove(tree).and_then(|()| copy_runtime(from, tree));
                copy().map_err(PythonError::io("copy Python into the slug"))?;
            }
        }
        if self.client != PackageClient::Pip {
            return Ok(());
        }
        let mut command = uv.command(self.environment);
        command.args(["pip", "install", "--quiet", "--break-system-packages", "--python"]);
        command.arg(self.interpreter()).arg("pip");
        if self.runtime.version().minor <= LAST_WITH_SETUPTOOLS {
            command.arg(SETUPTOOLS);
        }
        self.run(&mut command, "uv pip install pip")
    }

    fn run(&self, command: &mut Command, shown: &str) -> Result<(), PythonError> {
        self.run_for_output(command, shown).map(drop)
    }

    /// Runs a package client in the app's root; the answer is the end of its output.
    pub(crate) fn run_for_output(
        &self,
        command: &mut Command,
        shown: &str,
    ) -> Result<String, PythonError> {
        command.current_dir(&self.call.build_dir);
        let ran =
            program::run_indented(command).map_err(PythonError::io("run the package client"))?;
        if ran.status.success() {
            return Ok(ran.output);
        }
        let file = self.client.file();
        if OUT_OF_STEP.iter().any(|words| ran.output.contains(words)) {
            let source_file = "pyproject.toml";
            return Err(PythonError::LockFile { file, source_file, output: ran.output });
        }
        Err(PythonError::Install { file, command: shown.to_owned(), status: ran.status })
    }
}

/// What uv and Poetry say of a lock file that does not lock what pyproject.toml asks for.
const OUT_OF_STEP: [&str; 2] =
    ["needs to be updated, but `--locked` was provided", "since poetry.lock was last generated"];

/// Tells uv that pip and setuptools are to stay when it removes what the app does not ask for.
fn mark_as_seeded(tree: &Path) -> io::Result<()> {
    let path = tree.join("pyvenv.cfg");
    let text = fs_err::read_to_string(&path)?;
    fs_err::write(&path, format!("{}\nseed = true\n", text.trim_end()))
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
