//! Layers of dynos that are gone, kept for a while: `layers/ID` beside the directory of dynos.
//!
//! A layer gets there by a rename and leaves by one, so it is never there in part.

use std::ffi::CString;
use std::io::{Read as _, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, OFlags, Stat};
use slugline_model::dyno::DynoId;
use slugline_model::ledger::Tally;
use slugline_model::resources::disk_reserve;

use crate::discard::{self, entries};
use crate::op_error::{OpError, Operation};
use crate::walk::{Tree, open_below, walk};

/// So many times the reserve of the disk must be free for a layer to be kept.
const PLENTY: u64 = 4;

/// What begins the names of those that are being removed.
const GOING: &str = "going-";

/// Where layers are kept, seen from the directory of all dynos.
pub(crate) fn place(dynos: &Path) -> PathBuf {
    dynos.join("../layers")
}

/// Where the layer of the dyno would be kept whose directory this is.
pub(crate) fn of_dyno(dyno_directory: &Path, id: DynoId) -> PathBuf {
    place(&dyno_directory.join("..")).join(id.to_string())
}

/// Whether there is room to keep anything: on a disk that runs full, nobody is helped by it.
pub(crate) fn has_room(directory: &Path) -> bool {
    rustix::fs::statvfs(directory).is_ok_and(|found| {
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        bytes(found.f_bavail) > disk_reserve(bytes(found.f_blocks)).saturating_mul(PLENTY)
    })
}

/// The dynos whose layers are kept.
pub(crate) fn list(dynos: &Path) -> Result<Vec<DynoId>, OpError> {
    let entries = fs_err::read_dir(place(dynos)).op(|| "list the kept layers".to_owned())?;
    let names = entries.flatten().map(|entry| entry.file_name());
    Ok(names.filter_map(|name| name.to_str()?.parse().ok()).collect())
}

/// Removes a layer: from its new name on it is kept no more.
pub(crate) fn discard(dynos: &Path, id: DynoId) -> Result<(), OpError> {
    let (kept, going) = (place(dynos).join(id.to_string()), format!("{GOING}{id}"));
    let going = place(dynos).join(going);
    match fs_err::rename(&kept, &going) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).op(|| format!("put {} aside", kept.display()))?;
        }
        _ => {}
    }
    discard::remove_tree(&going)
}

/// Removes what an earlier server began to remove.
pub(crate) fn finish_discarding(dynos: &Path) {
    for entry in std::fs::read_dir(place(dynos)).into_iter().flatten().flatten() {
        if entry.file_name().as_bytes().starts_with(GOING.as_bytes()) {
            let _ = discard::remove_tree(&entry.path());
        }
    }
}

/// Writes a tar of what lies at or below these paths of a layer, or of all of it.
pub(crate) fn export(
    layer: &Path,
    tree: Tree,
    paths: &[String],
    out: &mut dyn Write,
) -> Result<Tally, OpError> {
    let root = tree.open_root(layer).op(|| format!("open {}", layer.display()))?;
    let mut export = Export { tar: tar::Builder::new(out), tally: Tally::default(), failed: None };
    if paths.is_empty() {
        export.below(root, tree, b"");
    } else {
        for path in paths {
            export.at(&root, tree, path.trim_matches('/'));
        }
    }
    let finished = match export.failed {
        Some(error) => Err(error),
        None => export.tar.finish(),
    };
    finished.op(|| "write the files of a layer".to_owned())?;
    Ok(export.tally)
}

struct Export<'a> {
    tar: tar::Builder<&'a mut dyn Write>,
    tally: Tally,
    /// Why the output takes no more.
    failed: Option<std::io::Error>,
}

