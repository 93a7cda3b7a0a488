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
    #[arg(long, env = "SLUGLINE_BUILD_TIME", value_name = "SECONDS")]
    #[arg(default_value_t = LimitArgs::default().build_time)]
    build_time: u64,
    /// Its memory, in MiB
    #[arg(long, env = "SLUGLINE_BUILD_MEMORY", value_name = "MIB")]
    #[arg(default_value_t = LimitArgs::default().build_memory)]
    build_memory: u64,
    /// Its processes and threads at a time
    #[arg(long, env = "SLUGLINE_BUILD_PROCESSES", value_name = "NUMBER")]
    #[arg(default_value_t = LimitArgs::default().build_processes)]
    build_processes: u64,
    /// What it may keep on the disk, its cache and its source among it, in MiB
    #[arg(long, env = "SLUGLINE_BUILD_DISK", value_name = "MIB")]
    #[arg(default_value_t = LimitArgs::default().build_disk)]
    build_disk: u64,
}

impl Default for LimitArgs {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            build_time: limits.build.as_secs(),
            build_memory: limits.build_memory / MIB,
            build_processes: limits.build_processes,
            build_disk: limits.build_disk / MIB,
        }
    }
}

impl LimitArgs {
    /// Heroku's numbers, but for those that the operator sets.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            build: Duration::from_secs(self.build_time),
            build_memory: self.build_memory.saturating_mul(MIB),
            build_processes: self.build_processes,
            build_disk: self.build_disk.saturating_mul(MIB),
            ..Limits::default()
        }
    }
}
