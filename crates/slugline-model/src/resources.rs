//! What a dyno may use of its machine, and how it stands beside others.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::size::{count, human, slug_size};

/// The share of its machine that one dyno has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Memory (bytes): its quota. The dyno reads it where buildpacks look for it.
    pub memory: u64,
    /// Where more memory ends it (bytes). For a build that is the quota itself.
    #[serde(default = "unbounded")]
    pub memory_kill: u64,
    /// Processes and threads at a time.
    pub processes: u64,
    /// Open files of one process.
    pub open_files: u64,
    /// What its layer and its writable binds may hold (bytes).
    pub disk: u64,
    /// Its share of the processors and disks beside others (percent of the smallest size's).
    #[serde(default = "whole")]
    pub cpu_percent: u64,
    /// Who goes first.
    pub priority: Priority,
    /// Whether it is ended at its quota of memory and at its most processes, and when it leaves
    /// nothing of the disk to others. Builds are. Other dynos go on above their quota (R14), get
    /// EAGAIN for one process too many, and are ended for a full disk only if they filled it.
    pub strict: bool,
}

/// What a spec of before says of what it does not name.
fn unbounded() -> u64 {
    u64::MAX
}

fn whole() -> u64 {
    100
}

/// Who goes first where there is not enough for all: the server, then dynos, then builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// It serves, or prepares a release that will.
    Dyno,
    /// It can wait.
    Build,
}

impl Priority {
    /// The kernel's nice value: 19 waits for everybody. With 5, a build that competes with one busy
    /// dyno for a processor gets a quarter of it.
    pub fn nice(self) -> i32 {
        match self {
            Priority::Dyno => 0,
            Priority::Build => 5,
        }
    }

    /// Percent of the processor time that a control group has by default: the share of `nice`.
    pub fn cpu_percent(self) -> u64 {
        match self {
            Priority::Dyno => 100,
            Priority::Build => 33,
        }
    }

    /// What the kernel adds to a process's badness when memory is out: -1000 to 1000, the server
    /// has 0.
    pub fn oom_score(self) -> i32 {
        match self {
            Priority::Dyno => 200,
            Priority::Build => 800,
        }
    }
}

/// One of Heroku's sizes of dynos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DynoSize {
    /// As the API spells it.
    pub name: &'static str,
    /// Memory (bytes): beyond it R14 is logged.
    pub memory: u64,
    /// Beyond so many percent of it the dyno is ended, which is R15.
    pub memory_kill_percent: u64,
    /// Processes and threads at a time.
    pub processes: u64,
    /// Its share of the processor beside others (percent of the smallest size's). Heroku states
    /// such numbers loosely (`1x to 4x`); ours grow with the memory.
    pub cpu_percent: u64,
}

impl DynoSize {
    /// All of them, smallest first. Memory and processes are Heroku's; so is where R15 begins.
    pub const ALL: [DynoSize; 9] = [
        size("Eco", 512, 200, 256, 100),
        size("Basic", 512, 200, 256, 100),
        size("Standard-1X", 512, 200, 256, 100),
        size("Standard-2X", 1_024, 200, 512, 200),
        size("Performance-M", 2_560, 200, 16_384, 500),
        size("Performance-L", 14 * 1_024, 200, 32_768, 2_500),
        size("Performance-L-RAM", 30 * 1_024, 120, 32_768, 2_500),
        size("Performance-XL", 62 * 1_024, 120, 32_768, 5_000),
        size("Performance-2XL", 126 * 1_024, 120, 32_768, 10_000),
    ];

    /// What a dyno has that nobody resized.
    pub const BASIC: DynoSize = Self::ALL[1];

    /// The size of this name, in whatever case.
    pub fn named(name: &str) -> Option<DynoSize> {
        Self::ALL.into_iter().find(|size| size.name.eq_ignore_ascii_case(name))
    }
}

const fn size(
    name: &'static str,
    mebibytes: u64,
    memory_kill_percent: u64,
    processes: u64,
    cpu_percent: u64,
) -> DynoSize {
    DynoSize { name, memory: mebibytes << 20, memory_kill_percent, processes, cpu_percent }
}

impl Resources {
    /// Those of a dyno of this size. Heroku: 10,000 open files.
    pub fn of_dyno(size: DynoSize, limits: &Limits) -> Self {
        Self {
            memory: size.memory,
            memory_kill: size.memory * size.memory_kill_percent / 100,
            processes: size.processes,
            open_files: limits.open_files,
            disk: limits.dyno_disk,
            cpu_percent: size.cpu_percent,
            priority: Priority::Dyno,
            strict: false,
        }
    }

    /// Those of a build.
    pub fn of_build(limits: &Limits) -> Self {
        Self {
            memory: limits.build_memory,
            memory_kill: limits.build_memory,
            processes: limits.build_processes,
            open_files: limits.open_files,
            disk: limits.build_disk,
            cpu_percent: Priority::Build.cpu_percent(),
            priority: Priority::Build,
            strict: true,
        }
    }
}

/// Those of a dyno that nobody resized.
impl Default for Resources {
    fn default() -> Self {
        Self::of_dyno(DynoSize::BASIC, &Limits::default())
    }
}

/// What a dyno took too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Bytes of memory.
    Memory,
    /// Processes and threads.
    Processes,
    /// Bytes on the disk, in its layer and its writable binds.
    Disk,
    /// Bytes that are free on the disk for everybody: what was found is less than it must be.
    FreeDisk,
}

