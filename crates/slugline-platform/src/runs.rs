//! One-off dynos that somebody asked for, or whose time has come.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use slugline_model::dyno::{DynoSpec, Streams};
use slugline_model::name::{DynoName, ProcessType};
use slugline_model::procfile::ProcessTypes;
use slugline_model::resources::{DynoSize, Resources};
use slugline_model::slug::SlugId;
use uuid::Uuid;

use crate::db::DbError;
use crate::db::app::App;
use crate::dynos::{Dyno, Role};
use crate::platform::Platform;
use crate::reconcile::{Running, millis};

/// A one-off dyno runs no longer. Heroku: 24 hours.
pub(crate) const LONGEST_RUN: Duration = Duration::from_hours(24);

/// What a one-off dyno is asked for.
#[derive(Debug, Clone)]
pub(crate) struct RunRequest {
    /// Its name's first part: `run`, `cron`, or the type that was asked for.
    pub(crate) process_type: ProcessType,
    /// Given to bash, or a process type.
    pub(crate) command: String,
    pub(crate) size: DynoSize,
    /// Beside the config vars.
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) time_to_live: Option<Duration>,
    pub(crate) streams: Streams,
}

impl Platform {
    /// Makes a one-off dyno known, under a number that no other one has: it is not started yet.
    pub(crate) fn add_run(
        &self,
        app: &App,
        running: &Running,
        request: RunRequest,
    ) -> Result<(DynoSpec, SlugId), DbError> {
        let name = self.new_name(app, &request.process_type);
        let command = resolve(&request.command, &running.slug.process_types);
        let mut spec = self.dyno_spec(app, name, &command, (&running.release, &running.slug), None);
        // What makes a dyno one is not up to whoever asks for it.
        let dyno = spec.env.get("DYNO").cloned();
        spec.env.extend(request.env);
        spec.env.extend(dyno.map(|name| ("DYNO".to_owned(), name)));
        spec.times.run = Some(millis(request.time_to_live.unwrap_or(LONGEST_RUN).min(LONGEST_RUN)));
        spec.resources = Resources::of_dyno(request.size, &self.inner.config.limits);
        spec.streams = request.streams;
        self.register(&Dyno::new(&spec, Role::OneOff, request.size))?;
        Ok((spec, running.slug.tree.clone()))
    }

    /// Starts a one-off dyno by itself: what it writes is in the log.
    pub(crate) fn start_run(
        &self,
        app: &App,
        running: &Running,
        request: RunRequest,
    ) -> Result<DynoSpec, DbError> {
        let (spec, tree) = self.add_run(app, running, request)?;
        let text = format!("Starting process with command `{}`", spec.command);
        self.say(&app.name, &spec.dyno.to_string(), text);
        let (platform, started) = (self.clone(), spec.clone());
        tokio::spawn(async move { platform.launch(started, tree).await });
        Ok(spec)
    }

    fn new_name(&self, app: &App, process_type: &ProcessType) -> DynoName {
        let taken: HashSet<DynoName> = {
            let dynos = self.dynos();
            let of_app = dynos.alive.values().filter(|dyno| dyno.app == app.name);
            of_app.map(|dyno| dyno.name.clone()).collect()
        };
        loop {
            let number = u32::try_from(Uuid::new_v4().as_u128() % 9_000).unwrap_or(0) + 1_000;
            let name = DynoName::new(process_type.clone(), number);
            // A formation has 1,000 dynos of a type at most; so many one-offs no machine runs.
            if !taken.contains(&name) {
                return name;
            }
        }
    }
}

/// The command that is meant: a process type's, where one is named in its place. The stock CLI
/// puts ` ; echo …` behind it where it wants the status.
pub(crate) fn resolve(command: &str, types: &ProcessTypes) -> String {
    let (first, rest) = match command.split_once(" ;") {
        Some((first, rest)) => (first, format!(" ;{rest}")),
        None => (command, String::new()),
    };
    let named: Option<ProcessType> = first.trim().parse().ok();
    match named.and_then(|named| types.get(&named)) {
        Some(of_type) => format!("{of_type}{rest}"),
        None => command.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_type_stands_for_its_command() {
        let types = slugline_model::procfile::parse("worker: python work.py").unwrap();
        assert_eq!(resolve("worker", &types), "python work.py");
        assert_eq!(resolve("worker ; echo \"$?\"", &types), "python work.py ; echo \"$?\"");
        for other in ["worker --once", "workers", "bash", "echo a ; worker"] {
            assert_eq!(resolve(other, &types), other);
        }
    }
}
