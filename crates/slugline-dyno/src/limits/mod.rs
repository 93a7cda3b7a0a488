//! What bounds a dyno: control groups where they can be had, else the limits that every process
//! has, and a look now and then.

mod census;
mod counts;
mod disk;
mod group;
mod hierarchy;
mod own;

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use slugline_model::dyno::{DynoId, DynoSpec};
use slugline_model::limits::Limits;
use slugline_model::resources::{Excess, Resource, Resources, next_look};

use crate::processes::Processes;
use crate::seen::Seen;
use census::Census;
use disk::{Disk, Doing};
pub use group::has_fair_disks;
pub(crate) use group::{Group, remove};
pub(crate) use own::{bound_command, yield_to_others};

/// How often a strict dyno is looked at for cheap things: how much of the disk is free, and whether
/// the kernel counted a limit as reached.
const STRICT_LOOK: Duration = Duration::from_millis(100);

/// How often processes of a strict dyno are counted, where the kernel does not.
const STRICT_CENSUS: Duration = Duration::from_millis(500);

/// How often it is said that a dyno is above its quota of memory. Heroku: 20 s.
const QUOTA_LOOK: Duration = Duration::from_secs(20);

/// Where the kernel cannot bound processes, those that have so many times as many as they may are
/// ended.
const TOO_MANY: u64 = 2;

/// What limits the memory and the processes of dynos on a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// A control group of the unified hierarchy.
    Unified,
    /// Control groups of the older kind.
    Older,
    /// Limits of each process, and counting.
    Rlimits,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mechanism::Unified => "a control group (v2)",
            Mechanism::Older => "control groups (v1)",
            Mechanism::Rlimits => "process limits, and a count twice a second",
        })
    }
}

/// Finds out what would limit a dyno here, by making its control groups and removing them.
/// `directory` is one of the caller's own, where nothing else is called `groups`.
pub fn mechanism(directory: &Path) -> Mechanism {
    let resources = Resources::of_build(&Limits::default());
    let mut group = Group::make(DynoId::from_u128(std::process::id().into()), directory);
    group.limit(&resources);
    let mechanism = group.mechanism();
    remove(directory);
    mechanism
}

/// What a look at a dyno found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// It has to be ended.
    Over {
        /// Why.
        excess: Excess,
        /// The directories that hold most, where it is about the disk.
        biggest: Vec<(String, u64)>,
    },
    /// It has so much memory (bytes), which is more than its quota, and may go on.
    AboveQuota(u64),
}

/// Watches one dyno.
pub(crate) struct Guard {
    resources: Resources,
    group: Group,
    processes: Option<Processes>,
    disk: Disk,
    seen: Seen,
    /// Readable when memory ran out in an older group, whose processes the kernel ends one by one.
    notice: Option<OwnedFd>,
    /// Time on processors at the last look.
    busy: Option<u64>,
    /// Memory as it was counted last, where the kernel does not.
    counted: u64,
    next_look: Instant,
    next_census: Instant,
    next_quota: Instant,
}

impl Guard {
    /// Watches a dyno, whose layer is below `disk`.
    pub(crate) fn new(spec: &DynoSpec, disk: &Path, group: Group, init: Pid) -> Self {
        let binds = spec.binds.iter().filter(|bind| bind.writable);
        let binds = binds.map(|bind| bind.from.clone());
        let here: Vec<PathBuf> = binds.filter(|bind| disk::are_together(bind, disk)).collect();
        // Not the overlay's own directory beside it, which is closed to everybody.
        let roots = std::iter::once(disk.join("layer")).chain(here).collect();
        let now = Instant::now();
        Self {
            resources: spec.resources,
            notice: group.out_of_memory_notice(),
            group,
            processes: Processes::of(init),
            disk: Disk::new(roots, spec.resources),
            seen: Seen::write_first(disk.parent(), init, spec.resources.memory),
            busy: None,
            counted: 0,
            next_look: now,
            next_census: now + STRICT_CENSUS,
            next_quota: now + QUOTA_LOOK,
        }
    }

    /// When it wants to look again.
    pub(crate) fn next_look(&self) -> Instant {
        let census = self.needs_census().then_some(self.next_census);
        let quota = (!self.resources.strict).then_some(self.next_quota);
        [census, quota].into_iter().flatten().fold(self.next_look, Instant::min)
    }

    /// The dyno's quota of memory (bytes).
    pub(crate) fn quota(&self) -> u64 {
        self.resources.memory
    }

