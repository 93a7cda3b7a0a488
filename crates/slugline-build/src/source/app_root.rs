//! Where the app is within its source: at the root, or in a directory of it.

use std::path::{Path, PathBuf};

use super::place::names;

/// What makes a directory look like an app's root.
const SIGNS: [&str; 6] =
    ["Procfile", "package.json", "requirements.txt", "uv.lock", "poetry.lock", "Pipfile.lock"];

/// A directory that the app cannot be in.
#[derive(Debug, thiserror::Error)]
#[error("find the app in {}: {reason}", root.display())]
pub struct AppRootError {
    /// As it was asked for.
    pub root: PathBuf,
    /// Why not.
    pub reason: &'static str,
}

/// The directory of a source that the app is in. No symbolic link leads there: the platform goes
/// the same way, outside of the sandbox.
pub(crate) fn app_root(source: &Path, root: &Path) -> Result<PathBuf, AppRootError> {
    let refused = |reason| AppRootError { root: root.to_owned(), reason };
    let names = names(root).map_err(|_| refused("it does not lie in the source"))?;
    let mut path = source.to_owned();
    for name in names {
        path.push(name);
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => {}
            Ok(found) if found.is_symlink() => {
                return Err(refused("a symbolic link is in its way"));
            }
            Ok(_) => return Err(refused("it is no directory")),
            Err(_) => return Err(refused("there is no such directory")),
        }
    }
    Ok(path)
}

/// The first directory in a source that looks like an app, for an author who forgot to name it.
pub(crate) fn app_inside(source: &Path) -> Option<String> {
    let entries = fs_err::read_dir(source).ok()?.flatten();
    let mut directories: Vec<_> =
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).collect();
    directories.sort_by_key(fs_err::DirEntry::file_name);
    let like_an_app =
        |entry: &fs_err::DirEntry| SIGNS.iter().any(|sign| entry.path().join(sign).is_file());
    directories.iter().find(|entry| like_an_app(entry))?.file_name().into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_is_below_its_source_or_nowhere() {
        let source = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(source.path().join("services/web")).unwrap();
        fs_err::write(source.path().join("services/web/Procfile"), "web: x").unwrap();
        fs_err::write(source.path().join("file"), "").unwrap();
        fs_err::os::unix::fs::symlink("services", source.path().join("link")).unwrap();
        let found = |root: &str| app_root(source.path(), Path::new(root));
        assert_eq!(found("").unwrap(), source.path());
        assert_eq!(found("./services/web/").unwrap(), source.path().join("services/web"));
        for (root, reason) in [
            ("..", "it does not lie in the source"),
            ("/etc", "it does not lie in the source"),
            ("link/web", "a symbolic link is in its way"),
            ("file", "it is no directory"),
            ("web", "there is no such directory"),
        ] {
            assert_eq!(found(root).unwrap_err().reason, reason, "{root}");
        }
        assert_eq!(app_inside(source.path()), None);
        assert_eq!(app_inside(&source.path().join("services")).as_deref(), Some("web"));
    }
}
