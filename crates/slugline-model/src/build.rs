//! A build: what `slugline compile` is asked, what it answers, and its exit codes by phase.

use serde::{Deserialize, Serialize};

use crate::app_json::Manifest;
use crate::parts::Part;
use crate::procfile::ProcessTypes;
use crate::size;

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
    /// The slug holds the value of a config var, and the app asks for that to be a failure.
    pub const LEAK: i32 = 61;
    /// The slug could not be stored.
    pub const STORE: i32 = 70;
    /// The release phase failed.
    pub const RELEASE: i32 = 80;
    /// The build took more time, memory, processes or disk than it may.
    pub const LIMIT: i32 = 90;
    /// Somebody canceled the build.
    pub const CANCELED: i32 = 91;
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
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CompileResult {
    /// The process types: the Procfile's, completed by the buildpacks' defaults.
    pub process_types: ProcessTypes,
    /// What its app.json says of how it is run.
    #[serde(default)]
    pub manifest: Manifest,
    /// What the buildpacks call the app: `Python`, `Node.js, Python`.
    pub detected: String,
    /// The buildpacks that ran, in order: `heroku/python`.
    #[serde(default)]
    pub buildpacks: Vec<String>,
    /// What each step did to the tree, in order.
    pub steps: Vec<StepMeasure>,
    /// What `bin/report` of the buildpacks that have one says, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<BuildpackReport>,
    /// The finished tree.
    #[serde(default)]
    pub size: TreeSize,
    /// What the finished tree is made of, the biggest part first.
    #[serde(default)]
    pub parts: Vec<Part>,
    /// Where values of config vars are in the finished tree.
    #[serde(default)]
    pub leaks: Vec<Leak>,
}

/// A file at the root of the last build's tree: whoever moves something out of that tree makes it
/// first, so that the tree is not taken for whole by a later build.
pub const TAKEN: &str = ".taken";

/// What a buildpack's `bin/report` says of its build, by Heroku's contract a JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildpackReport {
    /// `heroku/python`, or a URL.
    pub buildpack: String,
    /// As it was printed.
    pub report: serde_json::Value,
}

/// What one buildpack or hook did to the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepMeasure {
    /// `heroku/python`, `bin/post_compile`.
    pub step: String,
    /// How long it took (milliseconds).
    pub millis: u64,
    /// The tree before it.
    pub before: TreeSize,
    /// The tree after it.
    pub after: TreeSize,
    /// What was not there before.
    #[serde(default)]
    pub added: TreeSize,
    /// What was there and is another now, with its size after the step.
    #[serde(default)]
    pub changed: TreeSize,
    /// What is no longer there.
    #[serde(default)]
    pub removed: TreeSize,
}

impl StepMeasure {
    /// `bin/post_compile: 1,204 files (8.1MB) added, 1 file (400B) removed`
    pub fn effect(&self) -> String {
        let effects = [(self.added, "added"), (self.changed, "changed"), (self.removed, "removed")];
        let told: Vec<String> = effects
            .into_iter()
            .filter(|(size, _)| size.files > 0)
            .map(|(size, word)| {
                format!("{} ({}) {word}", size::files(size.files), size::human(size.bytes))
            })
            .collect();
        let told = if told.is_empty() { "no file changed".to_owned() } else { told.join(", ") };
        format!("{}: {told}", self.step)
    }
}

/// How much a tree holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TreeSize {
    /// Regular files and symbolic links.
    pub files: u64,
    /// Their bytes, unpacked.
    pub bytes: u64,
}

/// A file of a slug that holds a config var's value. The value itself is never told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// The config var's name.
    pub config_var: String,
    /// The file, from the slug's root.
    pub path: String,
    /// The line, from 1; none in a binary file.
    pub line: Option<u64>,
    /// Where it begins (bytes).
    pub offset: u64,
    /// Whether it stands there in base64.
    #[serde(default)]
    pub base64: bool,
    /// Whether the file is as it came in the source.
    #[serde(default)]
    pub in_source: bool,
}

impl Leak {
    /// `client/build/main.js, line 3`, `app.pyc, byte 1,234, in base64`
    pub fn place(&self) -> String {
        let at = match self.line {
            Some(line) => format!("line {}", size::count(line)),
            None => format!("byte {}", size::count(self.offset)),
        };
        // A name is the app's, and may hold what a terminal obeys.
        let path: String =
            self.path.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        let base64 = if self.base64 { ", in base64" } else { "" };
        let in_source = if self.in_source { ", as it came in the source" } else { "" };
        format!("{path}, {at}{base64}{in_source}")
    }
}
