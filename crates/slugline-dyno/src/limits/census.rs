//! Counting a dyno's processes and their memory where no control group does.
//!
//! The processes of a pid namespace all descend from its init, so one look at `/proc` finds them.
//! Memory is looked at in three steps, each dearer and more exact than the one before it.

use std::collections::HashMap;

use rustix::process::Pid;

/// What a dyno's processes come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Census {
    pids: Vec<u32>,
    /// Processes and threads, init among them.
    pub(super) tasks: u64,
    /// Resident pages, those of files and shared ones counted for each process that has them.
    resident_pages: u64,
}

/// One process, from `/proc/PID/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    parent: u32,
    threads: u64,
    resident_pages: u64,
}

impl Census {
    /// Counts init and all that descend from it.
    pub(super) fn take(init: Pid) -> Self {
        Self::count(init.as_raw_nonzero().get().unsigned_abs(), &all_processes())
    }

    fn count(init: u32, rows: &HashMap<u32, Row>) -> Self {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for (pid, row) in rows {
            children.entry(row.parent).or_default().push(*pid);
        }
        let mut census = Census::default();
        let mut ahead = vec![init];
        while let Some(pid) = ahead.pop() {
            let Some(row) = rows.get(&pid) else { continue };
            census.pids.push(pid);
            census.tasks += row.threads;
            census.resident_pages += row.resident_pages;
            // Each has one parent, so nobody is met twice.
            ahead.extend(children.remove(&pid).unwrap_or_default());
        }
        census
    }

    /// How much memory the processes have (bytes), exact only where it is above a limit.
    pub(super) fn memory(&self, limit: u64) -> u64 {
        let resident = self.resident_pages * rustix::param::page_size() as u64;
        if resident <= limit {
            return resident;
        }
        let own = self.sum(|pid| sum_of(pid, "status", &["RssAnon:", "RssShmem:"]));
        if own <= limit {
            return own;
        }
        let exact = |pid| sum_of(pid, "smaps_rollup", &["Pss_Anon:", "Pss_Shmem:"]);
        self.sum(|pid| exact(pid).or_else(|| sum_of(pid, "status", &["RssAnon:", "RssShmem:"])))
    }

    fn sum(&self, of: impl Fn(u32) -> Option<u64>) -> u64 {
        self.pids.iter().filter_map(|pid| of(*pid)).sum()
    }
}

fn all_processes() -> HashMap<u32, Row> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
            Some((pid, parse(&String::from_utf8_lossy(&stat))?))
        })
        .collect()
}

/// Reads a line of `/proc/PID/stat`. The name in it may hold anything, a `)` even.
fn parse(stat: &str) -> Option<Row> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let threads = fields.nth(15)?.parse().ok()?;
    let resident_pages = fields.nth(3)?.parse().ok()?;
    Some(Row { parent, threads, resident_pages })
}

/// The sum of some lines of a process's file that count in kB; none where it cannot be read.
fn sum_of(pid: u32, file: &str, lines: &[&str]) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
    let value = |line: &str| {
        let rest = lines.iter().find_map(|name| line.strip_prefix(name))?;
        rest.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    let values: Vec<u64> = text.lines().filter_map(value).collect();
    (!values.is_empty()).then(|| values.iter().sum::<u64>() * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "7 (a) R 1 (b) S 5 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 99 1000 42 184467";
        assert_eq!(parse(stat), Some(Row { parent: 5, threads: 3, resident_pages: 42 }));
    }

    #[test]
    fn only_those_who_descend_from_init_count() {
        let row = |parent, threads| Row { parent, threads, resident_pages: 10 };
        let rows = [(10, row(1, 1)), (11, row(10, 4)), (12, row(11, 1)), (20, row(1, 7))];
        let census = Census::count(10, &rows.into_iter().collect());
        assert_eq!((census.pids.len(), census.tasks, census.resident_pages), (3, 6, 30));
    }

    #[test]
    fn this_process_has_threads_and_memory() {
        let census = Census::take(rustix::process::getpid());
        assert!(census.tasks >= 1, "{census:?}");
        assert!(census.memory(u64::MAX) > 0 && census.memory(0) > 0, "{census:?}");
    }
}
