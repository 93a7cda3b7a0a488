//! Crashes: what is known of each, and when its dyno starts again.

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use slugline_model::dyno::{DynoId, STEADY_RUN, cool_off};
use slugline_model::name::{AppName, DynoName};
use slugline_model::plan::CoolingOff;

use crate::db;
use crate::dynos::Dyno;
use crate::platform::Platform;

/// A dyno that stopped by itself and is to be started again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Crash {
    /// The run that crashed.
    pub(crate) id: DynoId,
    pub(crate) command: String,
    pub(crate) release: u64,
    pub(crate) size: String,
    /// `R10`; none where the app ended by itself.
    pub(crate) code: Option<String>,
    /// As a shell counts; none where it never ran.
    pub(crate) status: Option<i32>,
    /// The last that it wrote.
    pub(crate) lines: Vec<String>,
    pub(crate) in_a_row: u32,
    /// When it is started again (microseconds since 1970).
    pub(crate) until: i64,
    pub(crate) at: i64,
}

/// All crashes, the last one of each dyno.
pub(crate) type Crashes = HashMap<(AppName, DynoName), Crash>;

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

impl Crash {
    /// That of a dyno, which follows another one or none.
    fn of(dyno: &Dyno, status: Option<i32>, before: Option<&Crash>, now: i64) -> Self {
        let ran_long = now - dyno.started_at > micros(STEADY_RUN);
        let before = before.filter(|crash| crash.release == dyno.release && !ran_long);
        let in_a_row = before.map_or(0, |crash| crash.in_a_row).saturating_add(1);
        Self {
            id: dyno.id,
            command: dyno.command.clone(),
            release: dyno.release,
            size: dyno.size.name.to_owned(),
            code: dyno.code.map(str::to_owned),
            status,
            lines: dyno.lines.all(),
            in_a_row,
            until: now.saturating_add(micros(cool_off(in_a_row))),
            at: now,
        }
    }

    /// When it is started again. A clock that was put back to before the crash ends the cool-off: how
    /// much of it is over, nobody knows.
    pub(crate) fn until(&self, now: i64) -> i64 {
        if now < self.at { now } else { self.until }
    }

    /// Why it is down, in a few words: `R10`, `status 1`.
    pub(crate) fn why(&self) -> String {
        match (&self.code, self.status) {
            (Some(code), _) => code.clone(),
            (None, Some(status)) => format!("status {status}"),
            (None, None) => "it could not be started".to_owned(),
        }
    }
}

impl Platform {
    /// Notes that a dyno of the formation stopped by itself; gives what is known of it now. One of
    /// a release that another has replaced takes nobody's place, and is not started again.
    pub(crate) fn note_crash(&self, dyno: &Dyno, status: Option<i32>, now: i64) -> Option<Crash> {
        let key = (dyno.app.clone(), dyno.name.clone());
        let crash = {
            let mut dynos = self.dynos();
            let before = dynos.crashes.get(&key);
            if before.is_some_and(|before| before.release > dyno.release) {
                return None;
            }
            let crash = Crash::of(dyno, status, before, now);
            dynos.crashes.insert(key, crash.clone());
            crash
        };
        let kept =
            self.inner.db.transaction(|db| db::crash::put(db, &dyno.app, &dyno.name, &crash));
        if let Err(error) = kept {
            tracing::error!(?error, "a crash could not be kept");
        }
        Some(crash)
    }

    /// Forgets crashes, so that their dynos start at once.
    pub(crate) fn pardon(&self, app: &AppName, matches: impl Fn(&DynoName) -> bool) {
        let pardoned: Vec<DynoName> = {
            let mut dynos = self.dynos();
            let of_app = |(owner, dyno): &(AppName, DynoName)| owner == app && matches(dyno);
            let names = dynos.crashes.keys().filter(|key| of_app(key));
            let names = names.map(|(_, dyno)| dyno.clone()).collect();
            dynos.crashes.retain(|key, _| !of_app(key));
            names
        };
        if pardoned.is_empty() {
            return;
        }
        let forgotten = self.inner.db.transaction(|db| {
            pardoned.iter().try_for_each(|dyno| db::crash::delete(db, app, dyno))
        });
        if let Err(error) = forgotten {
            tracing::error!(?error, "a crash could not be forgotten");
        }
    }

    /// Forgets the crashes of dynos that nobody wants any more.
    pub(crate) fn pardon_all_but(&self, wanted: &HashMap<AppName, Vec<DynoName>>) {
        let crashed: Vec<(AppName, DynoName)> = self.dynos().crashes.keys().cloned().collect();
        for (app, dyno) in crashed {
            let is_wanted = wanted.get(&app).is_some_and(|dynos| dynos.contains(&dyno));
            if !is_wanted {
                self.pardon(&app, |name| *name == dyno);
            }
        }
    }
}

/// The crashes of an app, for the plan.
pub(crate) fn cooling(crashes: &Crashes, app: &AppName, now: i64) -> Vec<CoolingOff> {
    let of_app = crashes.iter().filter(|((owner, _), _)| owner == app);
    let cooling = |((_, dyno), crash): (&(AppName, DynoName), &Crash)| CoolingOff {
        dyno: dyno.clone(),
        release: crash.release,
        until: crash.until(now),
    };
    of_app.map(cooling).collect()
}

/// When the next cool-off ends (microseconds since 1970).
pub(crate) fn next_start(crashes: &Crashes, now: i64) -> Option<i64> {
    crashes.values().map(|crash| crash.until(now)).filter(|until| *until > now).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_put_back_ends_a_cool_off() {
        let crash = Crash {
            id: DynoId::nil(),
            command: "exit 3".to_owned(),
            release: 1,
            size: "basic".to_owned(),
            code: None,
            status: Some(3),
            lines: vec![],
            in_a_row: 2,
            until: 160,
            at: 100,
        };
        assert_eq!((crash.until(100), crash.until(120), crash.until(170)), (160, 160, 160));
        assert_eq!(crash.until(99), 99, "it is over at once");
    }
}
