//! A dyno: what it is started with, what its supervisor reports, and what a crash leads to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ledger::Receipt;
use crate::name::{AppName, DynoName};
use crate::resources::{Excess, Resources};
use crate::slug::{SlugId, SlugView};

/// One run of a dyno. `web.1` gets a new one at every start.
pub type DynoId = Uuid;

/// Everything that one dyno is started with. Holds config vars: keep it secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynoSpec {
    /// This run.
    pub id: DynoId,
    /// Whose.
    pub app: AppName,
    /// Its name within the app.
    pub dyno: DynoName,
    /// The release that it runs; 0 for a build.
    pub release: u64,
    /// Given to bash.
    pub command: String,
    /// The whole environment of the command.
    pub env: BTreeMap<String, String>,
    /// The slug's tree, seen at `/app`; a build has none.
    pub slug: Option<SlugView>,
    /// The slug that this is the tree of.
    #[serde(default)]
    pub slug_id: Option<SlugId>,
    /// Directories and files of the host that a build sees.
    pub binds: Vec<Bind>,
    /// For a web dyno, the port that it must bind.
    pub port: Option<u16>,
    /// As root on the host: the uid that the dyno runs under there. Otherwise the user's own.
    pub host_uid: Option<u32>,
    /// How long it may take to boot, stop and run.
    pub times: Times,
    /// What it may use.
    #[serde(default)]
    pub resources: Resources,
    /// Which network it sees.
    #[serde(default)]
    pub network: Network,
    /// Names of this machine that its config vars speak of: inside they mean its own loopback, where
    /// it finds what it may reach.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Where its command's input comes from, and its output goes to.
    #[serde(default)]
    pub streams: Streams,
    /// What becomes of what it writes.
    #[serde(default)]
    pub layer: Layer,
}

/// What becomes of what a dyno writes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Layer {
    /// Whether its layer is kept for a while after its end, if somebody may miss something in it.
    #[serde(default)]
    pub keep: bool,
    /// Directories that the app declares as fine to lose: absolute in the dyno, without a slash at
    /// the end.
    #[serde(default)]
    pub scratch: Vec<String>,
    /// Whether writing fails at once (EROFS) but in those, and in [`crate::sandbox::ALWAYS_OPEN`].
    #[serde(default)]
    pub strict: bool,
}

/// Which network a dyno sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// One of its own: it reaches the outside, and only the router reaches it.
    #[default]
    Own,
    /// The machine's. Builds see it: their mirrors and proxies may be there.
    Host,
}

/// Where a command's input comes from, and its output goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Streams {
    /// No input; each line of output is an [`Event::Line`].
    #[default]
    Lines,
    /// Whoever attaches to the dyno, by bytes as they are.
    Attached,
    /// Whoever attaches to the dyno, by a terminal of this size.
    Terminal(TerminalSize),
}

/// The size of a terminal (characters).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// A command to run inside a dyno that runs already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRequest {
    /// Given to bash, after the profile scripts.
    pub command: String,
    /// The whole environment of the command.
    pub env: BTreeMap<String, String>,
    /// The terminal that it gets; without one, both of its outputs are one stream of bytes.
    pub terminal: Option<TerminalSize>,
}

/// A path of the host seen in the dyno.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// On the host.
    pub from: PathBuf,
    /// In the dyno.
    pub to: PathBuf,
    /// Whether the dyno may write there. Writable paths must belong to the server's user, others
    /// must be readable by everyone.
    pub writable: bool,
}

/// How long a dyno may take (milliseconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// To bind its port, else R10.
    pub boot: u64,
    /// From SIGTERM to SIGKILL, else R12.
    pub stop: u64,
    /// From start to a clean stop, for builds and release phases.
    pub run: Option<u64>,
}

