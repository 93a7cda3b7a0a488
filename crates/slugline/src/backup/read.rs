//! Making a data directory of an archive: as a whole or not at all.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use super::away::Away;
use super::{Amount, beside};
use crate::ledger::place::{Incoming, Place, Placed};

/// Of an archive that is a file.
pub(super) fn restore(archive: &Path, data_dir: &Path) -> io::Result<Amount> {
    restore_from(|| fs_err::File::open(archive), data_dir)
}

/// Of one that is in a bucket.
pub(super) fn restore_away(away: &Away, name: &str, data_dir: &Path) -> io::Result<Amount> {
    restore_from(|| away.get(name), data_dir)
}

/// Unpacks the archive beside the data directory, which must be empty or not there, and puts it in
/// its place.
fn restore_from<R: io::Read>(
    archive: impl FnOnce() -> io::Result<R>,
    data_dir: &Path,
) -> io::Result<Amount> {
    match std::fs::read_dir(data_dir).map(|mut entries| entries.next().is_none()) {
        Ok(true) => fs_err::remove_dir(data_dir)?,
        Ok(false) => return Err(io::Error::other("the data directory is not empty")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let unfinished = beside(data_dir, ".unfinished");
    let restored = archive().and_then(|archive| unpack(archive, &unfinished)).and_then(|amount| {
        fs_err::rename(&unfinished, data_dir)?;
        Ok(amount)
    });
    if restored.is_err() {
        let _ = std::fs::remove_dir_all(&unfinished);
    }
    restored
}

fn unpack(archive: impl io::Read, to: &Path) -> io::Result<Amount> {
    let packed = zstd::Decoder::new(archive)?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    let place = Place::open(to, false)?;
    let mut amount = Amount::default();
    let mut tar = tar::Archive::new(packed);
    for entry in tar.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let placed = put(&place, &path, &mut entry)?;
        if placed == Placed::InTheWay {
            let found = format!("the archive has {} twice", path.display());
            return Err(io::Error::other(found));
        }
        if entry.header().entry_type().is_file() {
            amount.files += 1;
            amount.bytes += entry.size();
        }
    }
    // Behind the last entry is the checksum of all.
    io::copy(&mut tar.into_inner(), &mut io::sink())?;
    if !to.join("state.sqlite3").is_file() {
        return Err(io::Error::other("the archive is no backup of a server"));
    }
    place.sync()?;
    Ok(amount)
}

fn put<R: io::Read>(
    place: &Place,
    path: &Path,
    entry: &mut tar::Entry<'_, R>,
) -> io::Result<Placed> {
    let header = entry.header();
    let (size, mode) = (entry.size(), header.mode()?);
    let written = i64::try_from(header.mtime()?).unwrap_or(0);
    match header.entry_type() {
        tar::EntryType::Directory => place.directory(path).map(|_| Placed::New),
        tar::EntryType::Symlink => {
            let target = entry.link_name()?.ok_or(io::ErrorKind::InvalidData)?.into_owned();
            place.link(path, &target)
        }
        tar::EntryType::Regular => {
            place.file(path, Incoming { content: entry, size, mode, written })
        }
        other => Err(io::Error::other(format!("an entry of kind {other:?}"))),
    }
}
