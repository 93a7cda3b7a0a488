//! What a dyno has put on the disk.
//!
//! Asking the file system how much is free costs next to nothing, and is done often. Only when it
//! has lost a good part of what the dyno may have are the dyno's directories measured.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, StatVfs, statat, statvfs};
use slugline_model::resources::{Excess, Resources, disk_excess, disk_reserve, next_look};

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

/// So many times the reserve is little.
const LOW: u64 = 4;

/// Where the file system loses a lot, to others perhaps, measurements still leave time between them.
const HASTE: u32 = 10;

/// Of directories this deep at most it is told how much they hold, and of so many of them.
const TOLD: usize = 4;
const MOST_TOLD: usize = 3;

/// Files as large as this (bytes) are told like directories.
const LARGE: u64 = 16 << 20;

/// A directory that holds this part (percent) of what the one above it holds is told in its place.
const MOST_OF_IT: u64 = 80;

/// A watch over the directories that a dyno writes to.
pub(super) struct Disk {
    roots: Vec<PathBuf>,
    resources: Resources,
    reserve: u64,
    /// What they held when they were measured (bytes).
    used: u64,
    /// The largest directories of the layer then.
    biggest: Vec<(String, u64)>,
    free_at_start: u64,
    free_when_measured: u64,
    free_now: u64,
    measured: Instant,
    took: Duration,
}

impl Disk {
    /// Watches these directories, all on the first one's file system.
    pub(super) fn new(roots: Vec<PathBuf>, resources: Resources) -> Self {
        let found = roots.first().and_then(|root| statvfs(root).ok());
        let free = found.as_ref().map_or(0, free);
        Self {
            reserve: found.map_or(0, |found| disk_reserve(total(&found))),
            roots,
            resources,
            used: 0,
            biggest: Vec::new(),
            free_at_start: free,
            free_when_measured: free,
            free_now: free,
            measured: Instant::now(),
            took: Duration::ZERO,
        }
    }

    /// What there is too much or too little of, if anything. Once the dyno has ended, nobody waits
    /// for a measurement that is not called for, and one that did nothing wrote nothing.
    pub(super) fn look(&mut self, doing: Doing) -> Option<Excess> {
        let found = statvfs(self.roots.first()?).ok()?;
        let free = free(&found);
        self.free_now = free;
        let lost = self.free_when_measured.saturating_sub(free);
        self.free_when_measured = self.free_when_measured.max(free);
        let since = self.measured.elapsed();
        let has_lost = lost > self.resources.disk / STEP;
        let in_haste = since > self.took * HASTE;
        let is_low = free < self.reserve && (self.resources.strict || in_haste);
        let is_due = match doing {
            Doing::Ended => has_lost,
            Doing::Nothing => false,
            Doing::Something => since > AT_LEAST.max(self.took * PATIENCE) || has_lost && in_haste,
        };
        if !is_due && (!is_low || doing == Doing::Nothing) {
            return None;
        }
        self.free_when_measured = free;
        self.used = self.measure(free);
        disk_excess(&self.resources, self.used, free, self.reserve)
    }

    /// When to look again.
    pub(super) fn next_look(&self, idle: bool) -> Duration {
        let lost = self.free_when_measured.saturating_sub(self.free_now);
        let left = self.resources.disk.saturating_sub(self.used + lost);
        next_look(left.min(self.free_now.saturating_sub(self.reserve)), idle)
    }

    /// Whether so little is free that what is to be told of the dyno's end should have its room.
    pub(super) fn is_getting_low(&self) -> bool {
        self.free_now < self.reserve.saturating_mul(LOW)
    }

    /// What the directories held when they were measured (bytes).
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// The directories of the layer that held most then, as the dyno knows them.
    pub(super) fn biggest(&self) -> Vec<(String, u64)> {
        self.biggest.clone()
    }

    /// Adds up what is in the directories (bytes). Where not all of it can be seen, what the file
    /// system has lost since the dyno's start counts if that is more.
    fn measure(&mut self, free: u64) -> u64 {
        let start = Instant::now();
        let mut measuring = Measuring::default();
        for (place, root) in self.roots.iter().enumerate() {
            // The first one is the layer, whose paths the dyno knows.
            let path = (place == 0).then(String::new);
            match open(CWD, root) {
                Ok(directory) => {
                    measuring.directory(&directory, DEEPEST, path.as_deref());
                }
                Err(_) => measuring.incomplete = true,
            }
        }
        self.measured = Instant::now();
        self.took = start.elapsed();
        self.biggest = biggest(measuring.told);
        let lost = self.free_at_start.saturating_sub(free);
        if measuring.incomplete { measuring.bytes.max(lost) } else { measuring.bytes }
    }
}

/// What a dyno did since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// It used a processor, or may have.
    Something,
    /// It slept.
    Nothing,
    /// It has ended.
    Ended,
}

