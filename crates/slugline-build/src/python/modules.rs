//! What is importable, read from the file system: faster than asking the interpreter.

use std::path::PathBuf;

use crate::builtin::Call;

/// Whether a package is in the app's environment.
pub(crate) fn is_installed(call: &Call, name: &str) -> bool {
    site_packages(call).iter().any(|directory| directory.join(name).join("__init__.py").is_file())
}

/// Whether the environment may import from directories that `.pth` files name.
pub(crate) fn has_path_files(call: &Call) -> bool {
    let directories =
        site_packages(call).into_iter().filter_map(|path| fs_err::read_dir(path).ok());
    let names = directories.flatten().flatten().map(|entry| PathBuf::from(entry.file_name()));
    let mut path_files = names.filter(|name| name.extension().is_some_and(|end| end == "pth"));
    // The two that come with setuptools and virtual environments add no directory.
    path_files.any(|name| {
        let name = name.to_string_lossy();
        !name.starts_with("distutils-precedence") && !name.starts_with("_virtualenv")
    })
}

fn site_packages(call: &Call) -> Vec<PathBuf> {
    let library = call.build_dir.join(".heroku/python/lib");
    let Ok(entries) = fs_err::read_dir(library) else { return Vec::new() };
    let python = |name: &str| name.starts_with("python3");
    let named = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(python));
    named.map(|entry| entry.path().join("site-packages")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_and_path_files_are_found() {
        let root = tempfile::tempdir().unwrap();
        let call = Call { build_dir: root.path().to_owned(), ..Call::default() };
        assert!(!is_installed(&call, "django") && !has_path_files(&call));
        let packages = root.path().join(".heroku/python/lib/python3.11/site-packages");
        fs_err::create_dir_all(packages.join("django")).unwrap();
        fs_err::write(packages.join("distutils-precedence.pth"), "").unwrap();
        assert!(!is_installed(&call, "django") && !has_path_files(&call));
        fs_err::write(packages.join("django/__init__.py"), "").unwrap();
        fs_err::write(packages.join("__editable__.x.pth"), "").unwrap();
        assert!(is_installed(&call, "django") && has_path_files(&call));
    }
}
