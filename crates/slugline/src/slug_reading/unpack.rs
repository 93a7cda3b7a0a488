//! A directory of a slug, unpacked where the user wants it.
//!
//! What comes is not trusted: names that climb are refused, and links are made last, so that no
//! path leads through one.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};

/// Makes a directory of a tar. Nothing may be there yet but an empty directory.
pub(super) fn directory(mut archive: File, destination: &Path) -> io::Result<()> {
    archive.rewind()?;
    let parent = destination.parent().filter(|parent| !parent.as_os_str().is_empty());
    let making = tempfile::Builder::new()
        .prefix(".slugline-")
        .tempdir_in(parent.unwrap_or(Path::new(".")))?;
    let new = making.path().join("new");
    std::fs::create_dir(&new)?;
    fill(&new, archive)?;
    // Takes the place of an empty directory, and of nothing else.
    std::fs::rename(&new, destination)
}

fn fill(new: &Path, archive: impl Read) -> io::Result<()> {
    let mut links: Vec<(PathBuf, PathBuf)> = Vec::new();
    let mut tar = tar::Archive::new(archive);
    for entry in tar.entries()? {
        let mut entry = entry?;
        let path = new.join(below(&entry.path()?)?);
        match entry.header().entry_type() {
            tar::EntryType::Directory => std::fs::create_dir(&path)?,
            tar::EntryType::Symlink => {
                let target = entry.link_name()?.ok_or(io::ErrorKind::InvalidData)?;
                links.push((target.into_owned(), path));
            }
            tar::EntryType::Regular => {
                let mode = if entry.header().mode()? & 0o100 == 0 { 0o644 } else { 0o755 };
                let mut options = std::fs::OpenOptions::new();
                let mut file = options.write(true).create_new(true).mode(mode).open(&path)?;
                io::copy(&mut entry, &mut file)?;
            }
            other => return Err(io::Error::other(format!("an entry of kind {other:?}"))),
        }
    }
    links.into_iter().try_for_each(|(target, path)| symlink(target, path))
}

fn below(path: &Path) -> io::Result<PathBuf> {
    let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    if plain && path.components().next().is_some() {
        return Ok(path.to_path_buf());
    }
    Err(io::Error::other(format!("the name {} leaves the directory", path.display())))
}

/// Makes a link, if nothing is there yet.
pub(super) fn link(target: &[u8], destination: &Path) -> io::Result<()> {
    symlink(std::ffi::OsStr::from_bytes(target), destination)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn archive(entries: &[(&str, tar::EntryType, &str)]) -> File {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            // As a hostile server writes it, without the checks of those who mean well.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            let content = if *kind == tar::EntryType::Symlink {
                header.set_link_name(content).unwrap();
                ""
            } else {
                content
            };
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append(&header, content.as_bytes()).unwrap();
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&tar.into_inner().unwrap()).unwrap();
        file
    }

    #[test]
    fn a_directory_is_made_whole_with_modes_and_links() {
        use tar::EntryType::{Directory, Regular, Symlink};
        let there = tempfile::tempdir().unwrap();
        let to = there.path().join("copy");
        let entries = [("bin", Directory, ""), ("bin/run", Regular, "x"), ("up", Symlink, "../y")];
        directory(archive(&entries), &to).unwrap();
        assert_eq!(std::fs::read(to.join("bin/run")).unwrap(), b"x");
        assert_eq!(std::fs::read_link(to.join("up")).unwrap(), Path::new("../y"));
        assert_eq!(std::fs::read_dir(there.path()).unwrap().count(), 1);
        assert!(directory(archive(&entries), &to).is_err(), "it is not overwritten");
    }

    #[test]
    fn nothing_is_written_outside() {
        use tar::EntryType::{Regular, Symlink};
        for entries in [
            vec![("../escaped", Regular, "x")],
            vec![("/tmp/escaped-slugline", Regular, "x")],
            vec![("a/../../escaped", Regular, "x")],
            vec![("link", Symlink, ".."), ("link/escaped", Regular, "x")],
            vec![("x", tar::EntryType::Link, "")],
        ] {
            let there = tempfile::tempdir().unwrap();
            assert!(directory(archive(&entries), &there.path().join("copy")).is_err());
            assert_eq!(std::fs::read_dir(there.path()).unwrap().count(), 0, "{entries:?}");
        }
    }
}
