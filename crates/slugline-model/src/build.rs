//! A build: what `slugline compile` is asked, what it answers, and its exit codes by phase.

use serde::{Deserialize, Serialize};

use crate::procfile::ProcessTypes;

/// Exit codes of `slugline compile`, by phase in decades.
pub mod exit_code {
    /// The slug was compiled.
    pub const OK: i32 = 0;
    /// The machine itself is in the way: a directory, a pipe, a permission.
    pub const INTERNAL: i32 = 10;
    /// The source could not be unpacked, or is not acceptable.
    pub const SOURCE: i32 = 20;
    /// The Procfile, or another file that the platform reads, does not parse.
    pub const PROCFILE: i32 = 21;
    /// No buildpack recognises the app, or one could not be fetched.
    pub const DETECT: i32 = 30;
    /// A hook failed.
    pub const HOOK: i32 = 40;
    /// A buildpack failed.
    pub const COMPILE: i32 = 50;
    /// A lock file is out of step with what it locks.
    pub const LOCK_FILE: i32 = 51;
    /// There is nothing to run: no Procfile and no default process type.
    pub const PROCESS_TYPES: i32 = 52;
    /// The slug is too large, or could not be packed.
    pub const PACK: i32 = 60;
    /// The slug could not be stored.
    pub const STORE: i32 = 70;
    /// The release phase failed.
    pub const RELEASE: i32 = 80;
}

/// Where a build stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BuildStatus {
    /// Waiting or running.
    Pending,
    /// There is a slug.
    Succeeded,
    /// There is none.
    Failed,
}

impl BuildStatus {
    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            BuildStatus::Pending => "pending",
            BuildStatus::Succeeded => "succeeded",
            BuildStatus::Failed => "failed",
        }
    }
}

/// What `slugline compile` writes beside the tree when it ends well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompileResult {
    /// The process types: the Procfile's, completed by the buildpacks' defaults.
    pub process_types: ProcessTypes,
    /// What the buildpacks call the app: `Python`, `Node.js, Python`.
    pub detected: String,
    /// What each step did to the tree, in order.
    pub steps: Vec<StepMeasure>,
}

/// Where `slugline compile` leaves what the buildpacks' `bin/report` say, beside its result: a list,
/// whether or not the build ends well.
pub const REPORTS: &str = "reports.json";

/// What a buildpack's `bin/report` says of its build, by Heroku's contract a JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildpackReport {
    /// `heroku/python`, or a URL.
    pub buildpack: String,
    /// As it was printed.
    pub report: serde_json::Value,
}

/// The tree before and after one buildpack or hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepMeasure {
    /// `heroku/python`, `bin/post_compile`.
    pub step: String,
    /// How long it took (milliseconds).
    pub millis: u64,
    /// Before it.
    pub before: TreeSize,
    /// After it.
    pub after: TreeSize,
}

/// How much a tree holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TreeSize {
    /// Regular files and symbolic links.
    pub files: u64,
    /// Their bytes, unpacked.
    pub bytes: u64,
}
