//! Poetry and Pipenv: programs with environments of their own, apart from the app's.

use std::path::{Path, PathBuf};

use super::environment::BuildEnvironment;
use super::error::PythonError;
use super::uv::Uv;
use crate::{files, program};

/// A program that is installed from the package index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    /// As its makers call it.
    pub(crate) title: &'static str,
    /// The package, and the program in it.
    pub(crate) name: &'static str,
    /// Which versions will do.
    pub(crate) requirement: &'static str,
}

/// `poetry sync` came with 2.0.
pub(crate) const POETRY: Tool =
    Tool { title: "Poetry", name: "poetry", requirement: "poetry>=2.0,<3" };

/// For Procfiles that say `pipenv run`; nothing is installed with it.
pub(crate) const PIPENV: Tool =
    Tool { title: "Pipenv", name: "pipenv", requirement: "pipenv>=2024" };

impl Tool {
    /// The program below `home`: the one of an earlier build if it runs on the same interpreter,
    /// else a new one.
    pub(crate) fn provide(
        &self,
        home: &Path,
        interpreter: &Path,
        uv: &Uv,
        environment: &BuildEnvironment,
    ) -> Result<PathBuf, PythonError> {
        let program = home.join("bin").join(self.name);
        let made_with = home.join("made-with");
        // The place counts too: scripts name the interpreter of their environment by its full path.
        let key = format!("{}\n{}\n{}", self.requirement, interpreter.display(), home.display());
        let known = fs_err::read_to_string(&made_with).is_ok_and(|text| text == key);
        if known && program::is_executable(&program) {
            return Ok(program);
        }
        let io = PythonError::io("clear the cache");
        files::remove(home).map_err(&io)?;
        let mut venv = uv.command(environment);
        venv.args(["venv", "--quiet", "--python"]).arg(interpreter).arg(home);
        self.run(&mut venv)?;
        let mut install = uv.command(environment);
        install.args(["pip", "install", "--quiet", "--python"]).arg(home.join("bin/python"));
        install.arg(self.requirement);
        self.run(&mut install)?;
        fs_err::write(made_with, key).map_err(io)?;
        Ok(program)
    }

    fn run(&self, command: &mut std::process::Command) -> Result<(), PythonError> {
        // A Python that stands on its own names its home, which is not that of the tool.
        command.env_remove("PYTHONHOME");
        let ran = program::run_quietly(command).map_err(PythonError::io("run uv"))?;
        if ran.status.success() {
            Ok(())
        } else {
            Err(PythonError::Tool { tool: self.title, output: ran.output })
        }
    }

    /// `2.4.1`, read from the installed package.
    pub(crate) fn version(&self, home: &Path) -> Option<String> {
        let libraries = fs_err::read_dir(home.join("lib")).ok()?.flatten();
        let packages = libraries.map(|entry| entry.path().join("site-packages"));
        let names = packages.filter_map(|path| fs_err::read_dir(path).ok()).flatten().flatten();
        let mut names = names.filter_map(|entry| entry.file_name().into_string().ok());
        names.find_map(|name| {
            let rest = name.strip_prefix(self.name)?.strip_prefix('-')?;
            rest.strip_suffix(".dist-info").map(str::to_owned)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_installed_package() {
        let home = tempfile::tempdir().unwrap();
        let packages = home.path().join("lib/python3.11/site-packages");
        fs_err::create_dir_all(packages.join("poetry_core-2.1.0.dist-info")).unwrap();
        assert_eq!(POETRY.version(home.path()), None);
        fs_err::create_dir_all(packages.join("poetry-2.4.1.dist-info")).unwrap();
        assert_eq!(POETRY.version(home.path()).as_deref(), Some("2.4.1"));
    }
}
