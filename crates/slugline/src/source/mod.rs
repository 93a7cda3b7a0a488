//! A directory as a source: packed as Heroku's clients do, a gzip tar.

mod git;
mod hooks;
mod lfs;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::errors::CommandError;

/// A directory, packed.
pub(crate) struct PackedSource {
    pub(crate) tgz: Vec<u8>,
    pub(crate) files: u64,
    /// The commit that the work tree stands on.
    pub(crate) version: Option<String>,
    /// Where the app is in it; empty for its top.
    pub(crate) root: PathBuf,
    /// What the author should know before the build, one line each.
    pub(crate) warnings: Vec<String>,
}

/// Packs a directory: in a git work tree what git knows and does not ignore, elsewhere all of it.
/// Either way without `.git`, and without the data directory, which holds secrets, should it lie in
/// there. `root` is where the app is in the source.
pub(crate) fn pack(
    directory: &Path,
    root: &Path,
    data_dir: &Path,
) -> Result<PackedSource, CommandError> {
    let error = |path: &Path| {
        let path = path.to_path_buf();
        move |source| CommandError::Source { path, source }
    };
    let metadata = fs_err::metadata(directory).map_err(error(directory))?;
    if !metadata.is_dir() {
        return Err(error(directory)(std::io::ErrorKind::NotADirectory.into()));
    }
    let data_dir = below(directory, data_dir);
    let mut warnings = Vec::new();
    let paths = match git::paths(directory) {
        Some(tracked) => {
            warnings.extend(tracked.empty_submodules.iter().map(|path| no_submodule(path)));
            warnings.extend(hooks::warnings(directory, root, &tracked.paths));
            tracked.paths
        }
        None => all_paths(directory).map_err(error(directory))?,
    };
    let mut large = lfs::Files::new(directory);
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
        match large.content_of(&path, &full) {
            Some(content) => append_content(&mut archive, &full, &path, &content),
            None => archive.append_path_with_name(&full, &path),
        }
        .map_err(error(&full))?;
        files += 1;
    }
    let finished = archive.into_inner().and_then(GzEncoder::finish).and_then(|mut tgz| {
        tgz.flush()?;
        Ok(tgz)
    });
    let tgz = finished.map_err(error(directory))?;
    warnings.extend(large.warning());
    Ok(PackedSource {
        tgz,
        files,
        version: git::version(directory),
        root: root.to_owned(),
        warnings,
    })
}

/// The branch that a directory stands on, and what its commit says; none outside a work tree of git.
pub(crate) fn branch(directory: &Path) -> Option<(String, String)> {
    git::branch(directory)
}

/// The paths of what [`pack`] would pack, and of what is not there any more.
pub(crate) fn paths(directory: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let failed = |source| CommandError::Source { path: directory.to_path_buf(), source };
    match git::paths(directory) {
        Some(tracked) => Ok(tracked.paths),
        None => all_paths(directory).map_err(failed),
    }
}

fn no_submodule(path: &Path) -> String {
    format!(
        "The submodule {} is empty here, and so it will be in the slug: \
         git submodule update --init --recursive",
        path.display()
    )
}

