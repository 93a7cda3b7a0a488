//! Copies and removals of whole trees.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::thread;

/// How many files are copied at a time: the time goes into waiting for the file system.
const COPIERS: usize = 4;

/// What the kernel puts behind the name of a file that is gone.
const GONE: &str = " (deleted)";

/// Where this program lies. It is mounted into a build, and stays there when another version takes
/// its place on the machine meanwhile.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    let program = fs_err::read_link("/proc/self/exe")?;
    let before = program.to_str().and_then(|name| name.strip_suffix(GONE)).map(PathBuf::from);
    Ok(before.filter(|before| before.exists()).unwrap_or(program))
}

/// Copies a tree: directories, regular files with their mode, symbolic links as they are.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let mut regular = Vec::new();
    copy_all_but_files(from, to, &mut regular)?;
    let share = regular.len().div_ceil(COPIERS).max(1);
    thread::scope(|scope| {
        let copiers: Vec<_> =
            regular.chunks(share).map(|files| scope.spawn(|| copy_files(files))).collect();
        copiers.into_iter().try_for_each(|copier| {
            copier.join().unwrap_or_else(|_| Err(io::Error::other("a copier panicked")))
        })
    })
}

/// Makes the directories and links, and collects the regular files and where they go.
fn copy_all_but_files(
    from: &Path,
    to: &Path,
    regular: &mut Vec<(PathBuf, PathBuf)>,
) -> io::Result<()> {
    fs_err::create_dir_all(to)?;
    for entry in fs_err::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_all_but_files(&source, &target, regular)?;
        } else if kind.is_symlink() {
            fs_err::os::unix::fs::symlink(fs_err::read_link(&source)?, &target)?;
        } else if kind.is_file() {
            regular.push((source, target));
        }
    }
    Ok(())
}

fn copy_files(files: &[(PathBuf, PathBuf)]) -> io::Result<()> {
    files.iter().try_for_each(|(source, target)| fs_err::copy(source, target).map(drop))
}

/// Opens a file that anyone may have made: not by way of a link, and without waiting for a pipe.
pub(crate) fn open_strange(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// Removes whatever is at a path; nothing there is fine.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(found) if found.is_dir() => fs_err::remove_dir_all(path),
        _ => fs_err::remove_file(path),
    }
}

/// Writes a file by way of a neighbour, so that no reader ever sees half of it.
pub(crate) fn write_atomically(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    // Whatever a buildpack left at that name, a pipe that nobody reads even, goes first.
    remove(&partial)?;
    let mut file = fs_err::File::create_new(&partial)?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs_err::rename(&partial, path)
}

/// Makes a file executable for whoever may read it.
pub(crate) fn make_executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs_err::metadata(path)?.permissions().mode();
    let wanted = mode | ((mode & 0o444) >> 2) | 0o100;
    if mode == wanted {
        return Ok(());
    }
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_copied_with_modes_and_links() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs_err::create_dir_all(from.join("bin")).unwrap();
        fs_err::write(from.join("bin/run"), "x").unwrap();
        make_executable(&from.join("bin/run")).unwrap();
        fs_err::os::unix::fs::symlink("nowhere", from.join("dangling")).unwrap();
        copy_tree(&from, &to).unwrap();
        let mode = std::os::unix::fs::MetadataExt::mode(&to.join("bin/run").metadata().unwrap());
        assert_eq!(mode & 0o111, 0o111);
        assert_eq!(fs_err::read_link(to.join("dangling")).unwrap(), Path::new("nowhere"));
    }

    #[test]
    fn a_pipe_in_the_way_holds_up_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("result.json.partial");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        write_atomically(&dir.path().join("result.json"), b"{}").unwrap();
        assert_eq!(fs_err::read_to_string(dir.path().join("result.json")).unwrap(), "{}");
    }
}