/// What a dyno's supervisor reports, one JSON line each, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The command runs.
    Started {
        /// The dyno's first process, as the host counts.
        pid: u32,
    },
    /// The app wrote a line to stdout or stderr.
    Line {
        /// Without the newline.
        text: String,
        /// Whether more of the same line follows, because it was longer than a line may be.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        partial: bool,
    },
    /// It runs, and reaches nobody outside, as this machine has no way there now.
    Inbound {
        /// Why.
        why: String,
    },
    /// It bound its port, or, where it has none, runs.
    Up,
    /// It did not bind its port in time.
    BootTimeout,
    /// SIGTERM went to all its processes.
    Stopping,
    /// It did not exit in time after SIGTERM, and got SIGKILL.
    ExitTimeout,
    /// It ran longer than it may, and is being stopped.
    RunTimeout,
    /// It went beyond a limit, and got SIGKILL with all that it had started.
    LimitExceeded {
        /// Which, and how far.
        #[serde(flatten)]
        excess: Excess,
        /// Where a disk's room went: the directories that hold most, with their bytes.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        biggest: Vec<(String, u64)>,
    },
    /// It has more memory than its quota, and goes on: R14. Told every 20 s for as long.
    MemoryQuota {
        /// What it has (bytes): resident and swapped, without what the kernel can drop.
        used: u64,
        /// Its quota (bytes).
        allowed: u64,
    },
    /// Its command has exited, and left these running, which are ended with it.
    LeftRunning {
        /// Their command lines, cut where they are long.
        commands: Vec<String>,
    },
    /// Lines that were dropped because nobody read them and the spool was full.
    Dropped {
        /// How many.
        lines: u64,
    },
    /// It could not be started.
    LaunchFailed {
        /// The step of the launch.
        step: String,
        /// What the kernel said.
        error: String,
        /// What the operator can do about it; empty where nothing is known.
        remedy: String,
    },
    /// All its processes are gone.
    Exited {
        /// As a shell counts: 143 for SIGTERM.
        status: i32,
    },
    /// Its layer is gone, or was put aside, and this is what was in it.
    Discarded {
        /// The ledger as it stood.
        receipt: Receipt,
        /// Whether the layer was put aside: see [`crate::port::Engine::kept_layers`].
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        kept: bool,
    },
}

/// An event and when it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimedEvent {
    /// Microseconds since 1970.
    pub time: i64,
    /// Where it stands in what its supervisor reported (bytes): later events have larger ones.
    #[serde(skip)]
    pub position: u64,
    /// Where the next one stands, or will.
    #[serde(skip)]
    pub end: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Where a dyno stands, as `heroku ps` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DynoState {
    /// Its command was asked for, or runs and has not bound its port.
    Starting,
    /// It serves.
    Up,
    /// It got SIGTERM.
    Stopping,
    /// It stopped by itself and is to be started again.
    Crashed,
    /// It stopped and is not to be started again.
    Down,
}

impl DynoState {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            DynoState::Starting => "starting",
            DynoState::Up => "up",
            DynoState::Stopping => "stopping",
            DynoState::Crashed => "crashed",
            DynoState::Down => "down",
        }
    }

    /// Whether it has processes.
    pub fn is_alive(self) -> bool {
        matches!(self, DynoState::Starting | DynoState::Up | DynoState::Stopping)
    }
}

/// How long to wait before starting a dyno again: at once after the first crash, then 1, 2, 4 …
/// minutes up to [`LONGEST_COOL_OFF`]. A run longer than [`STEADY_RUN`] starts the count anew.
///
/// Heroku restarts at once and then waits longer and longer; its own table begins at 10 or 20
/// minutes, ours at one, because the machine is yours.
pub fn cool_off(crashes_in_a_row: u32) -> Duration {
    match crashes_in_a_row {
        0 | 1 => Duration::ZERO,
        n => Duration::from_mins(1 << (n - 2).min(16)).min(LONGEST_COOL_OFF),
    }
}

/// The longest cool-off: Heroku's 320 minutes.
pub const LONGEST_COOL_OFF: Duration = Duration::from_mins(320);

/// A run longer than this is not one of a row of crashes.
pub const STEADY_RUN: Duration = Duration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_crash_restarts_at_once_and_later_ones_wait_longer() {
        let minutes: Vec<u64> = (1..=12).map(|n| cool_off(n).as_secs() / 60).collect();
        assert_eq!(minutes, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 320, 320]);
        assert_eq!(cool_off(u32::MAX), LONGEST_COOL_OFF);
    }

    #[test]
    fn events_keep_their_shape_in_the_spool() {
        let line = TimedEvent {
            time: 7,
            position: 0,
            end: 0,
            event: Event::Line { text: "a".into(), partial: false },
        };
        let json = serde_json::to_string(&line).unwrap();
        assert_eq!(json, r#"{"time":7,"event":"line","text":"a"}"#);
        assert_eq!(serde_json::from_str::<TimedEvent>(&json).unwrap(), line);
    }
}
