//! Cron: commands of app.json, run at their time as one-off dynos.

use std::collections::BTreeMap;
use std::time::Duration;

use slugline_model::app_json::{CronEntry, Overlap};
use slugline_model::cron::{Due, ON_TIME, due};
use slugline_model::dyno::{DynoId, Streams};
use slugline_model::logline::timestamp;
use slugline_model::name::ProcessType;
use slugline_model::resources::DynoSize;

use crate::clock;
use crate::db::app::App;
use crate::db::cron::Done;
use crate::db::{self, DbError};
use crate::dynos::Dyno;
use crate::platform::Platform;
use crate::reconcile::Running;
use crate::runs::RunRequest;

/// The clock is looked at as often, since it may be set meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// A clock that is put back by more than this was wrong before: what it had run is run at its new
/// times. By less, nothing is run twice (microseconds).
const PUT_BACK: i64 = 3_600_000_000;

/// Where its log lines come from.
const PROCESS: &str = "cron";

impl Platform {
    /// Runs what is due, for ever.
    pub(crate) async fn cron_for_ever(self) {
        loop {
            let next = self.run_due().unwrap_or_else(|error| {
                tracing::error!(?error, "cron could not read the state");
                None
            });
            let wait = next.map_or(LOOK_EVERY, |next| {
                Duration::from_micros(u64::try_from(next - clock::now()).unwrap_or(0))
            });
            let wait = wait.clamp(Duration::from_millis(100), LOOK_EVERY);
            let _ = tokio::time::timeout(wait, self.inner.other_entries.notified()).await;
        }
    }

    /// Runs what is due; gives when the next run is.
    fn run_due(&self) -> Result<Option<i64>, DbError> {
        let mut next: Option<i64> = None;
        for app in self.inner.db.read(db::app::all)? {
            if self.dynos().is_shutting_down() {
                break;
            }
            let Some(running) = self.running(app.id)? else { continue };
            let entries = &running.slug.manifest.cron;
            let keys: Vec<String> = entries.iter().map(CronEntry::key).collect();
            self.inner.db.transaction(|db| db::cron::keep(db, app.id, &keys))?;
            for entry in entries {
                let until = self.look_at(&app, &running, entry)?;
                next = next.into_iter().chain(until).min();
            }
        }
        Ok(next)
    }

    /// Runs an entry if it is due; gives its next run otherwise.
    fn look_at(
        &self,
        app: &App,
        running: &Running,
        entry: &CronEntry,
    ) -> Result<Option<i64>, DbError> {
        let (now, key) = (clock::now(), entry.key());
        let known = self.inner.db.read(|db| db::cron::find(db, app.id, &key))?;
        // One that is new begins now.
        let fresh = known.is_none();
        let mut done = known.unwrap_or_else(|| Done { until: now, ..Done::default() });
        if done.until.saturating_sub(now) > PUT_BACK {
            done.until = now;
        }
        let (at, missed) = match due(&entry.schedule, done.until, now) {
            Some(Due::Run { at, missed }) => (at, missed),
            other => {
                if fresh {
                    self.inner.db.transaction(|db| db::cron::put(db, app.id, &key, &done))?;
                }
                let until = |due| if let Due::Nothing { until } = due { Some(until) } else { None };
                return Ok(other.and_then(until));
            }
        };
        // First of all: a server that is killed now has skipped a run, and makes none twice.
        done.until = at;
        self.inner.db.transaction(|db| db::cron::put(db, app.id, &key, &done))?;
        if !entry.paused {
            self.tell_lateness(app, entry, at, missed, now);
            if self.may_run(app, entry, &done) {
                self.run_entry(app, running, entry, &done)?;
            }
        }
        Ok(None)
    }

    fn tell_lateness(&self, app: &App, entry: &CronEntry, at: i64, missed: u64, now: i64) {
        let command = &entry.command;
        if missed > 0 {
            let text = format!("`{command}`: {missed} runs were missed, and are not made up");
            self.say(&app.name, PROCESS, text);
        }
        if now - at > ON_TIME {
            let due = timestamp(at);
            self.say(&app.name, PROCESS, format!("`{command}`: the run of {due} is made up now"));
        }
    }

    /// Whether an entry may run beside what is left of its last run.
    fn may_run(&self, app: &App, entry: &CronEntry, done: &Done) -> bool {
        let Some((id, name)) = self.still_running(app, done) else { return true };
        match entry.overlap {
            Overlap::Allow => true,
            Overlap::Forbid => {
                let text = format!("`{}`: not run, since {name} still runs", entry.command);
                self.say(&app.name, PROCESS, text);
                false
            }
            Overlap::Replace => {
                self.say(&app.name, PROCESS, format!("`{}`: stopping {name}", entry.command));
                self.retire(id);
                true
            }
        }
    }

    fn still_running(&self, app: &App, done: &Done) -> Option<(DynoId, String)> {
        let name = done.last_dyno.clone().filter(|_| done.last_status.is_none())?;
        let dynos = self.dynos();
        let runs = |dyno: &&Dyno| {
            dyno.app == app.name && dyno.name.to_string() == name && dyno.state.is_alive()
        };
        dynos.alive.values().find(runs).map(|dyno| (dyno.id, name.clone()))
    }

    fn run_entry(
        &self,
        app: &App,
        running: &Running,
        entry: &CronEntry,
        done: &Done,
    ) -> Result<(), DbError> {
        let request = RunRequest {
            process_type: ProcessType::cron(),
            command: entry.command.clone(),
            size: DynoSize::BASIC,
            env: BTreeMap::new(),
            time_to_live: None,
            streams: Streams::Lines,
        };
        let spec = self.start_run(app, running, request)?;
        let done = Done {
            last_run: Some(clock::now()),
            last_dyno: Some(spec.dyno.to_string()),
            last_status: None,
            ..done.clone()
        };
        self.inner.db.transaction(|db| db::cron::put(db, app.id, &entry.key(), &done))
    }

    /// Notes how a run ended, if a dyno was one.
    pub(crate) fn settle_cron(&self, dyno: &Dyno, status: Option<i32>) {
        if dyno.name.process_type != ProcessType::cron() {
            return;
        }
        let name = dyno.name.to_string();
        let settled = self.inner.db.transaction(|db| match db::app::find(db, dyno.app.as_str())? {
            Some(app) => db::cron::settle(db, app.id, &name, status.or(Some(NEVER_RAN))),
            None => Ok(()),
        });
        if let Err(error) = settled {
            tracing::error!(?error, "the end of a cron run could not be noted");
        }
    }
}

/// As a shell counts what it cannot run.
const NEVER_RAN: i32 = 126;
