//! What is alive: every dyno, and every crash that waits for its next start.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use slugline_model::dyno::{DynoId, DynoSpec, DynoState, STEADY_RUN, TimedEvent, cool_off};
use slugline_model::logline::Origin;
use slugline_model::name::{AppName, DynoName};
use slugline_model::plan::{CoolingOff, Seen};
use slugline_model::slug::SlugId;
use tokio::sync::{mpsc, watch};

/// One run of a dyno, until its receipt is written.
#[derive(Debug, Clone)]
pub(crate) struct Dyno {
    pub(crate) id: DynoId,
    pub(crate) app: AppName,
    pub(crate) name: DynoName,
    pub(crate) release: u64,
    pub(crate) command: String,
    pub(crate) port: Option<u16>,
    pub(crate) state: DynoState,
    /// When it came to this state (microseconds since 1970).
    pub(crate) since: i64,
    pub(crate) started_at: i64,
    pub(crate) role: Role,
    /// While one of its events is told: which line of which event comes next.
    pub(crate) telling: Arc<Telling>,
}

/// Counts the lines that an event is told in.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    position: u64,
    parts: AtomicU32,
}

impl Telling {
    /// Of the event at this position.
    pub(crate) fn of(position: u64) -> Arc<Self> {
        Arc::new(Self { position, parts: AtomicU32::new(0) })
    }

    /// Where the next line of it stands.
    pub(crate) fn next(&self, dyno: DynoId) -> Origin {
        let part = self.parts.fetch_add(1, Ordering::Relaxed);
        Origin { dyno, position: self.position, part }
    }
}

/// What a dyno is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// One of the formation: kept running.
    Formation,
    /// Runs once, and its lines are log lines: a release phase.
    ReleasePhase,
    /// Runs once, and its lines are the build's output.
    Build,
}

/// A dyno that stopped by itself and is to be started again.
#[derive(Debug, Clone)]
pub(crate) struct Crash {
    pub(crate) command: String,
    pub(crate) release: u64,
    pub(crate) in_a_row: u32,
    /// When it is started again (microseconds since 1970).
    pub(crate) until: i64,
    pub(crate) at: i64,
}

/// Everything alive.
#[derive(Debug)]
pub(crate) struct Dynos {
    pub(crate) alive: HashMap<DynoId, Dyno>,
    pub(crate) crashes: HashMap<(AppName, DynoName), Crash>,
    /// Whoever waits for a one-off dyno's events.
    pub(crate) watchers: HashMap<DynoId, mpsc::UnboundedSender<TimedEvent>>,
    /// The slugs that dynos stand on, which must stay for as long.
    trees: HashMap<DynoId, SlugId>,
    shutting_down: bool,
    /// Whether builds and release phases are still started.
    one_offs_refused: bool,
    /// How many are alive.
    count: watch::Sender<usize>,
}

impl Default for Dynos {
    fn default() -> Self {
        Self {
            alive: HashMap::new(),
            crashes: HashMap::new(),
            watchers: HashMap::new(),
            trees: HashMap::new(),
            shutting_down: false,
            one_offs_refused: false,
            count: watch::channel(0).0,
        }
    }
}

impl Dynos {
    /// A dyno that is about to be started, or that an earlier server started.
    pub(crate) fn add(&mut self, spec: &DynoSpec, role: Role, now: i64) {
        let dyno = Dyno {
            id: spec.id,
            app: spec.app.clone(),
            name: spec.dyno.clone(),
            release: spec.release,
            command: spec.command.clone(),
            port: spec.port,
            state: DynoState::Starting,
            since: now,
            started_at: now,
            role,
            telling: Arc::default(),
        };
        self.alive.insert(spec.id, dyno);
        self.count.send_replace(self.alive.len());
    }

    /// A dyno whose receipt is written.
    pub(crate) fn remove(&mut self, id: DynoId) {
        self.alive.remove(&id);
        self.watchers.remove(&id);
        self.trees.remove(&id);
        self.count.send_replace(self.alive.len());
    }

    /// Notes the slug that a dyno stands on, until it is removed.
    pub(crate) fn stands_on(&mut self, id: DynoId, tree: SlugId) {
        if self.alive.contains_key(&id) {
            self.trees.insert(id, tree);
        }
    }

    /// The slugs that dynos stand on.
    pub(crate) fn trees(&self) -> Vec<SlugId> {
        self.trees.values().cloned().collect()
    }

    /// Brings a dyno to a state, and gives the one that it was in.
    pub(crate) fn set_state(
        &mut self,
        id: DynoId,
        state: DynoState,
        now: i64,
    ) -> Option<DynoState> {
        let dyno = self.alive.get_mut(&id)?;
        let before = std::mem::replace(&mut dyno.state, state);
        if before != state {
            dyno.since = now;
        }
        Some(before)
    }

    /// Notes that a dyno of the formation stopped by itself; gives how long it must wait.
    pub(crate) fn note_crash(&mut self, dyno: &Dyno, now: i64) -> std::time::Duration {
        let key = (dyno.app.clone(), dyno.name.clone());
        let steady = i64::try_from(STEADY_RUN.as_micros()).unwrap_or(i64::MAX);
        let ran_long = now - dyno.started_at > steady;
        let before = self.crashes.get(&key).filter(|c| c.release == dyno.release && !ran_long);
        let in_a_row = before.map_or(0, |crash| crash.in_a_row) + 1;
        let wait = cool_off(in_a_row);
        let until = now + i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        let crash = Crash {
            command: dyno.command.clone(),
            release: dyno.release,
            in_a_row,
            until,
            at: now,
        };
        self.crashes.insert(key, crash);
        wait
    }

    /// Forgets crashes, so that their dynos start at once.
    pub(crate) fn pardon(&mut self, app: &AppName, matches: impl Fn(&DynoName) -> bool) {
        self.crashes.retain(|(owner, dyno), _| owner != app || !matches(dyno));
    }

    /// The formation's dynos of an app, for the plan.
    pub(crate) fn seen(&self, app: &AppName) -> Vec<Seen> {
        let mut seen: Vec<Seen> = self
            .alive
            .values()
            .filter(|dyno| dyno.app == *app && dyno.role == Role::Formation)
            .map(|dyno| Seen {
                id: dyno.id,
                dyno: dyno.name.clone(),
                release: dyno.release,
                state: dyno.state,
            })
            .collect();
        seen.sort_by_key(|dyno| dyno.id);
        seen
    }

    /// The crashes of an app, for the plan.
    pub(crate) fn cooling(&self, app: &AppName) -> Vec<CoolingOff> {
        self.crashes
            .iter()
            .filter(|((owner, _), _)| owner == app)
            .map(|((_, dyno), crash)| CoolingOff {
                dyno: dyno.clone(),
                release: crash.release,
                until: crash.until,
            })
            .collect()
    }

    /// When the next cool-off ends (microseconds since 1970).
    pub(crate) fn next_start(&self, now: i64) -> Option<i64> {
        self.crashes.values().map(|crash| crash.until).filter(|until| *until > now).min()
    }

    /// From now on nothing is wanted.
    pub(crate) fn shut_down(&mut self) {
        self.shutting_down = true;
    }

    /// From now on no build and no release phase is started.
    pub(crate) fn refuse_one_offs(&mut self) {
        self.one_offs_refused = true;
    }

    /// Whether builds and release phases are refused.
    pub(crate) fn are_one_offs_refused(&self) -> bool {
        self.one_offs_refused
    }

    /// Whether anything is wanted.
    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutting_down
    }

    /// Tells how many are alive.
    pub(crate) fn settled(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }
}