impl Export<'_> {
    /// What lies at a path, and below it. Nothing there is fine.
    fn at(&mut self, root: &OwnedFd, tree: Tree, path: &str) {
        if path.is_empty() {
            let root = open_below(root, Path::new("."), OFlags::DIRECTORY | OFlags::RDONLY);
            return root.map_or((), |root| self.below(root, tree, b""));
        }
        let path = Path::new(path);
        if let Ok(directory) = open_below(root, path, OFlags::DIRECTORY | OFlags::RDONLY) {
            let prefix = [path.as_os_str().as_bytes(), b"/"].concat();
            return self.below(directory, tree, &prefix);
        }
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        let above = above.unwrap_or(Path::new("."));
        let directory = open_below(root, above, OFlags::DIRECTORY | OFlags::RDONLY);
        let name = path.file_name().and_then(|name| CString::new(name.as_bytes()).ok());
        if let (Ok(directory), Some(name)) = (directory, name)
            && let Ok(stat) = rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW)
        {
            self.entry(&directory, &name, &stat, path.as_os_str().as_bytes());
        }
    }

    fn below(&mut self, directory: OwnedFd, tree: Tree, prefix: &[u8]) {
        // What failed half-way is there as far as it went, as in a receipt.
        let _ = walk(directory, tree, &mut |directory, path| {
            let mut below = Vec::new();
            for (name, kind) in entries(directory).unwrap_or_default() {
                if self.failed.is_some() {
                    return Vec::new();
                }
                let full = [prefix, path, name.as_bytes()].concat();
                if let Ok(stat) = rustix::fs::statat(directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
                    self.entry(directory, &name, &stat, &full);
                }
                if kind == FileType::Directory {
                    below.push(name);
                }
            }
            below
        });
    }

    fn entry(&mut self, directory: &OwnedFd, name: &CString, stat: &Stat, path: &[u8]) {
        let written = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.append(path, stat, tar::EntryType::Directory, None),
            FileType::Symlink => match rustix::fs::readlinkat(directory, name, Vec::new()) {
                Ok(target) => {
                    let target =
                        Path::new(std::ffi::OsStr::from_bytes(target.as_bytes())).to_owned();
                    self.append(path, stat, tar::EntryType::Symlink, Some(&target))
                }
                Err(_) => Ok(()),
            },
            FileType::RegularFile => self.file(directory, name, path),
            _ => Ok(()),
        };
        if let Err(error) = written {
            self.failed = Some(error);
        }
    }

    /// As long as it was when it was opened, whatever becomes of it meanwhile. One that cannot be
    /// read is left out.
    fn file(&mut self, at: &OwnedFd, name: &CString, path: &[u8]) -> std::io::Result<()> {
        let Ok(file) =
            open_below(at, Path::new(std::ffi::OsStr::from_bytes(name.as_bytes())), OFlags::RDONLY)
        else {
            return Ok(());
        };
        let stat = rustix::fs::fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(());
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        let mut header = header(&stat, tar::EntryType::Regular, size);
        let content = std::fs::File::from(file).chain(std::io::repeat(0)).take(size);
        self.tar.append_data(&mut header, path_of(path), content)?;
        self.tally.files += 1;
        self.tally.bytes += size;
        Ok(())
    }

    fn append(
        &mut self,
        path: &[u8],
        stat: &Stat,
        kind: tar::EntryType,
        target: Option<&Path>,
    ) -> std::io::Result<()> {
        let mut header = header(stat, kind, 0);
        match target {
            Some(target) => {
                self.tally.files += 1;
                self.tar.append_link(&mut header, path_of(path), target)
            }
            None => self.tar.append_data(&mut header, path_of(path), std::io::empty()),
        }
    }
}

fn header(stat: &Stat, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(stat.st_mode & 0o777);
    header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
    header.set_size(size);
    header
}

fn path_of(path: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exported(layer: &Path, paths: &[&str]) -> Vec<(String, String)> {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let mut bytes = Vec::new();
        export(layer, Tree::Live, &paths, &mut bytes).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let read = |entry: std::io::Result<tar::Entry<'_, _>>| {
            let mut entry: tar::Entry<'_, &[u8]> = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (path, text)
        };
        let mut all: Vec<_> = archive.entries().unwrap().map(read).collect();
        all.sort();
        all
    }

    #[test]
    fn what_lies_at_or_below_a_path_is_exported_and_no_link_leads_out() {
        let dir = tempfile::tempdir().unwrap();
        let layer = dir.path().join("layer");
        std::fs::create_dir_all(layer.join("app/media/covers")).unwrap();
        std::fs::write(layer.join("app/media/covers/a"), "A").unwrap();
        std::fs::write(layer.join("app/db"), "D").unwrap();
        std::fs::write(dir.path().join("secret"), "S").unwrap();
        std::os::unix::fs::symlink(dir.path(), layer.join("app/out")).unwrap();
        let pair = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let covers = [pair("app/media/covers", ""), pair("app/media/covers/a", "A")];
        assert_eq!(exported(&layer, &["/app/media/"]), covers);
        assert_eq!(exported(&layer, &["/app/db"]), [pair("app/db", "D")]);
        assert_eq!(exported(&layer, &["/app/out/secret", "/../secret", "/none"]), []);
        assert_eq!(exported(&layer, &["/app/out"]), [pair("app/out", "")]);
        assert_eq!(exported(&layer, &[]).len(), 6);
    }

    #[test]
    fn a_layer_that_is_being_discarded_is_kept_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let dynos = dir.path().join("dynos");
        let id = DynoId::from_u128(7);
        std::fs::create_dir_all(&dynos).unwrap();
        std::fs::create_dir_all(place(&dynos).join(id.to_string()).join("app")).unwrap();
        std::fs::create_dir_all(place(&dynos).join("going-x/y")).unwrap();
        assert_eq!(list(&dynos).unwrap(), [id]);
        discard(&dynos, id).unwrap();
        discard(&dynos, id).unwrap();
        finish_discarding(&dynos);
        assert_eq!(std::fs::read_dir(place(&dynos)).unwrap().count(), 0);
    }
}
