//! `app.json`: what of it matters while an app runs. The form of both parts is Dokku's, whose users
//! have such files; Heroku's own app.json has neither.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cron::{Schedule, ScheduleError};

/// What an app says of how it is to be run. Stored with its slug.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Manifest {
    /// What runs at its time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cron: Vec<CronEntry>,
    /// When a web dyno may serve; none for as soon as it listens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// Directories below the app that are fine to lose: `tmp/thumbnails`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scratch: Vec<String>,
    /// The pages that a proof begins with; none for the start page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prove_paths: Vec<String>,
}

/// A command and when it runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronEntry {
    /// Given to bash, or a process type of the Procfile.
    pub command: String,
    /// `30 4 * * *`, `@daily`: in UTC.
    pub schedule: Schedule,
    /// What happens where the run before has not ended.
    #[serde(default, rename = "concurrency_policy")]
    pub overlap: Overlap,
    /// Whether it does not run for now.
    #[serde(default, rename = "maintenance")]
    pub paused: bool,
}

impl CronEntry {
    /// What it is known by from one release to the next.
    pub fn key(&self) -> String {
        format!("{} {}", self.schedule, self.command)
    }
}

/// What happens where the run before has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// Both run. Dokku's default.
    Allow,
    /// The new one does not run. Ours: a run that takes longer than it should is seldom helped by a
    /// second one.
    #[default]
    Forbid,
    /// The old one is stopped first.
    Replace,
}

/// What a web dyno must answer before it serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Asked for by GET; an answer of 200 to 299 is one of a healthy dyno.
    pub path: String,
    /// How long one answer may take (seconds).
    #[serde(default = "HealthCheck::default_timeout")]
    pub timeout: u64,
    /// How often it is asked. Dokku: 3.
    #[serde(default = "HealthCheck::default_attempts")]
    pub attempts: u32,
    /// How long is waited between two (seconds). Dokku: 5.
    #[serde(default = "HealthCheck::default_wait")]
    pub wait: u64,
}

impl HealthCheck {
    fn default_timeout() -> u64 {
        5
    }

    fn default_attempts() -> u32 {
        3
    }

    fn default_wait() -> u64 {
        5
    }

    /// How long one answer may take.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout.clamp(1, 60))
    }

    /// How long is waited between two tries.
    pub fn pause(&self) -> Duration {
        Duration::from_secs(self.wait.min(60))
    }

    /// How often it is asked.
    pub fn tries(&self) -> u32 {
        self.attempts.clamp(1, 60)
    }
}