/// A limit that a dyno went beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excess {
    /// Of what.
    pub resource: Resource,
    /// How much there was when it was looked at.
    pub found: u64,
    /// How much there may be; of [`Resource::FreeDisk`], how much there must be.
    pub allowed: u64,
}

impl Excess {
    /// What was found, with its unit: `12.1GB`.
    pub fn found_text(&self) -> String {
        self.text(self.found)
    }

    /// What is allowed, with its unit.
    pub fn allowed_text(&self) -> String {
        self.text(self.allowed)
    }

    fn text(&self, amount: u64) -> String {
        match self.resource {
            Resource::Processes => format!("{} processes and threads", count(amount)),
            // As Heroku writes a dyno's memory: `512.0M`.
            Resource::Memory => slug_size(amount),
            Resource::Disk | Resource::FreeDisk => human(amount),
        }
    }
}

/// Whether a dyno is ended for what is on the disk: beyond its own allowance always, and where less
/// is free than must be, a strict one always, any other one if ending it frees more than is left.
/// So whoever filled the disk goes, and the innocent stay.
pub fn disk_excess(resources: &Resources, used: u64, free: u64, reserve: u64) -> Option<Excess> {
    let allowed = resources.disk;
    if used > allowed {
        return Some(Excess { resource: Resource::Disk, found: used, allowed });
    }
    let ends = free < reserve && (resources.strict || used > free);
    ends.then_some(Excess { resource: Resource::FreeDisk, found: free, allowed: reserve })
}

/// The most that a dyno is expected to take of memory or of a disk in a second (bytes).
const FASTEST: u64 = 1 << 30;

/// How soon, and how late, a dyno is looked at again.
const SOONEST: Duration = Duration::from_millis(100);
const LATEST: Duration = Duration::from_secs(4);

/// When to look again at what a dyno takes, where the kernel does not bound it: before it could have
/// taken `room` (bytes), later while it takes nothing, and never so often that many sleeping dynos
/// keep a machine awake.
pub fn next_look(room: u64, idle: bool) -> Duration {
    let time = Duration::from_millis(room.saturating_mul(1_000) / FASTEST).max(SOONEST);
    if idle { (time * 4).min(LATEST) } else { time.min(LATEST) }
}

/// How much of a file system must stay free for a strict dyno to go on (bytes): two percent, but
/// no more than 256 MiB. A small disk is not eaten up by the reserve, and on a large one there is
/// room for what the server has to write while the dyno is ended.
pub fn disk_reserve(file_system: u64) -> u64 {
    (file_system / 50).min(256 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_waits_and_dies_before_dynos_and_those_before_the_server() {
        let (dyno, build) = (Priority::Dyno, Priority::Build);
        assert!(build.nice() > dyno.nice() && dyno.nice() == 0);
        assert!(build.cpu_percent() < dyno.cpu_percent() && dyno.cpu_percent() == 100);
        assert!(build.oom_score() > dyno.oom_score() && dyno.oom_score() > 0);
    }

    #[test]
    fn the_reserve_is_small_on_a_small_disk_and_bounded_on_a_large_one() {
        assert_eq!(disk_reserve(100 << 20), 2 << 20);
        assert_eq!(disk_reserve(1 << 40), 256 << 20);
    }

    #[test]
    fn a_dyno_is_ended_where_its_size_says_and_a_build_at_its_quota() {
        let limits = Limits::default();
        let of = |name| Resources::of_dyno(DynoSize::named(name).unwrap(), &limits);
        assert_eq!(of("basic").memory_kill, 1 << 30);
        assert_eq!(of("performance-xl").memory_kill, of("performance-xl").memory * 120 / 100);
        let build = Resources::of_build(&limits);
        assert_eq!(build.memory_kill, build.memory);
    }

    #[test]
    fn whoever_filled_the_disk_goes_and_the_innocent_stay() {
        let dyno = Resources::default();
        let found = |resources: &Resources, used, free| {
            disk_excess(resources, used, free, 1_000).map(|excess| excess.resource)
        };
        assert_eq!(found(&dyno, dyno.disk + 1, u64::MAX), Some(Resource::Disk));
        assert_eq!(found(&dyno, dyno.disk, 1_000), None);
        assert_eq!(found(&dyno, 900, 999), None, "it took less than is left");
        assert_eq!(found(&dyno, 900, 800), Some(Resource::FreeDisk));
        let build = Resources::of_build(&Limits::default());
        assert_eq!(found(&build, 0, 999), Some(Resource::FreeDisk));
    }

    #[test]
    fn a_dyno_is_looked_at_before_it_can_take_what_it_has_and_rarely_while_it_sleeps() {
        assert_eq!(next_look(1 << 30, false), Duration::from_secs(1));
        assert_eq!(next_look(1 << 30, true), LATEST);
        assert_eq!(next_look(0, false), SOONEST);
        assert_eq!(next_look(u64::MAX, false), LATEST);
    }

    #[test]
    fn an_excess_is_told_with_its_unit() {
        let excess = |resource| Excess { resource, found: 1_200_000_000, allowed: 4_096 };
        assert_eq!(excess(Resource::Disk).found_text(), "1.2GB");
        assert_eq!(excess(Resource::Processes).allowed_text(), "4,096 processes and threads");
    }
}
