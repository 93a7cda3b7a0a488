//! Which tool an app's dependencies are written for.

use std::path::Path;

use super::error::PythonError;

/// The files that make an app a Python app.
pub(crate) const RECOGNISED: &[&str] =
    &["requirements.txt", "uv.lock", "poetry.lock", "Pipfile.lock", "Pipfile"];

/// A tool, by the file it reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PackageClient {
    /// requirements.txt
    Requirements,
    /// uv.lock and pyproject.toml
    UvLock,
}

impl PackageClient {
    /// The app's one tool. With several of their files it is a guess which one is kept up to date,
    /// so that is an error, as on Heroku.
    pub(crate) fn of(root: &Path) -> Result<Self, PythonError> {
        let lock_files = ["requirements.txt", "uv.lock", "poetry.lock", "Pipfile.lock"];
        let found: Vec<&'static str> =
            lock_files.into_iter().filter(|name| root.join(name).is_file()).collect();
        match found.as_slice() {
            ["requirements.txt"] => Ok(Self::Requirements),
            ["uv.lock"] => Ok(Self::UvLock),
            [] => Err(PythonError::NoDependencies),
            [only] => Err(PythonError::UnsupportedPackageClient { file: only }),
            several => Err(PythonError::SeveralPackageClients { files: several.to_vec() }),
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
        assert_eq!(of(&["requirements.txt"]).unwrap(), PackageClient::Requirements);
        assert_eq!(of(&["uv.lock", "pyproject.toml"]).unwrap(), PackageClient::UvLock);
    }

    #[test]
    fn none_several_or_another_tools_file_is_an_error() {
        assert!(matches!(of(&["Pipfile"]), Err(PythonError::NoDependencies)));
        assert!(matches!(
            of(&["poetry.lock"]),
            Err(PythonError::UnsupportedPackageClient { file: "poetry.lock" })
        ));
        assert!(matches!(
            of(&["requirements.txt", "uv.lock"]),
            Err(PythonError::SeveralPackageClients { .. })
        ));
    }
}
