//! Writing an archive of a data directory whose server may run.
//!
//! The databases come first, each as it stands at one moment: whatever they name was there before
//! them, and the slug store removes nothing meanwhile.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt as _;
use rustix::fs::{FlockOperation, OFlags, flock};

use super::away::Away;
use super::kinds::{Kind, kind};
use super::{Amount, beside};

/// How much a second is worth: slugs are packed well already by being stored once.
const LEVEL: i32 = 1;

/// Writes everything into the archive, which is there as a whole or not at all.
pub(super) fn backup(data_dir: &Path, archive: &Path) -> io::Result<Amount> {
    let _held = Held::of(data_dir)?;
    let unfinished = beside(archive, ".unfinished");
    let written = to_file(data_dir, &unfinished).and_then(|amount| {
        fs_err::rename(&unfinished, archive)?;
        Ok(amount)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}

/// The same into a bucket.
pub(super) fn backup_away(data_dir: &Path, away: &Away, name: &str) -> io::Result<Amount> {
    let _held = Held::of(data_dir)?;
    away.put(name, |parts| write(data_dir, parts).map(|(amount, _)| amount))
}

/// As long as it is there, nothing goes that a backup may need.
struct Held(#[expect(dead_code, reason = "what is locked is open")] [Option<fs_err::File>; 3]);

impl Held {
    fn of(data_dir: &Path) -> io::Result<Self> {
        if !data_dir.join("state.sqlite3").is_file() {
            return Err(io::Error::other("no server keeps anything there"));
        }
        // No sweep begins as long as this is held.
        let store = fs_err::File::open(data_dir.join("store/lock"))?;
        flock(store.file(), FlockOperation::LockShared)?;
        // And no file of an object is removed.
        let mut options = fs_err::OpenOptions::new();
        let options = options.create(true).truncate(false).write(true);
        // A server of before may never have had any.
        let objects = options.open(data_dir.join("s3/lock")).ok();
        if let Some(objects) = &objects {
            flock(objects.file(), FlockOperation::LockShared)?;
        }
        // And git throws no object away.
        let git = options.open(data_dir.join("git/lock")).ok();
        if let Some(git) = &git {
            flock(git.file(), FlockOperation::LockShared)?;
        }
        Ok(Self([Some(store), objects, git]))
    }
}

fn to_file(data_dir: &Path, to: &Path) -> io::Result<Amount> {
    let mut options = fs_err::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true);
    let (amount, file) = write(data_dir, options.mode(0o600).open(to)?)?;
    file.sync_all()?;
    Ok(amount)
}

fn write<W: Write>(data_dir: &Path, to: W) -> io::Result<(Amount, W)> {
    let mut packed = zstd::Encoder::new(to, LEVEL)?;
    packed.include_checksum(true)?;
    let mut tar = tar::Builder::new(packed);
    tar.follow_symlinks(false);
    let mut archive = Archive { data_dir, tar, amount: Amount::default() };
    let mut kept = Vec::new();
    archive.databases(Path::new(""), &mut kept)?;
    for path in kept {
        archive.add(&path)?;
    }
    let to = archive.tar.into_inner()?.finish()?;
    Ok((archive.amount, to))
}

struct Archive<'a, W: Write> {
    data_dir: &'a Path,
    tar: tar::Builder<W>,
    amount: Amount,
}

impl<W: Write> Archive<'_, W> {
    /// Adds all databases below a directory, and collects what else is there.
    fn databases(&mut self, directory: &Path, kept: &mut Vec<PathBuf>) -> io::Result<()> {
        for entry in fs_err::read_dir(self.data_dir.join(directory))? {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            match (kind(&path), entry.file_type()?.is_dir()) {
                (Kind::Passing, _) => {}
                (Kind::Database, _) => self.database(&path)?,
                // Only where the server keeps databases is it looked for them.
                (Kind::Kept, true) if directory == Path::new("") && path == Path::new("s3") => {
                    self.databases(&path, kept)?;
                }
                (Kind::Kept, _) => kept.push(path),
            }
        }
        Ok(())
    }

    fn database(&mut self, path: &Path) -> io::Result<()> {
        let copies = tempfile::tempdir_in(self.data_dir)?;
        let copy = copies.path().join("copy");
        slugline_platform::copy_database(&self.data_dir.join(path), &copy)?;
        self.file(&copy, path)
    }

    /// Adds what has this name, and all that is below.
    fn add(&mut self, path: &Path) -> io::Result<()> {
        let from = self.data_dir.join(path);
        let metadata = match from.symlink_metadata() {
            Ok(metadata) => metadata,
            // A server that runs removes what it needs no more.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if metadata.is_dir() {
            self.tar.append_dir(path, &from)?;
            let below = fs_err::read_dir(&from)?.map(|entry| Ok(path.join(entry?.file_name())));
            for below in in_order(below.collect::<io::Result<_>>()?) {
                if kind(&below) != Kind::Passing {
                    self.add(&below)?;
                }
            }
            Ok(())
        } else if metadata.is_file() {
            self.file(&from, path)
        } else if metadata.is_symlink() {
            self.tar.append_path_with_name(&from, path)
        } else {
            // What marks a deleted file in a layer: the receipt knows that, too.
            Ok(())
        }
    }

    fn file(&mut self, from: &Path, path: &Path) -> io::Result<()> {
        let mut options = fs_err::OpenOptions::new();
        let options = options.read(true);
        // What was a file a moment ago may be a link by now.
        let flags = OFlags::NOFOLLOW.bits().cast_signed();
        let opened = options.custom_flags(flags).open(from);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let metadata = file.file().metadata()?;
        let mut header = tar::Header::new_gnu();
        header.set_metadata(&metadata);
        // A log may grow while it is read; what comes later is not part of this backup.
        let content = io::Read::take(file, metadata.len());
        self.tar.append_data(&mut header, path, Whole { content, left: metadata.len() })?;
        self.amount.files += 1;
        self.amount.bytes += metadata.size();
        Ok(())
    }
}