/// A file under its own name and mode, with another content.
fn append_content<W: std::io::Write>(
    archive: &mut tar::Builder<W>,
    full: &Path,
    path: &Path,
    content: &[u8],
) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_metadata(&fs_err::metadata(full)?);
    header.set_size(content.len() as u64);
    archive.append_data(&mut header, path, content)
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
        let packed = pack(dir.path(), Path::new(""), &dir.path().join("data")).unwrap();
        assert_eq!((packed.files, packed.version), (2, None));
        assert_eq!(names(&packed.tgz), ["./", "a b/ü#", "link"]);
    }

    #[test]
    fn in_a_work_tree_what_git_ignores_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        git::run(dir.path(), &["init", "-q"]).unwrap();
        for (name, text) in [(".gitignore", "*.log\n"), ("a.log", ""), ("new.txt", "x")] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        assert_eq!(
            names(&pack(dir.path(), Path::new(""), Path::new("/none")).unwrap().tgz),
            ["./", ".gitignore", "new.txt"]
        );
    }

    #[test]
    fn submodules_are_packed_with_what_is_in_them() {
        let dir = tempfile::tempdir().unwrap();
        let (inner, outer) = (dir.path().join("inner"), dir.path().join("outer"));
        for repository in [&inner, &outer] {
            std::fs::create_dir(repository).unwrap();
            std::fs::write(repository.join("file"), "x").unwrap();
            commit(repository);
        }
        let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add"];
        for name in ["vendor/one", "two"] {
            git::run(&outer, &[&add[..], &[inner.to_str().unwrap(), name]].concat()).unwrap();
        }
        commit(&outer);
        std::fs::write(outer.join("vendor/one/new"), "x").unwrap();
        git::run(&outer, &["submodule", "--quiet", "deinit", "two"]).unwrap();
        let packed = pack(&outer, Path::new(""), Path::new("/none")).unwrap();
        let names: Vec<_> = names(&packed.tgz).into_iter().filter(|n| n != "two/").collect();
        assert_eq!(names, ["./", ".gitmodules", "file", "vendor/one/file", "vendor/one/new"]);
        assert_eq!(packed.warnings.len(), 1);
        assert!(packed.warnings[0].contains("submodule two is empty"), "{:?}", packed.warnings);
    }

    fn commit(repository: &Path) {
        git::run(repository, &["init", "-q"]).unwrap();
        git::run(repository, &["add", "-A"]).unwrap();
        let who = ["-c", "user.name=a", "-c", "user.email=a@b.example"];
        git::run(repository, &[&who[..], &["commit", "-qm", "x"]].concat()).unwrap();
    }

    #[test]
    fn pointers_of_large_files_are_replaced_or_warned_about() {
        let dir = tempfile::tempdir().unwrap();
        let pointer = format!("{}\noid sha256:{}\nsize 12\n", lfs::VERSION, "a".repeat(64));
        std::fs::write(dir.path().join("big.bin"), pointer).unwrap();
        let packed = pack(dir.path(), Path::new(""), Path::new("/none")).unwrap();
        // The object exists nowhere, so that no client can fetch it.
        assert!(packed.warnings[0].contains("big.bin"), "{:?}", packed.warnings);
        assert!(packed.warnings[0].contains("git lfs"), "{:?}", packed.warnings);
    }

    #[test]
    fn large_files_are_fetched_from_where_git_lfs_keeps_them() {
        let dir = tempfile::tempdir().unwrap();
        let here = |name: &str| dir.path().join(name);
        std::fs::create_dir(here("work")).unwrap();
        git::run(dir.path(), &["init", "-q", "--bare", "remote"]).unwrap();
        git::run(&here("work"), &["init", "-q"]).unwrap();
        have_git_lfs(dir.path());
        git::run(&here("work"), &["lfs", "install", "--local"]).unwrap();
        git::run(&here("work"), &["lfs", "track", "*.bin"]).unwrap();
        std::fs::write(here("work/big.bin"), "the content").unwrap();
        commit(&here("work"));
        let remote = format!("file://{}", here("remote").display());
        git::run(&here("work"), &["push", "-q", &remote, "HEAD"]).unwrap();
        let skip = ["-c", "filter.lfs.smudge=", "-c", "filter.lfs.required=false"];
        git::run(dir.path(), &[&skip[..], &["clone", "-q", &remote, "clone"]].concat()).unwrap();
        let pointer = std::fs::read_to_string(here("clone/big.bin")).unwrap();
        assert!(pointer.starts_with(lfs::VERSION), "{pointer}");
        let packed = pack(&here("clone"), Path::new(""), Path::new("/none")).unwrap();
        assert_eq!(packed.warnings, [""; 0]);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&packed.tgz[..]));
        let mut entries = archive.entries().unwrap().map(Result::unwrap);
        let mut big = entries.find(|entry| entry.path().unwrap().ends_with("big.bin")).unwrap();
        let mut content = String::new();
        std::io::Read::read_to_string(&mut big, &mut content).unwrap();
        assert_eq!(content, "the content");
        assert_eq!(std::fs::read_to_string(here("clone/big.bin")).unwrap(), pointer);
    }

    /// On Debian, root installs it where it is missing.
    fn have_git_lfs(directory: &Path) {
        let there = || git::run(directory, &["lfs", "version"]).is_some();
        if !there() {
            let mut apt = std::process::Command::new("apt-get");
            let _ = apt.args(["install", "-q", "-y", "git-lfs"]).status();
        }
        assert!(there(), "git-lfs is missing (on Debian `sudo apt-get install git-lfs`)");
    }

    #[test]
    fn a_file_is_no_source() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(
            pack(file.path(), Path::new(""), file.path()),
            Err(CommandError::Source { .. })
        ));
    }
}
