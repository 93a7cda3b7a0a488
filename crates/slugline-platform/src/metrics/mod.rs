//! Measuring dynos: every 20 s for the log, and whenever somebody asks.

pub(crate) mod exposition;
mod samples;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use slugline_model::dyno::DynoId;
use slugline_model::name::AppName;
use slugline_model::neighbours::{Neighbour, Slowed, slowed};
use slugline_model::usage::Usage;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::api::RUNTIME_METRICS;
use crate::clock;
use crate::db::{self, DbError};
use crate::dynos::{Dyno, Role};
use crate::platform::Platform;
pub(crate) use samples::{Measured, Samples};

/// How often dynos are measured for the log: as on Heroku.
const PERIOD: Duration = Duration::from_secs(20);

/// How long nothing is said of a slow dyno whose slowness was told (microseconds).
const TOLD: i64 = 120_000_000;

/// What was measured, of every dyno that lives.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Mutex<Samples>);

/// What all dynos of this machine use.
#[derive(Debug, Serialize)]
pub(crate) struct Usages {
    /// Processors of the machine.
    pub(crate) processors: usize,
    pub(crate) dynos: Vec<Measured>,
    /// Those that waited for what others had meanwhile.
    pub(crate) slowed: Vec<Slowed>,
}

impl Metrics {
    fn samples(&self) -> MutexGuard<'_, Samples> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Platform {
    /// Whether an app's log has Heroku's runtime metrics, its lab feature `log-runtime-metrics`.
    pub(crate) fn metrics_enabled(&self, app: Uuid) -> Result<bool, DbError> {
        let set = self.inner.db.read(|db| db::feature::of_app(db, app, RUNTIME_METRICS))?;
        Ok(set.unwrap_or(self.inner.config.runtime_metrics))
    }

    /// Measures all dynos again and again.
    pub(crate) async fn measure_for_ever(self) {
        let mut beat = tokio::time::interval(PERIOD);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            let found = self.look_at_dynos().await;
            let measured = self.inner.metrics.samples().beat(found);
            self.log_metrics(&measured);
            self.log_slowness(&measured);
        }
    }

    /// What every dyno uses now.
    pub(crate) async fn usages(&self) -> Usages {
        let found = self.look_at_dynos().await;
        let dynos = self.inner.metrics.samples().ask(found);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let slowed = slowed(&neighbours(&dynos));
        Usages { processors, dynos, slowed }
    }

    /// Of two runs of a dyno, one that ends and one that begins, only the later one.
    async fn look_at_dynos(&self) -> Vec<(Dyno, Usage)> {
        let mut latest: BTreeMap<(AppName, String), Dyno> = BTreeMap::new();
        for dyno in self.dynos().alive.values().filter(|dyno| dyno.state.is_alive()) {
            let name = (dyno.app.clone(), dyno.name.to_string());
            let known = latest.entry(name).or_insert_with(|| dyno.clone());
            if known.started_at < dyno.started_at {
                *known = dyno.clone();
            }
        }
        let usage = |inner: &crate::platform::Inner| {
            let known = |dyno: Dyno| Some((dyno.clone(), inner.engine.usage(dyno.id)?));
            latest.into_values().filter_map(known).collect()
        };
        self.blocking(usage).await
    }

    /// Heroku's two lines of each dyno.
    fn log_metrics(&self, measured: &[Measured]) {
        let mut ids: BTreeMap<AppName, Option<Uuid>> = BTreeMap::new();
        for dyno in measured.iter().filter(|dyno| dyno.role != Role::Build) {
            let wanted =
                || self.id_of(&dyno.app).filter(|id| self.metrics_enabled(*id).unwrap_or(false));
            let id = ids.entry(dyno.app.clone()).or_insert_with(wanted);
            let Some(id) = id else { continue };
            let from = source(*id, &dyno.dyno, dyno.id);
            self.say(&dyno.app, &dyno.dyno, format!("{from} {}", dyno.load));
            self.say(&dyno.app, &dyno.dyno, format!("{from} {}", dyno.usage.memory));
        }
    }

    fn id_of(&self, app: &AppName) -> Option<Uuid> {
        let found = self.inner.db.read(|db| db::app::find(db, app.as_str())).ok()?;
        found.map(|app| app.id)
    }

    /// A line in the log of each dyno that waited for what others had meanwhile.
    fn log_slowness(&self, measured: &[Measured]) {
        let now = clock::now();
        for slow in slowed(&neighbours(measured)) {
            let dyno = measured.iter().find(|dyno| dyno.title == slow.dyno);
            let Some(dyno) = dyno.filter(|dyno| dyno.role != Role::Build) else { continue };
            if self.inner.metrics.samples().may_tell(dyno.id, now, TOLD) {
                self.say(&dyno.app, &dyno.dyno, slow.to_string());
            }
        }
    }
}

fn neighbours(measured: &[Measured]) -> Vec<Neighbour> {
    let neighbour = |dyno: &Measured| Neighbour {
        name: dyno.title.clone(),
        rates: dyno.rates,
        memory: dyno.usage.memory.used(),
        quota: dyno.usage.memory.quota,
    };
    measured.iter().map(neighbour).collect()
}

/// Heroku's `source=web.1 dyno=heroku.2808254.d97d0ea7-cf3d-411b-b453-d2943a50b456`. The number is
/// the app's: ours is made of its id.
fn source(app: Uuid, dyno: &str, id: DynoId) -> String {
    let number = app.as_u128() % 100_000_000;
    format!("source={dyno} dyno=heroku.{number}.{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_which_dyno_as_herokus_does() {
        let (app, id) = (Uuid::from_u128(1_002_808_254), Uuid::from_u128(7));
        let said = "source=web.1 dyno=heroku.2808254.00000000-0000-0000-0000-000000000007";
        assert_eq!(source(app, "web.1", id), said);
    }
}