/// What a directory holds, objects of git last, and of git-lfs: what a ref names was there before it, so
/// no branch is copied without its objects. Nor is an index without its pack.
fn in_order(mut all: Vec<PathBuf>) -> Vec<PathBuf> {
    if !all.first().is_some_and(|path| path.starts_with("git")) {
        return all;
    }
    all.sort_by_key(|path| path.ends_with("objects") || path.ends_with("lfs"));
    let packs: Vec<PathBuf> = all.iter().filter(|path| is_pack(path)).cloned().collect();
    let has_pack = |path: &PathBuf| {
        let is_in_packs = path.parent().is_some_and(|parent| parent.ends_with("objects/pack"));
        !is_in_packs || packs.contains(&path.with_extension("pack"))
    };
    all.retain(has_pack);
    all
}

fn is_pack(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "pack")
}

/// Content of just the length that was promised: a file that was cut meanwhile ends with zeros.
struct Whole<R> {
    content: R,
    left: u64,
}

impl<R: io::Read> io::Read for Whole<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..room];
        let read = match self.content.read(buffer)? {
            0 => {
                buffer.fill(0);
                room
            }
            read => read,
        };
        self.left -= read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_git_come_after_the_refs_that_name_them() {
        let paths = |names: &[&str]| -> Vec<PathBuf> { names.iter().map(PathBuf::from).collect() };
        let mixed =
            ["git/1.git/lfs", "git/1.git/objects", "git/1.git/refs", "git/1.git/packed-refs"];
        let ordered =
            ["git/1.git/refs", "git/1.git/packed-refs", "git/1.git/lfs", "git/1.git/objects"];
        assert_eq!(in_order(paths(&mixed)), paths(&ordered));
        let packs = ["1.git/objects/pack/a.idx", "1.git/objects/pack/a.pack"];
        let packs = packs.map(|name| format!("git/{name}"));
        let mut all = paths(&[&packs[0], &packs[1]]);
        all.push("git/1.git/objects/pack/b.idx".into());
        assert_eq!(in_order(all), paths(&[&packs[0], &packs[1]]));
        assert_eq!(in_order(paths(&["store/objects", "store/slugs"])).len(), 2);
    }
}
