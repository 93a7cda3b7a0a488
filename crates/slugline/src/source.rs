//! A directory as a source: packed as Heroku's clients do, a gzip tar.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::errors::CommandError;

/// A directory, packed.
pub(crate) struct PackedSource {
    pub(crate) tgz: Vec<u8>,
    pub(crate) files: u64,
    /// The commit it stands on, with `-dirty` where it differs from it.
    pub(crate) version: Option<String>,
}

/// Packs a directory: in a git work tree what git knows and does not ignore, elsewhere all of it.
/// Either way without `.git`, and without the data directory, which holds secrets, should it lie in
/// there.
pub(crate) fn pack(directory: &Path, data_dir: &Path) -> Result<PackedSource, CommandError> {
    let error = |path: &Path| {
        let path = path.to_path_buf();
        move |source| CommandError::Source { path, source }
    };
    let metadata = fs_err::metadata(directory).map_err(error(directory))?;
    if !metadata.is_dir() {
        return Err(error(directory)(std::io::ErrorKind::NotADirectory.into()));
    }
    let data_dir = below(directory, data_dir);
    let paths = match git_paths(directory) {
        Some(paths) => paths,
        None => all_paths(directory).map_err(error(directory))?,
    };
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    archive.follow_symlinks(false);
    // The root itself comes first, so that an app with one top directory is not taken for an
    // archive of that directory.
    archive.append_dir("./", directory).map_err(error(directory))?;
    let mut files = 0;
    for path in paths {
        let full = directory.join(&path);
        let of_the_server = data_dir.as_ref().is_some_and(|data_dir| path.starts_with(data_dir));
        if of_the_server || !is_source(&full) {
            continue;
        }
        archive.append_path_with_name(&full, &path).map_err(error(&full))?;
        files += 1;
    }
    let finished = archive.into_inner().and_then(GzEncoder::finish).and_then(|mut tgz| {
        tgz.flush()?;
        Ok(tgz)
    });
    let tgz = finished.map_err(error(directory))?;
    Ok(PackedSource { tgz, files, version: git_version(directory) })
}

/// Whether something is there that a source can hold. What git tracks may be deleted since; a
/// socket or a pipe, which a program that runs has left there, is nobody's source.
fn is_source(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| {
        let kind = found.file_type();
        kind.is_file() || kind.is_dir() || kind.is_symlink()
    })
}

/// Where a path lies in a directory, if it does.
fn below(directory: &Path, path: &Path) -> Option<PathBuf> {
    let (directory, path) = (directory.canonicalize().ok()?, path.canonicalize().ok()?);
    path.strip_prefix(directory).ok().filter(|rest| !rest.as_os_str().is_empty()).map(Into::into)
}

/// What git prints; none if it failed, or is not there.
pub(crate) fn git(directory: &Path, args: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(args)
        .stderr(std::process::Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

/// What git tracks, and what it would add, below the directory. None outside a work tree, and
/// where the whole directory is ignored by the repository around it.
pub(crate) fn git_paths(directory: &Path) -> Option<Vec<PathBuf>> {
    use std::os::unix::ffi::OsStrExt as _;
    let listed = git(directory, &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
    let mut paths: Vec<PathBuf> = listed
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| PathBuf::from(std::ffi::OsStr::from_bytes(name)))
        .collect();
    paths.sort();
    paths.dedup();
    (!paths.is_empty()).then_some(paths)
}

fn git_version(directory: &Path) -> Option<String> {
    let commit = String::from_utf8(git(directory, &["rev-parse", "HEAD"])?).ok()?;
    Some(commit.trim().to_owned())
}

fn all_paths(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(below) = pending.pop() {
        for entry in fs_err::read_dir(directory.join(&below))? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            if path == Path::new(".git") {
                continue;
            }
            if entry.file_type()?.is_dir() {
                pending.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(tgz: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(tgz));
        let entries = archive.entries().unwrap();
        entries.map(|e| e.unwrap().path().unwrap().display().to_string()).collect()
    }

    #[test]
    fn a_plain_directory_is_packed_whole() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a b")).unwrap();
        std::fs::write(dir.path().join("a b/ü#"), "x").unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("link")).unwrap();
        // A running program's, or slugline's own.
        std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        std::fs::create_dir(dir.path().join("data")).unwrap();
        std::fs::write(dir.path().join("data/token"), "secret").unwrap();
        let packed = pack(dir.path(), &dir.path().join("data")).unwrap();
        assert_eq!((packed.files, packed.version), (2, None));
        assert_eq!(names(&packed.tgz), ["./", "a b/ü#", "link"]);
    }

    #[test]
    fn in_a_work_tree_what_git_ignores_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q"]).unwrap();
        for (name, text) in [(".gitignore", "*.log\n"), ("a.log", ""), ("new.txt", "x")] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        assert_eq!(
            names(&pack(dir.path(), Path::new("/none")).unwrap().tgz),
            ["./", ".gitignore", "new.txt"]
        );
    }

    #[test]
    fn a_file_is_no_source() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(pack(file.path(), file.path()), Err(CommandError::Source { .. })));
    }
}