    /// The dyno's directory.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.seen.directory()
    }

    /// Where room should be kept for what is to be told, if it should: the disk is running full.
    pub(crate) fn place_for_room(&self) -> Option<&Path> {
        self.seen.directory().filter(|_| self.disk.is_getting_low())
    }

    /// What becomes readable when it has to look at once.
    pub(crate) fn notice(&self) -> Option<&OwnedFd> {
        self.notice.as_ref()
    }

    /// What there is to say of the dyno, if anything. Does nothing before it is time.
    pub(crate) fn look(&mut self) -> Option<Finding> {
        let now = Instant::now();
        let noticed = self.was_noticed();
        if now < self.next_look() && !noticed {
            return None;
        }
        if now >= self.next_look || noticed {
            let found = self.told_by_the_kernel().or_else(|| self.look_at_disk());
            if found.is_some() {
                return found;
            }
        }
        if self.needs_census()
            && now >= self.next_census
            && let Some(excess) = self.count()
        {
            return Some(over(excess));
        }
        if now >= self.next_quota {
            self.next_quota = now + QUOTA_LOOK;
            return self.above_quota();
        }
        None
    }

    /// The same for a dyno that has ended: it may have gone beyond a limit since the last look.
    pub(crate) fn last_look(&mut self) -> Option<Finding> {
        let excess = self.told_by_the_kernel();
        excess.or_else(|| {
            let excess = self.disk.look(Doing::Ended)?;
            Some(Finding::Over { excess, biggest: self.disk.biggest() })
        })
    }

    /// The kernel tells of it before it has ended the first process.
    fn was_noticed(&mut self) -> bool {
        let Some(notice) = &self.notice else { return false };
        let noticed = rustix::io::read(notice, &mut [0; 8]).is_ok();
        if noticed {
            self.next_look = Instant::now();
        }
        noticed
    }

    fn told_by_the_kernel(&self) -> Option<Finding> {
        let Resources { memory, memory_kill, processes, strict, .. } = self.resources;
        if self.group.ran_out_of_memory() {
            let resource = Resource::Memory;
            return Some(over(Excess { resource, found: memory_kill, allowed: memory }));
        }
        let resource = Resource::Processes;
        let excess = Excess { resource, found: processes, allowed: processes };
        (strict && self.group.ran_out_of_processes()).then_some(over(excess))
    }

    fn look_at_disk(&mut self) -> Option<Finding> {
        let doing = if self.has_slept() { Doing::Nothing } else { Doing::Something };
        let found = self.disk.look(doing);
        self.seen.note_layer(self.disk.used());
        let next = self.disk.next_look(doing == Doing::Nothing);
        let next = if self.resources.strict { STRICT_LOOK } else { next };
        self.next_look = Instant::now() + next;
        found.map(|excess| Finding::Over { excess, biggest: self.disk.biggest() })
    }

    /// Whether it used no processor since the last look. Builds are not asked: they hardly sleep.
    fn has_slept(&mut self) -> bool {
        if self.resources.strict {
            return false;
        }
        let count = |processes: &Processes| Census::take(processes).ticks();
        let busy = self.group.cpu().map(|(used, _)| used);
        let busy = busy.or_else(|| self.processes.as_ref().map(count));
        let before = std::mem::replace(&mut self.busy, busy);
        busy.is_some() && busy == before
    }

    fn needs_census(&self) -> bool {
        !self.group.bounds_memory() || !self.group.bounds_processes()
    }

    /// Counts what no control group bounds.
    fn count(&mut self) -> Option<Excess> {
        let Resources { memory, memory_kill, strict, .. } = self.resources;
        let census = Census::take(self.processes.as_ref()?);
        let tasks = census.tasks();
        let found = if self.group.bounds_memory() { 0 } else { census.memory(memory) };
        let slept = self.counted == found;
        self.counted = found;
        let next = next_look(memory_kill.saturating_sub(found), slept);
        self.next_census = Instant::now() + if strict { STRICT_CENSUS } else { next };
        if found > memory_kill {
            return Some(Excess { resource: Resource::Memory, found, allowed: memory });
        }
        self.too_many(tasks)
    }

    fn too_many(&self, tasks: u64) -> Option<Excess> {
        let Resources { processes, strict, .. } = self.resources;
        // One that may start no more stays at its limit, but for those that end meanwhile.
        let too_many = if strict { tasks + 2 >= processes } else { tasks > processes * TOO_MANY };
        let resource = Resource::Processes;
        (too_many && !self.group.bounds_processes()).then_some(Excess {
            resource,
            found: tasks,
            allowed: processes,
        })
    }

    /// Whether it has more memory than its quota, as Heroku counts: without cache, since the kernel
    /// drops that when somebody needs the room.
    fn above_quota(&self) -> Option<Finding> {
        let Resources { memory, memory_kill, strict, .. } = self.resources;
        let used = self.group.memory().map_or(self.counted, |found| found.used());
        if strict || used <= memory {
            return None;
        }
        // Where memory and swap have a limit each, the sum has none.
        let excess = Excess { resource: Resource::Memory, found: used, allowed: memory };
        Some(if used > memory_kill { over(excess) } else { Finding::AboveQuota(used) })
    }
}

fn over(excess: Excess) -> Finding {
    Finding::Over { excess, biggest: Vec::new() }
}
