//! The control groups of one dyno: made before it starts, removed when it is gone.
//!
//! Only groups of our own are made, `slugline-ID` beside or below the server's. Their paths are
//! written into the dyno's directory before they are made, so that whoever buries the dyno finds
//! them, whatever became of its supervisor.

use std::io::ErrorKind;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::EventfdFlags;
use rustix::process::Pid;
use slugline_model::dyno::DynoId;
use slugline_model::resources::Resources;

use super::Mechanism;
use super::hierarchy::Hierarchy;
use crate::host;

/// The file in a dyno's directory that lists its control groups, a line each.
const RECORD: &str = "groups";

/// How long the last processes of a dead dyno may take to leave their group.
const REMOVE_TRIES: u32 = 500;
const REMOVE_PAUSE: Duration = Duration::from_millis(10);

/// The kernel's default weight of a unified group, and shares of an older one.
const WEIGHT: u64 = 100;
const SHARES: u64 = 1_024;

/// The most that BFQ takes as a weight.
const MOST_BFQ: u64 = 1_000;

/// The groups that hold a dyno; empty where none could be made.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// One of the unified hierarchy, which counts time and pressure even where all controllers are
    /// of the older kind.
    pub(super) watched: Option<PathBuf>,
    /// Whether that one has the controllers, too.
    pub(super) unified: bool,
    pub(super) memory: Option<PathBuf>,
    pids: Option<PathBuf>,
    cpu: Option<PathBuf>,
    pub(super) disk: Option<PathBuf>,
}

impl Group {
    /// Makes the groups of a dyno as far as this machine lets us. They limit nothing yet.
    pub(crate) fn make(id: DynoId, dyno_directory: &Path) -> Self {
        let hierarchy = Hierarchy::of_this_process();
        let record = dyno_directory.join(RECORD);
        let name = format!("slugline-{id}");
        if let Some(base) = unified_base(&hierarchy) {
            let group = base.join(&name);
            if write_record(&record, std::slice::from_ref(&group)) && made(&group) {
                return Self::of_unified(group);
            }
            remove(dyno_directory);
        }
        let watched = hierarchy.v2.as_ref().map(|(_, own)| own.join(&name));
        // The older ones can be handed to nobody but root.
        let older = |name| hierarchy.v1(name).filter(|_| host::is_host_root());
        let place = |controller| older(controller).map(|own| own.join(&name));
        let disk = place("blkio").filter(|_| has_fair_disks());
        let (memory, pids, cpu) = (place("memory"), place("pids"), place("cpu"));
        let all = [&watched, &memory, &pids, &cpu, &disk];
        let all: Vec<PathBuf> = all.into_iter().flatten().cloned().collect();
        if all.is_empty() || !write_record(&record, &all) {
            return Self::default();
        }
        let made = |place: Option<PathBuf>| place.filter(|group| made(group));
        let (watched, memory, pids) = (made(watched), made(memory), made(pids));
        Self { unified: false, watched, memory, pids, cpu: made(cpu), disk: made(disk) }
    }

    fn of_unified(group: PathBuf) -> Self {
        let group = Some(group);
        let [memory, pids, cpu, disk] = std::array::from_fn(|_| group.clone());
        Self { unified: true, watched: group, memory, pids, cpu, disk }
    }

    /// The groups that were made for a dyno before, by whoever.
    pub(crate) fn found(dyno_directory: &Path) -> Self {
        let mut found = Self::default();
        for group in recorded(&dyno_directory.join(RECORD)) {
            let has = |name: &str| group.join(name).exists();
            if has("memory.max") {
                return Self::of_unified(group);
            }
            let place = if has("cgroup.controllers") {
                &mut found.watched
            } else if has("memory.limit_in_bytes") {
                &mut found.memory
            } else if has("pids.max") {
                &mut found.pids
            } else if has("cpu.shares") {
                &mut found.cpu
            } else if has("cgroup.procs") {
                &mut found.disk
            } else {
                continue;
            };
            *place = Some(group);
        }
        found
    }

    /// Sets what the dyno may have; a group that refuses it counts as none from then on. May be
    /// called before and after a process has joined.
    pub(crate) fn limit(&mut self, resources: &Resources) {
        if self.unified {
            return self.limit_unified(resources);
        }
        // Where memory and swap are counted together, the sum is limited as memory alone is.
        let kill = resources.memory_kill;
        let memory = [("memory.limit_in_bytes", kill), ("memory.memsw.limit_in_bytes", kill)];
        let shares = SHARES * resources.cpu_percent / 100;
        let keep = |place: &mut Option<PathBuf>, files: &[(&str, u64)]| {
            *place = place.take().filter(|group| take(group, files));
        };
        keep(&mut self.memory, &memory);
        keep(&mut self.pids, &[("pids.max", resources.processes)]);
        keep(&mut self.cpu, &[("cpu.shares", shares)]);
        keep(&mut self.disk, &[("blkio.bfq.weight", disk_weight(resources).min(MOST_BFQ))]);
    }

