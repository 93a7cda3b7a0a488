//! Image archives and OCI layouts on the client's side: a layout's directory goes out as an
//! archive, and comes in as one.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use slugline_store::archive::place;
use slugline_store::archive::read::{self, ArchiveError, Bounds, Kind};

use super::SlugExchangeError;

/// The server's own archives hold a handful of entries.
const ENTRIES: u64 = 10_000;

/// Gives a finished file its name. Nothing that is there already is replaced.
pub(super) fn publish(file: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map(drop).map_err(|error| error.error)
}

/// Unpacks an image archive as an OCI layout's directory, which is there whole or not at all.
pub(super) fn unpack(archive: &Path, to: &Path) -> Result<(), SlugExchangeError> {
    let error = |source| SlugExchangeError::Output { path: to.to_path_buf(), source };
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let new = tempfile::tempdir_in(parent.unwrap_or(Path::new("."))).map_err(error)?;
    let bytes = archive.metadata().map_err(error)?.len();
    let bounds = Bounds { entries: ENTRIES, bytes };
    let archive = File::open(archive).map_err(error)?;
    read::each(archive, bounds, |item| {
        let name = place::normal(&item.path).map_err(|why| broken(io::Error::other(why)))?;
        let name = String::from_utf8_lossy(&name).into_owned();
        // It is Docker's, and no part of a layout.
        if item.kind != Kind::File || name == "manifest.json" {
            return Ok(());
        }
        let path = new.path().join(name);
        let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        let copied = written.and_then(|()| File::create_new(&path)).and_then(|mut file| {
            io::copy(item.content, &mut file)?;
            file.flush()
        });
        copied.map_err(broken)
    })
    .map_err(|source| error(io::Error::other(source)))?;
    let new = new.keep();
    let open = std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o755));
    let renamed = open.and_then(|()| std::fs::rename(&new, to));
    if renamed.is_err() {
        let _ = std::fs::remove_dir_all(&new);
    }
    renamed.map_err(error)
}

fn broken(source: io::Error) -> ArchiveError {
    ArchiveError::Read { number: 0, source }
}

/// An OCI layout's directory as an archive, in a file without a name.
pub(super) fn pack(layout: &Path) -> io::Result<File> {
    let mut tar = tar::Builder::new(tempfile::tempfile()?);
    tar.follow_symlinks(true);
    for name in ["oci-layout", "index.json"] {
        tar.append_path_with_name(layout.join(name), name)?;
    }
    for algorithm in std::fs::read_dir(layout.join("blobs"))? {
        for blob in std::fs::read_dir(algorithm?.path())? {
            let path = blob?.path();
            let name: PathBuf = path.strip_prefix(layout).map_err(io::Error::other)?.into();
            tar.append_path_with_name(&path, name)?;
        }
    }
    tar.into_inner()
}

/// A value in a URL's query.
pub(super) fn percent(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}
