//! Which tool an app's dependencies are written for.

use std::path::Path;

use super::error::PythonError;

/// The files that make an app a Python app. Heroku's list is longer than that of the files which are
/// installed from, so that who forgot one of those is told so.
const RECOGNISED: &[&str] = &[
    ".python-version",
    "Pipfile",
    "Pipfile.lock",
    "__init__.py",
    "app.py",
    "main.py",
    "manage.py",
    "pdm.lock",
    "poetry.lock",
    "pyproject.toml",
    "requirements.txt",
    "runtime.txt",
    "server.py",
    "setup.cfg",
    "setup.py",
    "uv.lock",
    "requeriments.txt",
    "requirement.txt",
    "requirements",
    "requirements.text",
    "Requirements.txt",
    "requirements.txt.txt",
    "requirments.txt",
    "__pycache__",
    ".venv",
    "venv",
];

/// Whether an app is a Python app.
pub(crate) fn recognises(root: &Path) -> bool {
    RECOGNISED.iter().any(|name| root.join(name).exists())
}

/// A tool, by the file that it installs from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackageClient {
    /// Pipfile.lock
    Pipenv,
    /// requirements.txt
    Pip,
    /// poetry.lock and pyproject.toml
    Poetry,
    /// uv.lock and pyproject.toml
    Uv,
}

impl PackageClient {
    const ALL: [Self; 4] = [Self::Pipenv, Self::Pip, Self::Poetry, Self::Uv];

    /// The file that it installs from.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Pipenv => "Pipfile.lock",
            Self::Pip => "requirements.txt",
            Self::Poetry => "poetry.lock",
            Self::Uv => "uv.lock",
        }
    }

    /// As its makers call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pipenv => "Pipenv",
            Self::Pip => "pip",
            Self::Poetry => "Poetry",
            Self::Uv => "uv",
        }
    }

    /// The app's one tool. With several of their files it is a guess which one is kept up to date,
    /// so that is an error, as on Heroku.
    pub(crate) fn of(root: &Path) -> Result<Self, PythonError> {
        let there = |name: &str| root.join(name).is_file();
        if there("Pipfile") && !there("Pipfile.lock") {
            return Err(PythonError::NoPipfileLock);
        }
        let found: Vec<Self> =
            Self::ALL.into_iter().filter(|client| there(client.file())).collect();
        match found.as_slice() {
            [only] => Ok(*only),
            [] => Err(PythonError::NoDependencies { has_setup_py: there("setup.py") }),
            _ => Err(PythonError::SeveralPackageClients { clients: found }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[&str]) -> Result<PackageClient, PythonError> {
        let root = tempfile::tempdir().unwrap();
        for name in files {
            fs_err::write(root.path().join(name), "").unwrap();
        }
        PackageClient::of(root.path())
    }

    #[test]
    fn one_file_decides() {
        assert_eq!(of(&["requirements.txt"]).unwrap(), PackageClient::Pip);
        assert_eq!(of(&["uv.lock", "pyproject.toml"]).unwrap(), PackageClient::Uv);
        assert_eq!(of(&["poetry.lock", "pyproject.toml"]).unwrap(), PackageClient::Poetry);
        assert_eq!(of(&["Pipfile", "Pipfile.lock"]).unwrap(), PackageClient::Pipenv);
    }

    #[test]
    fn none_several_or_half_is_an_error() {
        assert!(matches!(of(&["Pipfile"]), Err(PythonError::NoPipfileLock)));
        let none = of(&["setup.py"]);
        assert!(matches!(none, Err(PythonError::NoDependencies { has_setup_py: true })));
        let several = of(&["requirements.txt", "uv.lock"]);
        assert!(matches!(several, Err(PythonError::SeveralPackageClients { .. })));
    }
}