    fn limit_unified(&mut self, resources: &Resources) {
        let Some(group) = &self.watched else { return };
        if !limit_unified(group, resources) {
            let watched = self.watched.take();
            *self = Self { watched, ..Self::default() };
        }
    }

    /// The group that a process can be cloned into.
    pub(crate) fn to_clone_into(&self) -> Option<OwnedFd> {
        let group = self.watched.as_ref()?;
        fs_err::File::open(group).ok().map(|directory| directory.into_parts().0.into())
    }

    /// Does without the one that a process cannot be cloned into.
    pub(crate) fn lose_unified(&mut self) {
        if let Some(group) = self.watched.take() {
            remove_group(&group);
        }
        if self.unified {
            *self = Self::default();
        }
    }

    /// Puts a process that was cloned elsewhere into the groups; those that refuse it count as
    /// none from then on. The first such group of a machine that was quiet takes about 10 ms, all
    /// others next to nothing.
    pub(crate) fn join(&mut self, pid: Pid) {
        if self.unified {
            return;
        }
        let pid = pid.as_raw_nonzero().to_string();
        for place in [&mut self.memory, &mut self.pids, &mut self.cpu, &mut self.disk] {
            let joined = |group: &PathBuf| {
                let joined = std::fs::write(group.join("cgroup.procs"), &pid).is_ok();
                if !joined {
                    remove_group(group);
                }
                joined
            };
            *place = place.take().filter(joined);
        }
    }

    /// Whether the kernel itself bounds memory.
    pub(crate) fn bounds_memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Whether the kernel itself bounds processes.
    pub(crate) fn bounds_processes(&self) -> bool {
        self.pids.is_some()
    }

    /// What makes the limits.
    pub(crate) fn mechanism(&self) -> Mechanism {
        match (self.unified, self.bounds_memory() && self.bounds_processes()) {
            (true, true) => Mechanism::Unified,
            (false, true) => Mechanism::Older,
            (_, false) => Mechanism::Rlimits,
        }
    }

    /// Whether memory ran out in the group, so that the kernel killed somebody in it.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let file = if self.unified { "memory.events" } else { "memory.oom_control" };
        self.memory.as_ref().is_some_and(|group| counted(&group.join(file), "oom_kill") > 0)
    }

    /// Something that becomes readable when memory runs out in the group. The unified one ends all
    /// processes at once and needs none.
    pub(crate) fn out_of_memory_notice(&self) -> Option<OwnedFd> {
        let group = self.memory.as_ref().filter(|_| !self.unified)?;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let notice = rustix::event::eventfd(0, flags).ok()?;
        let control = std::fs::File::open(group.join("memory.oom_control")).ok()?;
        let words = format!("{} {}", notice.as_raw_fd(), control.as_raw_fd());
        std::fs::write(group.join("cgroup.event_control"), words).ok()?;
        Some(notice)
    }

    /// Whether a process could not be started because there were too many.
    pub(crate) fn ran_out_of_processes(&self) -> bool {
        self.pids.as_ref().is_some_and(|group| counted(&group.join("pids.events"), "max") > 0)
    }
}

/// Removes the groups of a dyno whose processes are gone or going, if it has any.
pub(crate) fn remove(dyno_directory: &Path) {
    let record = dyno_directory.join(RECORD);
    for group in recorded(&record) {
        remove_group(&group);
    }
    let _ = std::fs::remove_file(record);
}

fn recorded(record: &Path) -> Vec<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let list = std::fs::read(record).unwrap_or_default();
    let lines = list.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| PathBuf::from(std::ffi::OsString::from_vec(line.to_vec()))).collect()
}

fn remove_group(group: &Path) {
    for _ in 0..REMOVE_TRIES {
        match std::fs::remove_dir(group) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                std::thread::sleep(REMOVE_PAUSE);
            }
            _ => return,
        }
    }
}

fn write_record(record: &Path, groups: &[PathBuf]) -> bool {
    let lines = groups.iter().map(|group| group.as_os_str().as_bytes());
    let text: Vec<u8> = lines.flat_map(|line| [line, b"\n"].concat()).collect();
    std::fs::write(record, text).is_ok()
}

/// Where unified groups can be made that bound memory and processes. A group with processes cannot
/// hand controllers on to groups below it, so ours lies beside the server's own, unless that one
/// is the root of all.
fn unified_base(hierarchy: &Hierarchy) -> Option<PathBuf> {
    let (mount, own) = hierarchy.v2.as_ref()?;
    let is_root = own.components().eq(mount.components());
    let base = if is_root { mount.as_path() } else { own.parent()? };
    let handed_on = || listed(&base.join("cgroup.subtree_control"));
    let missing = |list: &[String], name: &str| !list.iter().any(|listed| listed == name);
    let has_all = |list: &[String]| !missing(list, "memory") && !missing(list, "pids");
    if !has_all(&handed_on()) && (is_root || is_delegated(base)) {
        let here = listed(&base.join("cgroup.controllers"));
        for name in ["memory", "pids", "cpu", "io"].iter().filter(|name| !missing(&here, name)) {
            let _ = std::fs::write(base.join("cgroup.subtree_control"), format!("+{name}"));
        }
    }
    has_all(&handed_on()).then(|| base.to_path_buf())
}

