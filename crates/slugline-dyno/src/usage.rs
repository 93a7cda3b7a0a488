//! What a dyno uses, read from its control groups, and from its processes where there are none.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::process::Pid;
use slugline_model::usage::{Bytes, CpuTime, Memory, Usage};

use crate::limits::Group;
use crate::processes::{Process, Processes};
use crate::seen::Seen;
use crate::{spool, supervisor};

/// Of so many threads at most it is asked how long each waited for a processor.
const MOST_THREADS: usize = 512;

/// What the dyno uses whose directory this is; none before it has begun, and once it is gone.
pub(crate) fn usage(dyno_directory: &Path) -> Option<Usage> {
    // Else the number of its first process may be somebody else's by now.
    if !supervisor::is_alive(dyno_directory) {
        return None;
    }
    let seen = Seen::read(dyno_directory)?;
    let init = Pid::from_raw(seen.init)?;
    let processes = Processes::of(init)?;
    let all = processes.list();
    if all.is_empty() {
        return None;
    }
    let group = Group::found(dyno_directory);
    let (used, throttled) = group.cpu().unwrap_or_else(|| (ticks_time(&all), 0));
    let (queued, runnable) = queued(&processes, &all);
    let memory = group.memory().unwrap_or_else(|| counted_memory(&processes, &all));
    Some(Usage {
        at: spool::now(),
        cpu: CpuTime { used, throttled, queued },
        memory: Memory { quota: seen.quota, ..memory },
        pressure: group.pressure(),
        disk: group.disk().unwrap_or_else(|| disk(&processes, &all)),
        network: network(&processes, &all),
        processes: all.len() as u64,
        threads: all.iter().map(|process| process.threads).sum(),
        runnable,
        open_files: all.iter().map(|process| processes.open_files(process.pid)).sum(),
        layer: Some(seen.layer),
    })
}

/// Microseconds.
fn ticks_time(all: &[Process]) -> u64 {
    let ticks: u64 = all.iter().map(|process| process.ticks).sum();
    ticks * 1_000_000 / rustix::param::clock_ticks_per_second()
}

/// How long threads waited for a processor (microseconds), and how many run or could.
fn queued(processes: &Processes, all: &[Process]) -> (u64, u64) {
    let (mut queued, mut runnable, mut left) = (0, 0, MOST_THREADS);
    for Process { pid, threads, state, .. } in all {
        if *threads == 1 {
            runnable += u64::from(*state == 'R');
            queued += waited(processes, &format!("{pid}/schedstat"));
            left = left.saturating_sub(1);
            continue;
        }
        for thread in processes.threads(*pid).into_iter().take(left) {
            left = left.saturating_sub(1);
            let path = format!("{pid}/task/{thread}");
            queued += waited(processes, &format!("{path}/schedstat"));
            let stat = processes.read(&format!("{path}/stat")).unwrap_or_default();
            runnable += u64::from(stat.rsplit_once(") ").is_some_and(|(_, s)| s.starts_with('R')));
        }
    }
    (queued / 1_000, runnable)
}

/// The second number of a `schedstat`: nanoseconds.
fn waited(processes: &Processes, path: &str) -> u64 {
    let text = processes.read(path).unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Without a group that counts: what processes have, shared pages counted for each that has them.
fn counted_memory(processes: &Processes, all: &[Process]) -> Memory {
    let sum = |lines: &[&str]| {
        all.iter().filter_map(|process| processes.sum(process.pid, "status", lines)).sum::<u64>()
    };
    let files = processes.shared_files() + processes.nameless_files(all);
    Memory {
        rss: sum(&["RssAnon:"]) + sum(&["RssShmem:"]).max(files),
        cache: sum(&["RssFile:"]),
        swap: sum(&["VmSwap:"]),
        ..Memory::default()
    }
}

/// What processes that live, and those that they have waited for, read and wrote.
fn disk(processes: &Processes, all: &[Process]) -> Bytes {
    let mut sum = Bytes::default();
    for process in all {
        let text = processes.read(&format!("{}/io", process.pid)).unwrap_or_default();
        let number = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        sum.read += number("read_bytes:");
        sum.written += number("write_bytes:");
    }
    sum
}

/// What came and went through its own network; none where it has the machine's. To an ordinary user
/// init is closed.
fn network(processes: &Processes, all: &[Process]) -> Option<Bytes> {
    let of = |pid: u32| Some((pid, processes.link(&format!("{pid}/ns/net"))?));
    let (pid, network) = all.iter().find_map(|process| of(process.pid))?;
    if std::fs::read_link("/proc/self/ns/net").ok()?.as_os_str().as_bytes() == network {
        return None;
    }
    Some(devices(&processes.read(&format!("{pid}/net/dev"))?))
}

/// Adds up a `/proc/net/dev`, but for what never leaves the dyno.
fn devices(text: &str) -> Bytes {
    let mut sum = Bytes::default();
    for (name, counts) in text.lines().filter_map(|line| line.split_once(':')) {
        if name.trim() == "lo" {
            continue;
        }
        let counts: Vec<u64> =
            counts.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        sum.read += counts.first().copied().unwrap_or(0);
        sum.written += counts.get(8).copied().unwrap_or(0);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_dyno_is_added_up() {
        let text = "Inter-|   Receive                                                |  Transmit\n \
                    face |bytes    packets errs drop fifo frame compressed multicast|bytes\n    \
                    lo: 99 1 0 0 0 0 0 0 99 1 0 0 0 0 0 0\n  \
                    eth0: 1000 5 0 0 0 0 0 0 2000 6 0 0 0 0 0 0\n";
        assert_eq!(devices(text), Bytes { read: 1_000, written: 2_000 });
    }

    #[test]
    fn this_process_used_a_processor() {
        let processes = Processes::of(rustix::process::getpid()).unwrap();
        let all = processes.list();
        let (_, runnable) = queued(&processes, &all);
        assert!(runnable >= 1, "whoever asks runs: {all:?}");
        assert!(counted_memory(&processes, &all).rss > 0);
    }
}
