//! The end of a dyno's run: when its time is up, and how it goes without losing a request.

use std::time::{Duration, Instant};

use slugline_model::cycle::is_due;
use slugline_model::dyno::{DynoId, DynoState};
use slugline_model::name::AppName;

use crate::clock;
use crate::dynos::{Dyno, Role};
use crate::platform::Platform;

/// How long the router may take to read a table. It chose by the one before until then.
const TABLE_READ: Duration = Duration::from_millis(100);

/// How often a dyno's requests are counted while it drains.
const COUNT_EVERY: Duration = Duration::from_millis(20);

impl Platform {
    /// Takes a dyno out of service: the router forgets it, its requests end, then it is stopped.
    pub(crate) fn retire(&self, id: DynoId) {
        let served = self.dynos().set_state(id, DynoState::Stopping, clock::now());
        self.publish_routes();
        let platform = self.clone();
        tokio::spawn(async move {
            if served == Some(DynoState::Up) {
                platform.drain(id).await;
            }
            platform.stop(id).await;
        });
    }

    /// Waits for the requests that a dyno answers, for as long as it would have after SIGTERM. With
    /// the server's end nobody is left to be answered.
    async fn drain(&self, id: DynoId) {
        let is_web = self.dynos().alive.get(&id).is_some_and(Dyno::is_web);
        if !is_web || self.dynos().is_shutting_down() {
            return;
        }
        let start = Instant::now();
        tokio::time::sleep(TABLE_READ).await;
        while self.inner.in_flight.count(id) > 0
            && start.elapsed() < self.inner.config.limits.stop
            && !self.dynos().is_shutting_down()
        {
            tokio::time::sleep(COUNT_EVERY).await;
        }
    }

    /// Asks a dyno to stop, at once. The router forgets it.
    pub(crate) async fn stop(&self, id: DynoId) {
        self.dynos().set_state(id, DynoState::Stopping, clock::now());
        self.publish_routes();
        if let Err(error) = self.blocking(move |inner| inner.engine.stop(id)).await {
            tracing::error!(?error, %id, "a dyno could not be stopped");
        }
    }

    /// Says of an app's dynos whose time is up that new runs are to take their places: one of a
    /// process type at a time, so that the others are kept up.
    pub(crate) fn cycle(&self, app: &AppName, now: i64) {
        let Some(cycle) = self.inner.config.cycle else { return };
        let booted = clock::since_boot();
        let mut dynos = self.dynos();
        let formation: Vec<&Dyno> = dynos
            .alive
            .values()
            .filter(|dyno| dyno.app == *app && dyno.role == Role::Formation)
            .collect();
        let rests = |dyno: &Dyno| dyno.state == DynoState::Up && !dyno.worn;
        let mut due: Vec<Dyno> = Vec::new();
        for dyno in &formation {
            let of_type = |other: &&&Dyno| other.name.process_type == dyno.name.process_type;
            let all_rest = formation.iter().filter(of_type).all(|other| rests(other));
            let first = !due.iter().any(|d| d.name.process_type == dyno.name.process_type);
            let age = booted.saturating_sub(dyno.booted);
            if all_rest && first && is_due(&cycle, dyno.id, age, now) {
                due.push((*dyno).clone());
            }
        }
        for dyno in &due {
            dynos.wear(app, |other| other.id == dyno.id);
        }
        drop(dynos);
        for dyno in &due {
            self.say(app, &dyno.name.to_string(), "Cycling");
        }
    }
}
