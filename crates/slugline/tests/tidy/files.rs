//! The repository's text files, as git knows them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A text file of the repository.
#[derive(Debug)]
pub(crate) struct File {
    /// From the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// Lines with their numbers, which count from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Whether its name ends so: `rs`, `md`.
    pub(crate) fn has_extension(&self, wanted: &[&str]) -> bool {
        let extension = Path::new(&self.path).extension().and_then(|e| e.to_str());
        extension.is_some_and(|e| wanted.contains(&e))
    }

    /// The last part of its path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// Every text file that git tracks or would track.
pub(crate) fn all() -> &'static [File] {
    static ALL: OnceLock<Vec<File>> = OnceLock::new();
    ALL.get_or_init(|| listed().into_iter().filter_map(read).collect())
}

/// One file that has to exist.
pub(crate) fn one(path: &str) -> File {
    let text = std::fs::read_to_string(root().join(path));
    File { path: path.to_owned(), text: text.unwrap_or_else(|error| panic!("{path}: {error}")) }
}

/// Whether a path from the root exists.
pub(crate) fn exists(path: &Path) -> bool {
    root().join(path).exists()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `-z`, because a name may hold anything; any owner, because a check-out may be somebody else's.
fn listed() -> Vec<String> {
    let args = ["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others"];
    let git = Command::new("git")
        .args(args)
        .arg("--exclude-standard")
        .current_dir(root())
        .output()
        .expect("git is on PATH");
    let said = String::from_utf8_lossy(&git.stderr);
    assert!(git.status.success(), "git ls-files: {said}");
    String::from_utf8_lossy(&git.stdout)
        .split_terminator('\0')
        .filter(|path| !path.starts_with("shared/"))
        .map(str::to_owned)
        .collect()
}

/// Nothing for a picture, and for a file that is deleted but still in git's index.
fn read(path: String) -> Option<File> {
    let text = std::fs::read_to_string(root().join(&path)).ok()?;
    Some(File { path, text })
}

#[cfg(test)]
pub(crate) fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned() }
}

#[test]
fn the_repository_is_read() {
    let paths: Vec<&str> = all().iter().map(|f| f.path.as_str()).collect();
    assert!(paths.contains(&"Cargo.toml"), "{paths:?}");
    assert!(paths.contains(&"crates/slugline-model/src/lib.rs"), "{paths:?}");
    assert!(!paths.iter().any(|p| p.starts_with("target/")));
}
