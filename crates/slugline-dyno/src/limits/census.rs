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

    /// How much memory the processes have (bytes), exact only where it is above a limit. Files of
    /// memory that no process has open count for nobody.
    pub(crate) fn memory(&self, limit: u64) -> u64 {
        let pages: u64 = self.all.iter().map(|process| process.resident_pages).sum();
        let resident = pages * rustix::param::page_size() as u64;
        if resident <= limit {
            return resident;
        }
        let own = |pid| self.processes.sum(pid, "status", &["RssAnon:", "RssShmem:"]);
        let roughly = self.sum(own);
        if roughly <= limit {
            return roughly;
        }
        let shared = ["Pss_Anon:", "Pss_Shmem:"];
        let exact = |pid| self.processes.sum(pid, "smaps_rollup", &shared);
        self.sum(|pid| exact(pid).or_else(|| own(pid)))
    }

    fn sum(&self, of: impl Fn(u32) -> Option<u64>) -> u64 {
        self.all.iter().filter_map(|process| of(process.pid)).sum()
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
