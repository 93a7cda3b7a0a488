//! The limits of builds, as the operator sets them.

use std::time::Duration;

use clap::Args;
use slugline_model::limits::Limits;

const MIB: u64 = 1 << 20;

/// What a build may take.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits of a build")]
pub(crate) struct LimitArgs {
    /// How long a build may take, in seconds
    #[arg(long = "build-time", env = "SLUGLINE_BUILD_TIME", value_name = "SECONDS")]
    #[arg(default_value_t = Limits::default().build.as_secs())]
    time: u64,
    /// Its memory, in MiB
    #[arg(long = "build-memory", env = "SLUGLINE_BUILD_MEMORY", value_name = "MIB")]
    #[arg(default_value_t = Limits::default().build_memory / MIB)]
    memory: u64,
    /// Its processes and threads at a time
    #[arg(long = "build-processes", env = "SLUGLINE_BUILD_PROCESSES", value_name = "NUMBER")]
    #[arg(default_value_t = Limits::default().build_processes)]
    processes: u64,
    /// What it may keep on the disk, its cache and its source among it, in MiB
    #[arg(long = "build-disk", env = "SLUGLINE_BUILD_DISK", value_name = "MIB")]
    #[arg(default_value_t = Limits::default().build_disk / MIB)]
    disk: u64,
}

impl LimitArgs {
    /// Heroku's numbers, but for those that the operator sets.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            build: Duration::from_secs(self.time),
            build_memory: self.memory.saturating_mul(MIB),
            build_processes: self.processes,
            build_disk: self.disk.saturating_mul(MIB),
            ..Limits::default()
        }
    }
}
