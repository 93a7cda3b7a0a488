//! The control groups of one dyno: made before it starts, removed when it is gone.
//!
//! Only groups of our own are made, `slugline-ID` beside or below the server's. Their paths are
//! written into the dyno's directory before they are made, so that whoever buries the dyno finds
//! them, whatever became of its supervisor.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Pid;
use slugline_model::dyno::DynoId;
use slugline_model::resources::Resources;

use super::Mechanism;
use super::hierarchy::Hierarchy;
use crate::host;

/// The file in a dyno's directory that lists its control groups, a line each.
const RECORD: &str = "groups";

/// How long the last processes of a dead dyno may take to leave their group.
const REMOVE_TRIES: u32 = 200;
const REMOVE_PAUSE: Duration = Duration::from_millis(10);

/// The kernel's default weight of a unified group, and shares of an older one.
const WEIGHT: u64 = 100;
const SHARES: u64 = 1_024;

/// The groups that hold a dyno; empty where none could be made.
#[derive(Debug, Default)]
pub(crate) struct Group {
    unified: bool,
    memory: Option<PathBuf>,
    pids: Option<PathBuf>,
    cpu: Option<PathBuf>,
}

impl Group {
    /// Makes the groups of a dyno as far as this machine lets us, with its limits in them.
    pub(crate) fn make(id: DynoId, resources: &Resources, dyno_directory: &Path) -> Self {
        let hierarchy = Hierarchy::of_this_process();
        let record = dyno_directory.join(RECORD);
        let name = format!("slugline-{id}");
        if let Some(base) = unified_base(&hierarchy) {
            let group = base.join(&name);
            let made = write_record(&record, std::slice::from_ref(&group))
                && std::fs::create_dir(&group).is_ok();
            if made && limit_unified(&group, resources) {
                let memory = Some(group.clone());
                return Self { unified: true, memory, pids: Some(group.clone()), cpu: Some(group) };
            }
            remove(dyno_directory);
        }
        // The older ones can be handed to nobody but root.
        if host::is_host_root() {
            Self::make_v1(&hierarchy, &name, resources, &record)
        } else {
            Self::default()
        }
    }

    fn make_v1(hierarchy: &Hierarchy, name: &str, resources: &Resources, record: &Path) -> Self {
        let place = |controller: &str| hierarchy.v1(controller).map(|own| own.join(name));
        let (memory, pids, cpu) = (place("memory"), place("pids"), place("cpu"));
        let all: Vec<PathBuf> = [&memory, &pids, &cpu].into_iter().flatten().cloned().collect();
        if all.is_empty() || !write_record(record, &all) {
            return Self::default();
        }
        // Where memory and swap are counted together, the sum is limited as memory alone is.
        let memory_files = [
            ("memory.limit_in_bytes", resources.memory),
            ("memory.memsw.limit_in_bytes", resources.memory),
        ];
        let shares = SHARES * resources.priority.cpu_percent() / 100;
        Self {
            unified: false,
            memory: memory.filter(|group| make_limited(group, &memory_files)),
            pids: pids.filter(|group| make_limited(group, &[("pids.max", resources.processes)])),
            cpu: cpu.filter(|group| make_limited(group, &[("cpu.shares", shares)])),
        }
    }

    /// The group that a process can be cloned into.
    pub(crate) fn to_clone_into(&self) -> Option<OwnedFd> {
        let group = self.memory.as_ref().filter(|_| self.unified)?;
        fs_err::File::open(group).ok().map(|directory| directory.into_parts().0.into())
    }

    /// Puts a process that was cloned elsewhere into the groups; those that refuse it count as
    /// none from then on.
    pub(crate) fn join(&mut self, pid: Pid) {
        if self.unified {
            return;
        }
        let pid = pid.as_raw_nonzero().to_string();
        for place in [&mut self.memory, &mut self.pids, &mut self.cpu] {
            let joined = |group: &PathBuf| std::fs::write(group.join("cgroup.procs"), &pid).is_ok();
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

    /// Whether a process could not be started because there were too many.
    pub(crate) fn ran_out_of_processes(&self) -> bool {
        self.pids.as_ref().is_some_and(|group| counted(&group.join("pids.events"), "max") > 0)
    }
}

/// Removes the groups of a dyno whose processes are gone or going, if it has any.
pub(crate) fn remove(dyno_directory: &Path) {
    use std::os::unix::ffi::OsStringExt as _;
    let record = dyno_directory.join(RECORD);
    let Ok(list) = std::fs::read(&record) else { return };
    for line in list.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        remove_group(&PathBuf::from(std::ffi::OsString::from_vec(line.to_vec())));
    }
    let _ = std::fs::remove_file(record);
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
    let write = |name: &str, value: String| std::fs::write(group.join(name), value).is_ok();
    let weight = (WEIGHT * resources.priority.cpu_percent() / 100).to_string();
    // What the machine may lack: a processor's or a disk's weight, swap, or ending all at once.
    write("cpu.weight", weight.clone());
    write("io.weight", weight);
    write("memory.swap.max", "0".to_owned());
    write("memory.oom.group", "1".to_owned());
    write("memory.max", resources.memory.to_string())
        && write("pids.max", resources.processes.to_string())
}

/// Makes an older group with its limits, of which the first must be taken.
fn make_limited(group: &Path, files: &[(&str, u64)]) -> bool {
    if std::fs::create_dir(group).is_err() {
        return false;
    }
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
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let number = |line: &str| line.strip_prefix(word)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(number).unwrap_or(0)
}