/// Whether systemd has marked a group as handed over to whoever runs in it.
fn is_delegated(group: &Path) -> bool {
    let mut value = [0; 4];
    ["trusted.delegate", "user.delegate"].iter().any(|name| {
        rustix::fs::getxattr(group, *name, &mut value).is_ok_and(|length| value[..length] == *b"1")
    })
}

fn limit_unified(group: &Path, resources: &Resources) -> bool {
    let Resources { memory, memory_kill, strict, .. } = *resources;
    let write = |name: &str, value: String| std::fs::write(group.join(name), value).is_ok();
    // What the machine may lack: a processor's or a disk's weight, swap, or ending all at once.
    write("cpu.weight", (WEIGHT * resources.cpu_percent / 100).clamp(1, 10_000).to_string());
    write("io.weight", disk_weight(resources).to_string());
    write("memory.oom.group", "1".to_owned());
    if strict {
        write("memory.swap.max", "0".to_owned());
    } else if has_swap() {
        // Above its quota a dyno pages, as on Heroku. Without swap it would only be held back.
        write("memory.high", memory.to_string());
        write("memory.swap.max", memory_kill.saturating_sub(memory).to_string());
    }
    write("memory.max", memory_kill.to_string())
        && write("pids.max", resources.processes.to_string())
}

/// The weight beside other groups' where a disk is shared by weights.
fn disk_weight(resources: &Resources) -> u64 {
    (WEIGHT * resources.cpu_percent / 100).clamp(1, 10_000)
}

fn has_swap() -> bool {
    std::fs::read_to_string("/proc/swaps").is_ok_and(|text| text.lines().count() > 1)
}

/// Whether some disk here is shared by the weights of older groups: the kernel's BFQ alone does
/// that. Elsewhere such a group could only slow a dyno down for ever, which helps nobody.
pub fn has_fair_disks() -> bool {
    let disks = std::fs::read_dir("/sys/block").into_iter().flatten().flatten();
    disks.map(|disk| disk.path().join("queue/scheduler")).any(|scheduler| {
        std::fs::read_to_string(scheduler).is_ok_and(|text| text.contains("[bfq]"))
    })
}

fn made(group: &Path) -> bool {
    std::fs::create_dir(group).is_ok()
}

/// Writes the limits of an older group, of which the first must be taken.
fn take(group: &Path, files: &[(&str, u64)]) -> bool {
    let write =
        |(name, value): &(&str, u64)| std::fs::write(group.join(name), value.to_string()).is_ok();
    let taken: Vec<bool> = files.iter().map(write).collect();
    let limited = taken.first() == Some(&true);
    if !limited {
        remove_group(group);
    }
    limited
}

fn listed(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// The number behind a word that begins a line; 0 where there is none.
fn counted(file: &Path, word: &str) -> u64 {
    number(&std::fs::read_to_string(file).unwrap_or_default(), word).unwrap_or(0)
}

pub(super) fn number(text: &str, word: &str) -> Option<u64> {
    let number = |line: &str| line.strip_prefix(word)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(number)
}

#[cfg(test)]
mod tests {
    use slugline_model::limits::Limits;
    use slugline_model::resources::DynoSize;

    use super::*;

    #[test]
    fn a_unified_group_is_limited_where_the_dyno_would_be_ended() {
        let group = tempfile::tempdir().unwrap();
        let limits = Limits::default();
        let read = |name: &str| std::fs::read_to_string(group.path().join(name)).unwrap();
        let twice = DynoSize::named("standard-2x").unwrap();
        assert!(limit_unified(group.path(), &Resources::of_dyno(twice, &limits)));
        assert_eq!(read("memory.max"), (2_u64 << 30).to_string());
        assert_eq!((read("pids.max").as_str(), read("cpu.weight").as_str()), ("512", "200"));
        assert_eq!((read("io.weight").as_str(), read("memory.oom.group").as_str()), ("200", "1"));
        assert!(limit_unified(group.path(), &Resources::of_build(&limits)));
        assert_eq!(read("memory.max"), limits.build_memory.to_string());
        assert_eq!((read("memory.swap.max").as_str(), read("cpu.weight").as_str()), ("0", "33"));
    }

    #[test]
    fn an_older_group_that_refuses_its_limit_counts_as_none() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("gone");
        let mut group = Group { memory: Some(place), ..Group::default() };
        group.limit(&Resources::default());
        assert!(!group.bounds_memory());
    }

    #[test]
    fn groups_that_were_made_before_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let names =
            [("u", "cgroup.controllers"), ("m", "memory.limit_in_bytes"), ("p", "pids.max")];
        let groups = names.map(|(name, file)| {
            let group = directory.path().join(name);
            std::fs::create_dir(&group).unwrap();
            std::fs::write(group.join(file), "").unwrap();
            group
        });
        assert!(write_record(&directory.path().join(RECORD), &groups));
        let found = Group::found(directory.path());
        assert_eq!([found.watched, found.memory, found.pids].map(Option::unwrap), groups);
        assert!(!found.unified && found.cpu.is_none());
    }
}