/// Why an `app.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AppJsonError {
    /// It is no JSON, or of another shape.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A schedule that names no time.
    #[error("the schedule `{schedule}` of `{command}`: {error}")]
    Schedule {
        /// As it was written.
        schedule: String,
        /// Whose.
        command: String,
        /// What is wrong.
        error: ScheduleError,
    },
    /// A health check that asks for nothing that can be asked for.
    #[error("the path `{0}` of a health check does not start with a slash")]
    Path(String),
    /// A scratch directory that is not below the app.
    #[error("the scratch directory `{0}` is not a path below the app, such as tmp/thumbnails")]
    Scratch(String),
    /// A page that cannot be asked for.
    #[error("the path `{0}` of `prove` does not start with a slash")]
    ProvePath(String),
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct File {
    cron: Vec<FileCron>,
    healthchecks: Checks,
    scratch: Vec<String>,
    prove: Prove,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Prove {
    paths: Vec<String>,
}

#[derive(Deserialize)]
struct FileCron {
    command: String,
    schedule: String,
    #[serde(default)]
    concurrency_policy: Overlap,
    #[serde(default)]
    maintenance: bool,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Checks {
    web: Vec<FileCheck>,
}

#[derive(Deserialize)]
struct FileCheck {
    #[serde(rename = "type", default = "startup")]
    kind: String,
    path: Option<String>,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

fn startup() -> String {
    "startup".to_owned()
}

/// Reads an `app.json`.
pub fn parse(text: &str) -> Result<Manifest, AppJsonError> {
    let file: File = serde_json::from_str(text)?;
    let cron = file.cron.into_iter().map(entry).collect::<Result<_, _>>()?;
    // Those of a dyno that serves already (`liveness`) are not made.
    let starts = |check: &&FileCheck| matches!(check.kind.as_str(), "startup" | "readiness");
    let check = file.healthchecks.web.iter().find(|c| starts(c) && c.path.is_some());
    let scratch = file.scratch.into_iter().map(scratch).collect::<Result<_, _>>()?;
    let prove_paths = file.prove.paths;
    if let Some(path) = prove_paths.iter().find(|path| !is_sound(path)) {
        return Err(AppJsonError::ProvePath(path.clone()));
    }
    let health_check = check.map(health_check).transpose()?;
    Ok(Manifest { cron, health_check, scratch, prove_paths })
}

/// Whether it can stand in a request.
fn is_sound(path: &str) -> bool {
    path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A path below the app, without a slash at its end.
fn scratch(path: String) -> Result<String, AppJsonError> {
    let trimmed = path.trim_end_matches('/');
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    if trimmed.split('/').all(is_plain) {
        Ok(trimmed.to_owned())
    } else {
        Err(AppJsonError::Scratch(path))
    }
}

fn entry(file: FileCron) -> Result<CronEntry, AppJsonError> {
    let FileCron { command, schedule, concurrency_policy, maintenance } = file;
    match schedule.parse() {
        Ok(schedule) => {
            Ok(CronEntry { command, schedule, overlap: concurrency_policy, paused: maintenance })
        }
        Err(error) => Err(AppJsonError::Schedule { schedule, command, error }),
    }
}

fn health_check(file: &FileCheck) -> Result<HealthCheck, AppJsonError> {
    let path = file.path.clone().unwrap_or_default();
    let sound = path.starts_with('/') && !path.contains(|c: char| c.is_control() || c == ' ');
    if !sound {
        return Err(AppJsonError::Path(path));
    }
    let number = |name: &str| file.rest.get(name).and_then(serde_json::Value::as_u64);
    let attempts = number("attempts").and_then(|n| u32::try_from(n).ok());
    Ok(HealthCheck {
        path,
        timeout: number("timeout").unwrap_or_else(HealthCheck::default_timeout),
        attempts: attempts.unwrap_or_else(HealthCheck::default_attempts),
        wait: number("wait").unwrap_or_else(HealthCheck::default_wait),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dokku_users_have_is_understood() {
        let manifest = parse(
            r#"{"name": "x", "cron": [{"command": "npm run mail", "schedule": "@daily"},
                {"command": "sync", "schedule": "*/5 * * * *", "concurrency_policy": "replace"}],
              "healthchecks": {"web": [{"type": "startup", "name": "up", "uptime": 3},
                {"type": "startup", "path": "/health", "attempts": 7, "timeout": 2}]}}"#,
        )
        .unwrap();
        assert_eq!(manifest.cron[0].key(), "0 0 * * * npm run mail");
        assert_eq!(manifest.cron[0].overlap, Overlap::Forbid);
        assert_eq!(manifest.cron[1].overlap, Overlap::Replace);
        let check = manifest.health_check.clone().unwrap();
        assert_eq!((check.path.as_str(), check.tries(), check.timeout), ("/health", 7, 2));
        let json = serde_json::to_string(&manifest).unwrap();
        assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), manifest);
        assert_eq!(parse("{}").unwrap(), Manifest::default());
        let proven = parse(r#"{"prove": {"paths": ["/", "/about"]}}"#).unwrap();
        assert_eq!(proven.prove_paths, ["/", "/about"]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, says) in [
            ("[", "EOF"),
            (r#"{"cron": [{"command": "a", "schedule": "61 * * * *"}]}"#, "`61 * * * *` of `a`"),
            (r#"{"healthchecks": {"web": [{"path": "health"}]}}"#, "`health`"),
            (r#"{"prove": {"paths": ["/", "about us"]}}"#, "`about us`"),
            (r#"{"cron": [{"schedule": "@daily"}]}"#, "command"),
        ] {
            assert!(parse(text).unwrap_err().to_string().contains(says), "{text}");
        }
    }

    #[test]
    fn scratch_directories_lie_below_the_app() {
        let manifest = parse(r#"{ "scratch": ["media/cache/", "tmp"] }"#).unwrap();
        assert_eq!(manifest.scratch, ["media/cache", "tmp"]);
        for path in ["/tmp", "../x", "", "a//b", "."] {
            let text = format!(r#"{{ "scratch": ["{path}"] }}"#);
            assert!(matches!(parse(&text), Err(AppJsonError::Scratch(_))), "{path}");
        }
    }
}
