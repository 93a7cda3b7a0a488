//! The processes of a dyno, as the kernel tells of them.
//!
//! The dyno's own `/proc` holds its processes and no others. Where it cannot be opened the
//! machine's is searched for all that descend from the dyno's init.

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, fstatfs, openat};
use rustix::process::Pid;

/// How much of a file is read (bytes): those that are read here are shorter.
const LONGEST: usize = 8 << 10;

/// The kind of a `/proc`: the kernel's `PROC_SUPER_MAGIC`.
const PROC_MAGIC: i64 = 0x9fa0;

/// How a link to a file of memory begins that has no name.
const NAMELESS: &[u8] = b"/memfd:";

/// Of so many open files it is asked what they are.
const MOST_FDS: usize = 10_000;

/// Where to look for a dyno's processes.
pub(crate) struct Processes {
    proc: OwnedFd,
    /// Whose descendants the dyno's processes are; none where there are no others.
    init: Option<u32>,
    /// The dyno's `/dev/shm`.
    shared: Option<OwnedFd>,
}

/// One process, from `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    parent: u32,
    /// `R` for one that runs or could.
    pub(crate) state: char,
    pub(crate) threads: u64,
    /// Those of files and shared ones among them.
    pub(crate) resident_pages: u64,
    /// Time on processors, its own and that of children that it has waited for (the kernel's
    /// ticks).
    pub(crate) ticks: u64,
}

impl Processes {
    /// Those of the dyno whose init this is, as the host counts.
    pub(crate) fn of(init: Pid) -> Option<Self> {
        let init = init.as_raw_nonzero().get().unsigned_abs();
        if let Some(inside) = Self::inside(init) {
            return Some(inside);
        }
        let proc = directory(CWD, "/proc").ok()?;
        let outside = Self { proc, init: Some(init), shared: None };
        // To an ordinary user init is closed, and what it started is open.
        let inside = outside.list().into_iter().find_map(|process| Self::inside(process.pid));
        Some(inside.unwrap_or(outside))
    }

    /// As one of the dyno's processes sees them.
    fn inside(pid: u32) -> Option<Self> {
        let proc = directory(CWD, &format!("/proc/{pid}/root/proc")).ok()?;
        // It may not have come to its root yet.
        let is_proc = fstatfs(&proc).is_ok_and(|found| found.f_type == PROC_MAGIC);
        let shared = directory(CWD, &format!("/proc/{pid}/root/dev/shm")).ok();
        (is_proc && is_of_one_dyno(&proc)).then_some(Self { proc, init: None, shared })
    }

    /// All of them.
    pub(crate) fn list(&self) -> Vec<Process> {
        let all: Vec<Process> =
            numbers(&self.proc, ".").into_iter().filter_map(|pid| self.process(pid)).collect();
        match self.init {
            None => all,
            Some(init) => descendants(init, all),
        }
    }

    fn process(&self, pid: u32) -> Option<Process> {
        parse(pid, &self.read(&format!("{pid}/stat"))?)
    }

    /// What a file of `/proc` holds, by its path from there.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = openat(&self.proc, path, flags, Mode::empty()).ok()?;
        let mut text = vec![0; LONGEST];
        let mut length = 0;
        while length < LONGEST {
            match rustix::io::retry_on_intr(|| rustix::io::read(&file, &mut text[length..])) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(_) => return None,
            }
        }
        text.truncate(length);
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// Where a link of `/proc` leads, as the kernel names it.
    pub(crate) fn link(&self, path: &str) -> Option<Vec<u8>> {
        let target = rustix::fs::readlinkat(&self.proc, path, Vec::new()).ok()?;
        Some(target.into_bytes())
    }

    /// What the files of its `/dev/shm` hold (bytes): memory, whether or not a process has it mapped.
    pub(crate) fn shared_files(&self) -> u64 {
        let found = self.shared.as_ref().and_then(|shared| rustix::fs::fstatvfs(shared).ok());
        found.map_or(0, |found| found.f_blocks.saturating_sub(found.f_bfree) * found.f_frsize)
    }

    /// What files of memory hold that have no name (bytes), each counted once. Of so many open files
    /// at most it is asked what they are.
    pub(crate) fn nameless_files(&self, all: &[Process]) -> u64 {
        let mut found = HashMap::new();
        let fds = all.iter().flat_map(|process| {
            let directory = format!("{}/fd", process.pid);
            let fds = numbers(&self.proc, &directory);
            fds.into_iter().map(move |fd| format!("{directory}/{fd}"))
        });
        for fd in fds.take(MOST_FDS) {
            let is_nameless = self.link(&fd).is_some_and(|target| target.starts_with(NAMELESS));
            let stat = || rustix::fs::statat(&self.proc, &fd, rustix::fs::AtFlags::empty()).ok();
            if let Some(stat) = is_nameless.then(stat).flatten() {
                let bytes = u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
                found.insert((stat.st_dev, stat.st_ino), bytes);
            }
        }
        found.values().sum()
    }

    /// The numbers of the threads of a process.
    pub(crate) fn threads(&self, pid: u32) -> Vec<u32> {
        numbers(&self.proc, &format!("{pid}/task"))
    }

    /// How many files a process has open. From Linux 6.2 on that is the size of the directory that
    /// lists them.
    pub(crate) fn open_files(&self, pid: u32) -> u64 {
        let path = format!("{pid}/fd");
        let stat = rustix::fs::statat(&self.proc, &path, rustix::fs::AtFlags::empty());
        match stat.map(|stat| u64::try_from(stat.st_size).unwrap_or(0)) {
            Ok(0) => numbers(&self.proc, &path).len() as u64,
            Ok(size) => size,
            Err(_) => 0,
        }
    }

    /// The sum of some lines of a process's file that count in kB (bytes).
    pub(crate) fn sum(&self, pid: u32, file: &str, lines: &[&str]) -> Option<u64> {
        let text = self.read(&format!("{pid}/{file}"))?;
        let value = |line: &str| {
            let rest = lines.iter().find_map(|name| line.strip_prefix(name))?;
            rest.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        };
        let values: Vec<u64> = text.lines().filter_map(value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<u64>() * 1_024)
    }
}

