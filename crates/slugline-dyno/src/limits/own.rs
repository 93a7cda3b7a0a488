//! Limits and priorities that a process of a dyno takes on itself, and hands on to all it starts.

use rustix::process::{Resource as Rlimit, Rlimit as Bounds, getrlimit, setrlimit};
use slugline_model::resources::{Priority, Resources};

use crate::host;
use crate::sys;

/// A file may be this much larger than all may be together (bytes): so that a single one that is
/// too large is measured as that, and not only cut off.
const BEYOND: u64 = 1 << 20;

/// Steps back behind the server, and, for a build, behind dynos. Nothing of it can fail a launch: a
/// machine may lack any of it. Still as the server's user, who may say so.
pub(crate) fn yield_to_others(priority: Priority) {
    let _ = std::fs::write("/proc/self/oom_score_adj", priority.oom_score().to_string());
    // Where each session has its turn, nice values of processes only count within it.
    let _ = rustix::process::setsid();
    if priority == Priority::Build {
        let _ = std::fs::write("/proc/self/autogroup", priority.nice().to_string());
        let _ = rustix::process::nice(priority.nice());
        let _ = sys::wait_for_disks_of_others();
    }
}

/// Bounds the command of a dyno, before it starts. A hard limit that is lower already stays.
pub(crate) fn bound_command(resources: &Resources, bounds_processes: bool) {
    bound(Rlimit::Core, 0);
    bound(Rlimit::Nofile, resources.open_files);
    bound(Rlimit::Fsize, resources.disk.saturating_add(BEYOND));
    // The group's own count tells who reached the limit, this one does not.
    if !bounds_processes && host::counts_processes_by_namespace() {
        bound(Rlimit::Nproc, resources.processes);
    }
}

fn bound(resource: Rlimit, most: u64) {
    let hard = getrlimit(resource).maximum;
    let most = Some(hard.map_or(most, |hard| hard.min(most)));
    let _ = setrlimit(resource, Bounds { current: most, maximum: most });
}
