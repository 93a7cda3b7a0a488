//! A tar of what a dyno wrote, unpacked as it comes.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use slugline_model::ledger::{ChangeKind, Found, classify};

use super::place::{Incoming, Place, Placed, is_in_the_way};

/// What came.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    /// Files that were written.
    pub(super) written: u64,
    /// Their size.
    pub(super) bytes: u64,
    /// Files that were there already.
    pub(super) same: u64,
    /// What stays as it is, since something else is there.
    pub(super) in_the_way: Vec<PathBuf>,
    /// Files that nobody misses, and that were not asked for.
    pub(super) noise: u64,
}

/// Where what a dyno wrote outside of `/app` goes.
const OUTSIDE: &str = ".dyno";

/// Unpacks a tar. `all` takes what nobody misses, too: caches, sockets, temporary files.
pub(super) fn unpack(archive: impl Read, place: &Place, all: bool) -> io::Result<Unpacked> {
    let mut unpacked = Unpacked::default();
    let mut tar = tar::Archive::new(archive);
    for entry in tar.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let is_directory = entry.header().entry_type().is_dir();
        if !all && is_noise(&path, is_directory) {
            unpacked.noise += u64::from(!is_directory);
            continue;
        }
        let (to, size) = (destination(&path), entry.size());
        let placed = match put(place, &to, &mut entry) {
            Err(error) if is_in_the_way(&error) => Placed::InTheWay,
            other => other?,
        };
        if !is_directory || placed == Placed::InTheWay {
            unpacked.count(to, size, placed);
        }
    }
    place.sync()?;
    Ok(unpacked)
}

fn put<R: Read>(place: &Place, to: &Path, entry: &mut tar::Entry<'_, R>) -> io::Result<Placed> {
    let header = entry.header();
    let (size, mode) = (entry.size(), header.mode()?);
    let written = i64::try_from(header.mtime()?).unwrap_or(0);
    match header.entry_type() {
        // An empty one is worth having, too.
        tar::EntryType::Directory => place.directory(to).map(|_| Placed::Same),
        tar::EntryType::Symlink => {
            let target = entry.link_name()?.ok_or(io::ErrorKind::InvalidData)?.into_owned();
            place.link(to, &target)
        }
        tar::EntryType::Regular => place.file(to, Incoming { content: entry, size, mode, written }),
        other => Err(io::Error::other(format!("an entry of kind {other:?}"))),
    }
}

impl Unpacked {
    /// Whether nothing came at all.
    pub(super) fn is_empty(&self) -> bool {
        self.written == 0 && self.same == 0 && self.in_the_way.is_empty()
    }

    fn count(&mut self, path: PathBuf, bytes: u64, placed: Placed) {
        match placed {
            Placed::New => {
                self.written += 1;
                self.bytes += bytes;
            }
            Placed::Same => self.same += 1,
            Placed::InTheWay => self.in_the_way.push(path),
        }
    }
}

/// What nobody misses, and directories that no app made.
fn is_noise(path: &Path, is_directory: bool) -> bool {
    let slash = if is_directory { "/" } else { "" };
    let shown = format!("/{}{slash}", path.display());
    let found = Found { path: &shown, kind: ChangeKind::Created, bytes: 0, head: b"" };
    classify(&found, &[]).is_noise() || is_directory && !path.starts_with("app")
}

/// Where a path of a dyno goes: what lies in `/app` as it lies there.
fn destination(path: &Path) -> PathBuf {
    path.strip_prefix("app").map_or_else(|_| Path::new(OUTSIDE).join(path), Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tar::EntryType::{Directory, Regular, Symlink};

    fn archive(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, kind, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            // As a hostile server writes it, without the checks of those who mean well.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            let link = *kind == Symlink;
            if link {
                header.set_link_name(content).unwrap();
            }
            let content = if link { "" } else { content };
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append(&header, content.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn what_a_dyno_wrote_comes_back_without_noise_and_again() {
        let there = tempfile::tempdir().unwrap();
        let place = Place::open(there.path(), false).unwrap();
        let tar = archive(&[
            ("app", Directory, ""),
            ("app/media", Directory, ""),
            ("app/media/a.png", Regular, "picture"),
            ("app/latest", Symlink, "media/a.png"),
            ("app/x/__pycache__/a.pyc", Regular, "noise"),
            ("tmp", Directory, ""),
            ("tmp/x", Regular, "noise"),
            ("srv/data", Regular, "data"),
        ]);
        let first = unpack(tar.as_slice(), &place, false).unwrap();
        assert_eq!((first.written, first.same, first.noise), (3, 0, 2));
        let again = unpack(tar.as_slice(), &place, false).unwrap();
        assert_eq!((again.written, again.same, again.in_the_way.len()), (0, 3, 0));
        let read = |name: &str| std::fs::read(there.path().join(name)).unwrap();
        assert_eq!((read("latest"), read(".dyno/srv/data")), (b"picture".into(), b"data".into()));
        assert!(!there.path().join(".dyno/tmp").exists());
        assert_eq!(unpack(tar.as_slice(), &place, true).unwrap().written, 2);
        // Cut anywhere, it is an error.
        for end in (0..tar.len() - 1_024).step_by(300).skip(1) {
            let cut = unpack(&tar[..end], &place, true);
            assert!(cut.is_err() || end % 512 == 0, "{end}");
        }
    }

    #[test]
    fn nothing_is_written_outside_and_what_is_in_the_way_is_told() {
        for entries in [
            vec![("../escaped", Regular, "x")],
            vec![("app/../../escaped", Regular, "x")],
            vec![("app/x", tar::EntryType::Link, "")],
        ] {
            let there = tempfile::tempdir().unwrap();
            let place = Place::open(&there.path().join("in"), true).unwrap();
            assert!(unpack(archive(&entries).as_slice(), &place, true).is_err(), "{entries:?}");
            assert_eq!(std::fs::read_dir(there.path()).unwrap().count(), 1, "{entries:?}");
        }
        let there = tempfile::tempdir().unwrap();
        let place = Place::open(&there.path().join("in"), true).unwrap();
        let tar = archive(&[("app/l", Symlink, ".."), ("app/l/escaped", Regular, "x")]);
        let unpacked = unpack(tar.as_slice(), &place, true).unwrap();
        assert_eq!(unpacked.in_the_way, [Path::new("l/escaped")]);
        assert_eq!(std::fs::read_dir(there.path()).unwrap().count(), 1);
    }
}
