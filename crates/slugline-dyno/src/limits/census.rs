//! Counting a dyno's processes and their memory where no control group does.
//!
//! Memory is looked at in three steps, each dearer and more exact than the one before it.

use crate::processes::{Process, Processes};

/// What a dyno's processes come to.
pub(crate) struct Census<'a> {
    processes: &'a Processes,
    all: Vec<Process>,
}

impl<'a> Census<'a> {
    /// Counts all processes of a dyno.
    pub(crate) fn take(processes: &'a Processes) -> Self {
        Self { processes, all: processes.list() }
    }

    /// Processes and threads, init among them.
    pub(crate) fn tasks(&self) -> u64 {
        self.all.iter().map(|process| process.threads).sum()
    }

    /// Their time on processors (the kernel's ticks).
    pub(crate) fn ticks(&self) -> u64 {
        self.all.iter().map(|process| process.ticks).sum()
    }

    /// How much memory the dyno has (bytes), exact only where it is above a limit.
    pub(crate) fn memory(&self, limit: u64) -> u64 {
        let files = self.processes.shared_files() + self.processes.nameless_files(&self.all);
        let pages: u64 = self.all.iter().map(|process| process.resident_pages).sum();
        let resident = pages * rustix::param::page_size() as u64;
        if resident + files <= limit {
            return resident + files;
        }
        let roughly = self.sum("status", "RssAnon:") + self.sum("status", "RssShmem:").max(files);
        if roughly <= limit {
            return roughly;
        }
        let exact = "smaps_rollup";
        let exact = self.sum(exact, "Pss_Anon:") + self.sum(exact, "Pss_Shmem:").max(files);
        // Where the kernel tells nobody, it counts for each process that shares it.
        if exact > files { exact } else { roughly }
    }

    fn sum(&self, file: &str, line: &str) -> u64 {
        let of = |process: &Process| self.processes.sum(process.pid, file, &[line]);
        self.all.iter().filter_map(of).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_threads_and_memory() {
        let processes = Processes::of(rustix::process::getpid()).unwrap();
        let census = Census::take(&processes);
        assert!(census.tasks() >= 1);
        assert!(census.memory(u64::MAX) > 0 && census.memory(0) > 0);
    }
}
