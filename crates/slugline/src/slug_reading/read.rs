//! A slug read out of the local store.

use std::io::{Read, Seek as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use slugline_model::listing::{Item, Listing};
use slugline_model::port::ReadError;
use slugline_model::slug::SlugId;
use slugline_store::manifest::Entry;
use slugline_store::{FIXED_TIME, ObjectKey, Store, StoreError};

use crate::slugs::unread;

/// What a slug holds.
pub(crate) fn listing(store: &Store, id: &SlugId) -> Result<Listing, StoreError> {
    let manifest = store.manifest(id)?;
    let item = |entry| match entry {
        Entry::Directory => Item::Directory,
        Entry::File { object, size } => {
            Item::File { content: object.hash, executable: object.executable, size }
        }
        Entry::Symlink { target } => Item::Symlink { target },
    };
    let items = manifest.entries.into_iter().map(|(path, entry)| (path, item(entry)));
    Ok(Listing { process_types: manifest.process_types, items: items.collect() })
}

/// Opens an object whose content was checked just now.
pub(crate) fn open_whole(store: &Store, object: ObjectKey) -> Result<fs_err::File, ReadError> {
    let mut file = store.open_object(object).map_err(unread)?;
    let unreadable = |error: std::io::Error| ReadError(error.to_string());
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(unreadable)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        };
    }
    if *hasher.finalize().as_bytes() != object.hash {
        return Err(ReadError(format!("object {object} is damaged")));
    }
    file.rewind().map_err(unreadable)?;
    Ok(file)
}

/// Writes what lies below a directory of a slug as a tar, with paths from that directory on.
pub(crate) fn archive(
    store: &Store,
    id: &SlugId,
    directory: &[u8],
    out: &mut dyn Write,
) -> Result<(), ReadError> {
    let listing = listing(store, id).map_err(unread)?;
    let mut tar = tar::Builder::new(out);
    let start = if directory.is_empty() { 0 } else { directory.len() + 1 };
    for (path, item) in listing.below(directory) {
        append(store, &mut tar, as_path(&path[start..]), item)?;
    }
    tar.finish().map_err(|error| ReadError(error.to_string()))
}

fn append(
    store: &Store,
    tar: &mut tar::Builder<&mut dyn Write>,
    path: &Path,
    item: &Item,
) -> Result<(), ReadError> {
    let mut header = tar::Header::new_gnu();
    header.set_mtime(FIXED_TIME.into());
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(item.size());
    header.set_mode(0o755);
    let written = match item {
        Item::Directory => {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, path, std::io::empty())
        }
        Item::Symlink { target } => {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, path, as_path(target))
        }
        Item::File { content, executable, .. } => {
            let object = ObjectKey { hash: *content, executable: *executable };
            header.set_mode(if *executable { 0o755 } else { 0o644 });
            tar.append_data(&mut header, path, open_whole(store, object)?)
        }
    };
    written.map_err(|error| ReadError(error.to_string()))
}

fn as_path(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}
