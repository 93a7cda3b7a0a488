//! The limits of builds and dynos, as the operator sets them.

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
    #[arg(default_value_t = LimitArgs::default().time)]
    time: u64,
    /// Its memory, in MiB
    #[arg(long = "build-memory", env = "SLUGLINE_BUILD_MEMORY", value_name = "MIB")]
    #[arg(default_value_t = LimitArgs::default().memory)]
    memory: u64,
    /// Its processes and threads at a time
    #[arg(long = "build-processes", env = "SLUGLINE_BUILD_PROCESSES", value_name = "NUMBER")]
    #[arg(default_value_t = LimitArgs::default().processes)]
    processes: u64,
    /// What it may keep on the disk, its cache and its source among it, in MiB
    #[arg(long = "build-disk", env = "SLUGLINE_BUILD_DISK", value_name = "MIB")]
    #[arg(default_value_t = LimitArgs::default().disk)]
    disk: u64,
    /// What a dyno may keep on the disk, in MiB
    #[arg(long = "dyno-disk", env = "SLUGLINE_DYNO_DISK", value_name = "MIB")]
    #[arg(default_value_t = LimitArgs::default().dyno_disk)]
    #[arg(help_heading = "Limits of a dyno")]
    dyno_disk: u64,
    /// Calls of the API that a token may make in an hour
    #[arg(long = "api-calls", env = "SLUGLINE_API_CALLS", value_name = "NUMBER")]
    #[arg(default_value_t = LimitArgs::default().api_calls)]
    #[arg(help_heading = "Limits of the API")]
    api_calls: u32,
    /// What one push may bring, in MiB
    #[arg(long = "push-size", env = "SLUGLINE_PUSH_SIZE", value_name = "MIB")]
    #[arg(default_value_t = LimitArgs::default().push)]
    #[arg(help_heading = "Limits of the API")]
    push: u64,
    /// What an app's repository may take, in MiB
    #[arg(long = "repository-size", env = "SLUGLINE_REPOSITORY_SIZE", value_name = "MIB")]
    #[arg(default_value_t = LimitArgs::default().repository)]
    #[arg(help_heading = "Limits of the API")]
    repository: u64,
}

impl Default for LimitArgs {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            time: limits.build.as_secs(),
            memory: limits.build_memory / MIB,
            processes: limits.build_processes,
            disk: limits.build_disk / MIB,
            dyno_disk: limits.dyno_disk / MIB,
            api_calls: limits.api_calls,
            push: limits.push / MIB,
            repository: limits.repository / MIB,
        }
    }
}

impl LimitArgs {
    /// Heroku's numbers, but for those that the operator sets.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            build: Duration::from_secs(self.time),
            build_memory: self.memory.saturating_mul(MIB),
            build_processes: self.processes,
            build_disk: self.disk.saturating_mul(MIB),
            dyno_disk: self.dyno_disk.saturating_mul(MIB),
            api_calls: self.api_calls,
            push: self.push.saturating_mul(MIB),
            repository: self.repository.saturating_mul(MIB),
            ..Limits::default()
        }
    }
}
