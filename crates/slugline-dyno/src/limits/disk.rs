//! What a dyno has put on the disk.
//!
//! Asking the file system how much is free costs next to nothing, and is done often. Only when it
//! has lost a good part of what the dyno may have are the dyno's directories measured.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, StatVfs, statat, statvfs};
use slugline_model::resources::{Excess, Resource, disk_reserve};

/// A measurement is due when the file system has lost this part of the allowance.
const STEP: u64 = 8;

/// How deep and how many entries a measurement goes.
const DEEPEST: usize = 128;
const MOST_ENTRIES: u64 = 4_000_000;

/// How many files with several names are told apart.
const MOST_LINKED: usize = 1_000_000;

/// A measurement is also due after this time, or a hundred times as long as the last one took:
/// somebody else may have freed what the dyno took.
const AT_LEAST: Duration = Duration::from_secs(5);
const PATIENCE: u32 = 100;

/// Where the file system loses a lot, to others perhaps, measurements still leave time between them.
const HASTE: u32 = 10;

/// A watch over the directories that a dyno writes to.
pub(super) struct Disk {
    roots: Vec<PathBuf>,
    allowed: u64,
    reserve: u64,
    free_at_start: u64,
    free_when_measured: u64,
    measured: Instant,
    took: Duration,
}

impl Disk {
    /// Watches these directories, all on the first one's file system.
    pub(super) fn new(roots: Vec<PathBuf>, allowed: u64) -> Self {
        let found = roots.first().and_then(|root| statvfs(root).ok());
        let free = found.as_ref().map_or(0, free);
        Self {
            reserve: found.map_or(0, |found| disk_reserve(total(&found))),
            roots,
            allowed,
            free_at_start: free,
            free_when_measured: free,
            measured: Instant::now(),
            took: Duration::ZERO,
        }
    }

    /// What there is too much or too little of, if anything. Once the dyno has ended, nobody waits
    /// for a measurement that is not called for.
    pub(super) fn look(&mut self, ended: bool) -> Option<Excess> {
        let found = statvfs(self.roots.first()?).ok()?;
        let free = free(&found);
        let lost = self.free_when_measured.saturating_sub(free);
        self.free_when_measured = self.free_when_measured.max(free);
        let is_low = free < self.reserve;
        let since = self.measured.elapsed();
        let has_lost = lost > self.allowed / STEP;
        let is_due = if ended {
            has_lost
        } else {
            since > AT_LEAST.max(self.took * PATIENCE) || has_lost && since > self.took * HASTE
        };
        if is_low || is_due {
            self.free_when_measured = free;
            let used = self.measure(free);
            if used > self.allowed {
                let resource = Resource::Disk;
                return Some(Excess { resource, found: used, allowed: self.allowed });
            }
        }
        let resource = Resource::FreeDisk;
        is_low.then_some(Excess { resource, found: free, allowed: self.reserve })
    }

    /// Adds up what is in the directories (bytes). Where not all of it can be seen, what the file
    /// system has lost since the dyno's start counts if that is more.
    fn measure(&mut self, free: u64) -> u64 {
        let start = Instant::now();
        let mut measuring = Measuring { bytes: 0, entries: 0, all: true, linked: HashSet::new() };
        for root in &self.roots {
            match open(CWD, root) {
                Ok(directory) => measuring.directory(&directory, DEEPEST),
                Err(_) => measuring.all = false,
            }
        }
        self.measured = Instant::now();
        self.took = start.elapsed();
        let lost = self.free_at_start.saturating_sub(free);
        if measuring.all { measuring.bytes } else { measuring.bytes.max(lost) }
    }
}

struct Measuring {
    bytes: u64,
    entries: u64,
    /// Whether nothing was left out.
    all: bool,
    /// Files with several names that were met.
    linked: HashSet<(u64, u64)>,
}

impl Measuring {
    /// The tree changes meanwhile: what is gone is gone, and no link is followed.
    fn directory(&mut self, directory: &OwnedFd, depth: usize) {
        let Ok(entries) = Dir::read_from(directory) else {
            self.all = false;
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                self.all = false;
                return;
            }
            let Ok(stat) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if stat.st_nlink == 1 || self.is_new((stat.st_dev, stat.st_ino)) {
                self.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                match open(directory, name) {
                    Ok(below) if depth > 0 => self.directory(&below, depth - 1),
                    Err(rustix::io::Errno::NOENT) => {}
                    Ok(_) | Err(_) => self.all = false,
                }
            }
        }
    }

    /// Directories have several names too, and are met once.
    fn is_new(&mut self, file: (u64, u64)) -> bool {
        self.linked.len() >= MOST_LINKED || self.linked.insert(file)
    }
}

fn open(at: impl std::os::fd::AsFd, path: impl rustix::path::Arg) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    rustix::fs::openat(at, path, flags, Mode::empty())
}

/// What an ordinary user may still take (bytes).
fn free(found: &StatVfs) -> u64 {
    found.f_bavail.saturating_mul(found.f_frsize)
}

fn total(found: &StatVfs) -> u64 {
    found.f_blocks.saturating_mul(found.f_frsize)
}

/// Whether two paths are on one file system.
pub(super) fn are_together(one: &Path, other: &Path) -> bool {
    let device = |path: &Path| rustix::fs::stat(path).ok().map(|stat| stat.st_dev);
    device(one).is_some_and(|found| device(other) == Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(root: &Path) -> u64 {
        Disk::new(vec![root.to_owned()], 0).measure(u64::MAX)
    }

    #[test]
    fn a_file_with_two_names_counts_once_and_a_link_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(dir.path().join("outside"), vec![1; 500_000]).unwrap();
        std::os::unix::fs::symlink("../outside", root.join("link")).unwrap();
        let empty = used(&root);
        std::fs::write(root.join("a/b/file"), vec![1; 100_000]).unwrap();
        std::fs::hard_link(root.join("a/b/file"), root.join("again")).unwrap();
        let grown = used(&root) - empty;
        assert!((100_000..200_000).contains(&grown), "{grown}");
    }

    #[test]
    fn an_allowance_that_is_gone_is_told_at_the_first_look() {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = Disk::new(vec![dir.path().to_owned()], 1_000_000);
        disk.reserve = 0;
        assert_eq!(disk.look(false), None);
        std::fs::write(dir.path().join("file"), vec![1; 2_000_000]).unwrap();
        // Somebody else may have freed as much meanwhile.
        disk.measured = disk.measured.checked_sub(AT_LEAST).unwrap();
        let excess = disk.look(false).unwrap();
        assert_eq!((excess.resource, excess.allowed), (Resource::Disk, 1_000_000));
        assert!(excess.found >= 2_000_000, "{excess:?}");
    }

    #[test]
    fn what_lies_too_deep_is_judged_by_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        crate::discard::make_deep(dir.path(), DEEPEST + 10, "f");
        let mut disk = Disk::new(vec![dir.path().to_owned()], 1);
        let free = disk.free_at_start;
        assert_eq!(disk.measure(free - 12_345_678), 12_345_678.max(used(dir.path())));
        crate::discard::remove_tree(&dir.path().join("d")).unwrap();
    }
}