fn directory(at: impl std::os::fd::AsFd, path: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(at, path, flags, Mode::empty())
}

/// Whether a `/proc` is that of a namespace whose first process is a dyno's: the one that looks is
/// not in it.
fn is_of_one_dyno(proc: &OwnedFd) -> bool {
    rustix::fs::readlinkat(proc, "self", Vec::new()).is_err()
}

/// The entries of a directory whose names are numbers.
fn numbers(at: &OwnedFd, path: &str) -> Vec<u32> {
    let Ok(directory) = directory(at, path) else { return Vec::new() };
    let Ok(entries) = Dir::read_from(&directory) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| {
            matches!(entry.file_type(), FileType::Directory | FileType::Symlink | FileType::Unknown)
        })
        .filter_map(|entry| entry.file_name().to_str().ok()?.parse().ok())
        .collect()
}

fn descendants(init: u32, all: Vec<Process>) -> Vec<Process> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for process in &all {
        children.entry(process.parent).or_default().push(process.pid);
    }
    let mut found = HashSet::new();
    let mut ahead = vec![init];
    while let Some(pid) = ahead.pop() {
        if found.insert(pid) {
            ahead.extend(children.remove(&pid).unwrap_or_default());
        }
    }
    all.into_iter().filter(|process| found.contains(&process.pid)).collect()
}

/// Reads a line of `/proc/PID/stat`. The name in it may hold anything, a `)` even.
fn parse(pid: u32, stat: &str) -> Option<Process> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    Some(Process {
        pid,
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
        threads: number(17)?,
        resident_pages: number(21)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "7 (a) R 1 (b) S 5 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 99 1000 42 184467";
        let found = parse(7, stat).unwrap();
        assert_eq!((found.parent, found.state, found.threads), (5, 'S', 3));
        assert_eq!((found.resident_pages, found.ticks), (42, 5 + 6 + 7 + 8));
    }

    #[test]
    fn only_those_who_descend_from_init_are_of_the_dyno() {
        let of = |pid, parent| Process {
            pid,
            parent,
            state: 'S',
            threads: 1,
            resident_pages: 1,
            ticks: 0,
        };
        let all = vec![of(10, 1), of(11, 10), of(12, 11), of(20, 1)];
        let found: Vec<u32> = descendants(10, all).iter().map(|found| found.pid).collect();
        assert_eq!(found, [10, 11, 12]);
    }

    #[test]
    fn a_file_of_memory_without_a_name_is_counted_once() {
        let flags = rustix::fs::MemfdFlags::CLOEXEC;
        let file = rustix::fs::memfd_create("slugline-test", flags).unwrap();
        rustix::io::write(&file, &vec![1; 1 << 20]).unwrap();
        let again = file.try_clone().unwrap();
        let processes = Processes::of(rustix::process::getpid()).unwrap();
        let found = processes.nameless_files(&processes.list());
        assert!((1 << 20..2 << 20).contains(&found), "{found}");
        drop((file, again));
    }

    #[test]
    fn this_process_is_found_with_its_files_and_threads() {
        let own = rustix::process::getpid();
        let processes = Processes::of(own).unwrap();
        let pid = own.as_raw_nonzero().get().unsigned_abs();
        let listed = processes.list();
        assert!(listed.iter().any(|found| found.pid == pid && found.threads >= 1), "{listed:?}");
        assert!(processes.open_files(pid) >= 3);
        assert!(processes.threads(pid).contains(&pid) || !processes.threads(pid).is_empty());
        assert!(processes.sum(pid, "status", &["RssAnon:"]) > Some(0));
    }
}
