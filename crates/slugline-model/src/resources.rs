//! What a dyno may use of its machine, and how it stands beside others.

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::size::{count, human, slug_size};

/// The share of its machine that one dyno has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Memory (bytes). The dyno reads it where buildpacks look for it.
    pub memory: u64,
    /// Processes and threads at a time.
    pub processes: u64,
    /// Open files of one process.
    pub open_files: u64,
    /// What its layer and its writable binds may hold (bytes).
    pub disk: u64,
    /// Who goes first.
    pub priority: Priority,
    /// Whether the dyno is ended when it takes more memory, processes or disk than it may. Builds
    /// are. Dynos of the formation are not: there Heroku warns first (R14), and lets them swap.
    pub strict: bool,
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
            processes: size.processes,
            open_files: limits.open_files,
            disk: u64::MAX,
            priority: Priority::Dyno,
            strict: false,
        }
    }

    /// Those of a build.
    pub fn of_build(limits: &Limits) -> Self {
        Self {
            memory: limits.build_memory,
            processes: limits.build_processes,
            open_files: limits.open_files,
            disk: limits.build_disk,
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
    fn an_excess_is_told_with_its_unit() {
        let excess = |resource| Excess { resource, found: 1_200_000_000, allowed: 4_096 };
        assert_eq!(excess(Resource::Disk).found_text(), "1.2GB");
        assert_eq!(excess(Resource::Processes).allowed_text(), "4,096 processes and threads");
    }
}
