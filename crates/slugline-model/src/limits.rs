//! Heroku's numbers, in one table.

use std::time::Duration;

/// The limits of a platform. [`Limits::default`] holds Heroku's numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// A packed slug above this is refused (bytes). Heroku: 500 MB.
    pub slug_hard: u64,
    /// A packed slug above this is warned about (bytes). Heroku: 300 MB.
    pub slug_soft: u64,
    /// A source, unpacked (bytes). Heroku: 1 GB.
    pub source: u64,
    /// How many entries a source may have. Ours: Heroku states none.
    pub source_entries: u64,
    /// A whole build. Heroku: 15 minutes.
    pub build: Duration,
    /// Memory of a build (bytes). Heroku's builds have 2.5 GB, which its Node.js buildpack gives to
    /// V8 as `--max_old_space_size=2560`.
    pub build_memory: u64,
    /// Processes and threads of a build. Ours: room for every package client on a large machine,
    /// while a fork bomb stays harmless.
    pub build_processes: u64,
    /// What a build may keep on the disk, its cache and its source among it (bytes). Ours: Heroku
    /// states none.
    pub build_disk: u64,
    /// What a dyno's layer may hold (bytes). Ours: Heroku states none.
    pub dyno_disk: u64,
    /// Open files of one process. Heroku: 10,000.
    pub open_files: u64,
    /// An app's build cache (bytes); one above it is purged before the next build. Ours: Heroku
    /// states none.
    pub cache: u64,
    /// How many of an app's builds can be run again: their sources and config vars are kept. Ours.
    pub replayable_builds: usize,
    /// From start to bound `$PORT`, else R10. Heroku: 60 s.
    pub boot: Duration,
    /// From SIGTERM to SIGKILL, else R12. Heroku: 30 s.
    pub stop: Duration,
    /// The release phase. Heroku: 1 hour.
    pub release_phase: Duration,
    /// All config vars together (bytes). Heroku: 32 kB.
    pub config_vars: usize,
    /// One log line (bytes); longer ones are split. Heroku: 10,000.
    pub log_line: usize,
    /// Log lines kept per app. Heroku: 1,500.
    pub log_history: usize,
    /// Calls of the API that a token may make in an hour. Heroku: 4,500.
    pub api_calls: u32,
    /// What one push may bring (bytes). Ours: Heroku's 1 GB is of what is checked out.
    pub push: u64,
    /// An app's repository (bytes); one above it takes no more. Ours: Heroku states none.
    pub repository: u64,
    /// For how long changes stay in the audit trail. Ours.
    pub audit: Duration,
    /// The router's wait to connect to a dyno. Heroku: 5 s.
    pub connect: Duration,
    /// The router's wait for a response's first byte, else H12. Heroku: 30 s.
    pub first_byte: Duration,
    /// The router's wait between two bytes, else H15 or H28. Heroku: 55 s.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let mib = 1 << 20;
        Self {
            slug_hard: 500 * mib,
            slug_soft: 300 * mib,
            source: 1024 * mib,
            source_entries: 500_000,
            build: Duration::from_mins(15),
            build_memory: 2560 * mib,
            build_processes: 4_096,
            build_disk: 10 * 1024 * mib,
            dyno_disk: 4 * 1024 * mib,
            open_files: 10_000,
            cache: 4096 * mib,
            replayable_builds: 5,
            boot: Duration::from_mins(1),
            stop: Duration::from_secs(30),
            release_phase: Duration::from_hours(1),
            config_vars: 32 * 1024,
            log_line: 10_000,
            log_history: 1_500,
            api_calls: 4_500,
            push: 2 * 1024 * mib,
            repository: 4 * 1024 * mib,
            audit: Duration::from_hours(24 * 400),
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(55),
        }
    }
}