/// Those worth telling: where one directory holds most of another, only the deeper one.
fn biggest(mut told: Vec<(String, u64)>) -> Vec<(String, u64)> {
    told.sort_by(|(a_path, a), (b_path, b)| b.cmp(a).then_with(|| b_path.cmp(a_path)));
    let is_below = |path: &str, above: &str| {
        path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
    };
    let mut kept: Vec<(String, u64)> = Vec::new();
    for (path, bytes) in &told {
        let within = told.iter().any(|(other, held)| {
            is_below(other, path) && held.saturating_mul(100) >= bytes.saturating_mul(MOST_OF_IT)
        });
        let around = kept.iter().any(|(other, _)| is_below(path, other) || is_below(other, path));
        if !within && !around && kept.len() < MOST_TOLD {
            kept.push((path.clone(), *bytes));
        }
    }
    kept
}

#[derive(Default)]
struct Measuring {
    bytes: u64,
    entries: u64,
    /// Whether something was left out.
    incomplete: bool,
    /// Directories of the layer, with all that they hold.
    told: Vec<(String, u64)>,
    /// Files with several names that were met.
    linked: HashSet<(u64, u64)>,
}

impl Measuring {
    /// The tree changes meanwhile: what is gone is gone, and no link is followed.
    fn directory(&mut self, directory: &OwnedFd, depth: usize, path: Option<&str>) {
        let before = self.bytes;
        self.entries(directory, depth, path);
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            self.told.push((path.to_owned(), self.bytes - before));
        }
    }

    fn entries(&mut self, directory: &OwnedFd, depth: usize, path: Option<&str>) {
        let Ok(entries) = Dir::read_from(directory) else {
            self.incomplete = true;
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                self.incomplete = true;
                return;
            }
            let Ok(stat) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let bytes = u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
            if stat.st_nlink == 1 || self.is_new((stat.st_dev, stat.st_ino)) {
                self.bytes += bytes;
            }
            if let Some(path) = path.filter(|_| bytes >= LARGE) {
                self.told.push((format!("{path}/{}", name.to_string_lossy()), bytes));
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                let is_told = |path: &&str| path.matches('/').count() < TOLD;
                let path = path.filter(is_told);
                let path = path.map(|path| format!("{path}/{}", name.to_string_lossy()));
                match open(directory, name) {
                    Ok(below) if depth > 0 => self.directory(&below, depth - 1, path.as_deref()),
                    Err(rustix::io::Errno::NOENT) => {}
                    Ok(_) | Err(_) => self.incomplete = true,
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
    use slugline_model::resources::Resource;

    use super::*;

    fn disk(root: &Path, allowed: u64) -> Disk {
        Disk::new(vec![root.to_owned()], Resources { disk: allowed, ..Resources::default() })
    }

    fn used(root: &Path) -> u64 {
        disk(root, 0).measure(u64::MAX)
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
    fn an_allowance_that_is_gone_is_told_at_the_first_look_with_what_took_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut disk = disk(dir.path(), 1_000_000);
        disk.reserve = 0;
        assert_eq!(disk.look(Doing::Something), None);
        std::fs::create_dir_all(dir.path().join("app/media/covers")).unwrap();
        std::fs::write(dir.path().join("app/media/covers/one"), vec![1; 2_000_000]).unwrap();
        // Somebody else may have freed as much meanwhile.
        disk.measured = disk.measured.checked_sub(AT_LEAST).unwrap();
        assert_eq!(disk.look(Doing::Nothing), None, "one that sleeps writes nothing");
        let excess = disk.look(Doing::Something).unwrap();
        assert_eq!((excess.resource, excess.allowed), (Resource::Disk, 1_000_000));
        assert!(excess.found >= 2_000_000, "{excess:?}");
        let biggest = disk.biggest();
        assert_eq!(biggest.len(), 1, "{biggest:?}");
        assert_eq!(biggest[0].0, "/app/media/covers");
    }

    #[test]
    fn the_deepest_directory_that_holds_most_is_told() {
        let held = |path: &str, bytes| (path.to_owned(), bytes);
        let told = vec![
            held("/app", 1_000),
            held("/app/media", 700),
            held("/app/media/covers", 300),
            held("/app/cache", 290),
            held("/tmp", 500),
            held("/tmp/x", 490),
        ];
        let paths: Vec<String> = biggest(told).into_iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["/app", "/tmp/x"]);
    }

    #[test]
    fn what_lies_too_deep_is_judged_by_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        crate::discard::make_deep(dir.path(), DEEPEST + 10, "f");
        let mut disk = disk(dir.path(), 1);
        let free = disk.free_at_start;
        assert_eq!(disk.measure(free - 12_345_678), 12_345_678.max(used(dir.path())));
        crate::discard::remove_tree(&dir.path().join("d")).unwrap();
    }
}
