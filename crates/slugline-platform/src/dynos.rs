//! What is alive: every dyno, and every crash that waits for its next start.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use slugline_model::dyno::{DynoId, DynoSpec, DynoState, TimedEvent};
use slugline_model::logline::Origin;
use slugline_model::name::{AppName, DynoName};
use slugline_model::plan::Seen;
use slugline_model::resources::DynoSize;
use slugline_model::slug::SlugId;
use tokio::sync::{mpsc, watch};

use crate::clock;
use crate::crashes::Crashes;

/// How many of a dyno's last lines are kept for the case that it crashes.
const LAST_LINES: usize = 10;

/// How much of such a line is kept (bytes).
const LAST_LINE: usize = 500;

/// One run of a dyno, until its receipt is written.
#[derive(Debug, Clone)]
pub(crate) struct Dyno {
    pub(crate) id: DynoId,
    pub(crate) app: AppName,
    pub(crate) name: DynoName,
    pub(crate) release: u64,
    pub(crate) command: String,
    pub(crate) port: Option<u16>,
    pub(crate) size: DynoSize,
    pub(crate) state: DynoState,
    /// When it came to this state (microseconds since 1970).
    pub(crate) since: i64,
    pub(crate) started_at: i64,
    /// When it was started, since the machine's start.
    pub(crate) booted: Duration,
    pub(crate) role: Role,
    /// Whether a new run is to take its place.
    pub(crate) worn: bool,
    /// Why it ends or will have ended: `R10`.
    pub(crate) code: Option<&'static str>,
    /// Whether it is stopped because it failed, not because it is not wanted.
    pub(crate) failed: bool,
    /// The last that it wrote.
    pub(crate) lines: LastLines,
    /// Where somebody may attach to it.
    pub(crate) attach_url: Option<String>,
    /// While one of its events is told: which line of which event comes next.
    pub(crate) telling: Arc<Telling>,
}

/// The last lines that a dyno wrote. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastLines(Arc<Mutex<VecDeque<String>>>);

impl LastLines {
    /// Keeps a line.
    pub(crate) fn push(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line[..line.floor_char_boundary(LAST_LINE)].to_owned());
    }

    /// All that are kept.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
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

impl Dyno {
    /// One that starts now.
    pub(crate) fn new(spec: &DynoSpec, role: Role, size: DynoSize) -> Self {
        let now = clock::now();
        Self {
            id: spec.id,
            app: spec.app.clone(),
            name: spec.dyno.clone(),
            release: spec.release,
            command: spec.command.clone(),
            port: spec.port,
            size,
            state: DynoState::Starting,
            since: now,
            started_at: now,
            booted: clock::since_boot(),
            role,
            worn: false,
            code: None,
            failed: false,
            lines: LastLines::default(),
            attach_url: None,
            telling: Arc::default(),
        }
    }

    /// Whether the router may send it requests.
    pub(crate) fn is_web(&self) -> bool {
        self.role == Role::Formation && self.name.process_type.is_web()
    }

    fn seen(&self) -> Seen {
        Seen {
            id: self.id,
            dyno: self.name.clone(),
            release: self.release,
            size: self.size,
            state: self.state,
            worn: self.worn,
        }
    }
}

/// What a dyno is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// One of the formation: kept running.
    Formation,
    /// Runs once, because somebody asked for it or its time had come: `run.4821`, `cron.1234`.
    OneOff,
    /// Runs once, and its lines are log lines: a release phase.
    ReleasePhase,
    /// Runs once, and its lines are the build's output.
    Build,
    /// Runs once, as a web dyno that only a proof asks.
    Proof,
}

impl Role {
    /// As the state spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Role::Formation => "formation",
            Role::OneOff => "one-off",
            Role::ReleasePhase => "release-phase",
            Role::Build => "build",
            Role::Proof => "proof",
        }
    }

    /// The role of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [Role::Formation, Role::OneOff, Role::ReleasePhase, Role::Build, Role::Proof];
        all.into_iter().find(|role| role.as_str() == name)
    }
}

/// Everything alive.
#[derive(Debug)]
pub(crate) struct Dynos {
    pub(crate) alive: HashMap<DynoId, Dyno>,
    pub(crate) crashes: Crashes,
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
    pub(crate) fn add(&mut self, dyno: Dyno) {
        self.alive.insert(dyno.id, dyno);
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

    /// Says that new runs are to take the places of dynos that match. Gives how many.
    pub(crate) fn wear(&mut self, app: &AppName, matches: impl Fn(&Dyno) -> bool) -> usize {
        let formation = |dyno: &&mut Dyno| {
            dyno.app == *app && dyno.role == Role::Formation && dyno.state.is_alive()
        };
        let mut count = 0;
        for dyno in self.alive.values_mut().filter(formation).filter(|dyno| matches(dyno)) {
            dyno.worn = true;
            count += 1;
        }
        count
    }

    /// The formation's dynos of each app, for the plan.
    pub(crate) fn seen(&self) -> HashMap<AppName, Vec<Seen>> {
        let mut all: HashMap<AppName, Vec<Seen>> = HashMap::new();
        for dyno in self.alive.values().filter(|dyno| dyno.role == Role::Formation) {
            all.entry(dyno.app.clone()).or_default().push(dyno.seen());
        }
        for seen in all.values_mut() {
            seen.sort_by_key(|dyno| dyno.id);
        }
        all
    }

    /// The release of a web dyno of an app that serves, and is older than another one.
    pub(crate) fn older_that_serves(&self, app: &AppName, release: u64) -> Option<u64> {
        let serves = |dyno: &&Dyno| {
            dyno.app == *app
                && dyno.is_web()
                && dyno.state == DynoState::Up
                && dyno.release < release
        };
        self.alive.values().filter(serves).map(|dyno| dyno.release).max()
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
