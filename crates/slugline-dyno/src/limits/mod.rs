//! What bounds a dyno: control groups where they can be had, else the limits that every process
//! has, and a look now and then.

mod census;
mod disk;
mod group;
mod hierarchy;
mod own;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use slugline_model::dyno::{DynoId, DynoSpec};
use slugline_model::limits::Limits;
use slugline_model::resources::{Excess, Resource, Resources};

use census::Census;
use disk::Disk;
pub(crate) use group::{Group, remove};
pub(crate) use own::{bound_command, yield_to_others};

/// How often the cheap things are looked at: how much of the disk is free, and whether the kernel
/// counted a limit as reached.
const LOOK: Duration = Duration::from_millis(100);

/// How often processes are counted, where the kernel does not.
const CENSUS: Duration = Duration::from_millis(500);

/// What limits the memory and the processes of builds on a machine.
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

/// Finds out what would limit a build here, by making its control groups and removing them.
/// `directory` is one of the caller's own, where nothing else is called `groups`.
pub fn mechanism(directory: &Path) -> Mechanism {
    let resources = Resources::of_build(&Limits::default());
    let group = Group::make(DynoId::from_u128(std::process::id().into()), &resources, directory);
    let mechanism = group.mechanism();
    remove(directory);
    mechanism
}

/// Watches one strict dyno.
pub(crate) struct Guard {
    resources: Resources,
    group: Group,
    init: Pid,
    disk: Disk,
    next_look: Instant,
    next_census: Instant,
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
            group,
            init,
            disk: Disk::new(roots, spec.resources.disk),
            next_look: now,
            next_census: now + CENSUS,
        }
    }

    /// When it wants to look again.
    pub(crate) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// What the dyno has too much of, if anything. Does nothing before it is time.
    pub(crate) fn look(&mut self) -> Option<Excess> {
        let now = Instant::now();
        if now < self.next_look {
            return None;
        }
        self.next_look = now + LOOK;
        let mut excess = self.told_by_the_kernel().or_else(|| self.disk.look(false));
        if now >= self.next_census {
            self.next_census = now + CENSUS;
            excess = excess.or_else(|| self.counted());
        }
        excess
    }

    /// The same for a dyno that has ended: it may have gone beyond a limit since the last look.
    pub(crate) fn last_look(&mut self) -> Option<Excess> {
        self.told_by_the_kernel().or_else(|| self.disk.look(true))
    }

    fn told_by_the_kernel(&self) -> Option<Excess> {
        let Resources { memory, processes, .. } = self.resources;
        if self.group.ran_out_of_memory() {
            return Some(Excess { resource: Resource::Memory, found: memory, allowed: memory });
        }
        let resource = Resource::Processes;
        let excess = Excess { resource, found: processes, allowed: processes };
        self.group.ran_out_of_processes().then_some(excess)
    }

    fn counted(&self) -> Option<Excess> {
        if self.group.bounds_memory() && self.group.bounds_processes() {
            return None;
        }
        let Resources { memory, processes, .. } = self.resources;
        let census = Census::take(self.init);
        // One that may start no more stays at its limit, but for those that end meanwhile.
        if !self.group.bounds_processes() && census.tasks + 2 >= processes {
            let resource = Resource::Processes;
            return Some(Excess { resource, found: census.tasks, allowed: processes });
        }
        let found = if self.group.bounds_memory() { 0 } else { census.memory(memory) };
        let resource = Resource::Memory;
        (found > memory).then_some(Excess { resource, found, allowed: memory })
    }
}
