//! The reconcile loop's decision: what is wanted, what is there, and so what to do.

use crate::dyno::{DynoId, DynoState};
use crate::name::{DynoName, ProcessType};
use crate::procfile::ProcessTypes;
use crate::resources::DynoSize;

/// What one app should be running.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Desired {
    /// The current release's version.
    pub release: u64,
    /// Its dynos, in the order in which they are replaced.
    pub dynos: Vec<Wanted>,
    /// Whether web dynos are replaced one by one, each new one serving before its old one stops.
    ///
    /// Heroku stops all and starts all unless the app has the feature `preboot`. Here it is the
    /// default: one machine has nowhere else to send requests to, and a release that does not boot
    /// would otherwise end what works. Disabling `preboot` brings Heroku's default back.
    pub preboot: bool,
}

/// A dyno that an app should be running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub dyno: DynoName,
    /// Its size.
    pub size: DynoSize,
}

/// One dyno of an app that has processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// This run.
    pub id: DynoId,
    /// Its name.
    pub dyno: DynoName,
    /// The release it was started from.
    pub release: u64,
    /// The size it was started with.
    pub size: DynoSize,
    /// Where it stands.
    pub state: DynoState,
    /// Whether a new run is to take its place: it is restarted, or its time is up.
    pub worn: bool,
}

/// A dyno that crashed and waits for its next start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoolingOff {
    /// Which.
    pub dyno: DynoName,
    /// The release that crashed.
    pub release: u64,
    /// When to start it again (microseconds since 1970).
    pub until: i64,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start a dyno of the current release.
    Start(Wanted),
    /// Stop this run. One that serves leaves the router's table first, and ends its requests.
    Stop(DynoId),
}

/// The dynos of a formation: `web=2` is `web.1` and `web.2`. Types that the release does not have,
/// and the release phase, have none.
pub fn dynos(
    quantities: &[(ProcessType, u32, DynoSize)],
    process_types: &ProcessTypes,
) -> Vec<Wanted> {
    let runs = |process_type: &ProcessType| {
        !process_type.is_release() && process_types.contains_key(process_type)
    };
    quantities
        .iter()
        .filter(|(process_type, ..)| runs(process_type))
        .flat_map(|(process_type, quantity, size)| {
            let name = |number| DynoName::new(process_type.clone(), number);
            (1..=*quantity).map(move |number| Wanted { dyno: name(number), size: *size })
        })
        .collect()
}

/// Decides for one app. `now` is in microseconds since 1970.
///
/// A web dyno that is to be replaced serves on until its new run serves. They are replaced one at a
/// time, so that the machine needs memory for one more than there are; and no further one while a
/// dyno of the current release waits after a crash, so that a release that does not boot leaves the
/// one before serving. Other types may not run twice: the new run begins when the old one is gone.
pub fn plan(desired: &Desired, seen: &[Seen], cooling: &[CoolingOff], now: i64) -> Vec<Action> {
    let scene = Scene { desired, seen, cooling, now, kept: fresh(desired, seen) };
    let mut actions: Vec<Action> =
        seen.iter().filter(|s| scene.is_to_stop(s)).map(|s| Action::Stop(s.id)).collect();
    let mut rolls = scene.may_roll();
    for wanted in desired.dynos.iter().filter(|wanted| scene.may_start(wanted)) {
        if scene.old_serves(&wanted.dyno) {
            if !std::mem::take(&mut rolls) {
                continue;
            }
        } else if scene.is_rolled(&wanted.dyno) {
            // It takes the room that a replacement would.
            rolls = false;
        }
        actions.push(Action::Start(wanted.clone()));
    }
    actions
}

/// The runs that are as they should be, one of each name: one that serves, if there is one.
fn fresh<'a>(desired: &Desired, seen: &'a [Seen]) -> Vec<&'a Seen> {
    let is_fresh = |s: &&Seen, wanted: &Wanted| {
        is_active(s)
            && !s.worn
            && s.release == desired.release
            && s.dyno == wanted.dyno
            && s.size == wanted.size
    };
    let of = |wanted: &Wanted| {
        let runs = || seen.iter().filter(|s| is_fresh(s, wanted));
        runs().find(|s| s.state == DynoState::Up).or_else(|| runs().next())
    };
    desired.dynos.iter().filter_map(of).collect()
}

fn is_active(seen: &Seen) -> bool {
    matches!(seen.state, DynoState::Starting | DynoState::Up)
}

struct Scene<'a> {
    desired: &'a Desired,
    seen: &'a [Seen],
    cooling: &'a [CoolingOff],
    now: i64,
    kept: Vec<&'a Seen>,
}

impl Scene<'_> {
    /// Whether a dyno's new run has to serve before its old one stops.
    fn is_rolled(&self, dyno: &DynoName) -> bool {
        self.desired.preboot && dyno.process_type.is_web()
    }

    fn is_wanted(&self, dyno: &DynoName) -> bool {
        self.desired.dynos.iter().any(|wanted| wanted.dyno == *dyno)
    }

    fn is_kept(&self, seen: &Seen) -> bool {
        self.kept.iter().any(|kept| kept.id == seen.id)
    }

    /// Whether a run of this name serves, be it the new or an old one.
    fn serves(&self, dyno: &DynoName) -> bool {
        self.seen.iter().any(|s| s.dyno == *dyno && s.state == DynoState::Up)
    }

    fn new_serves(&self, dyno: &DynoName) -> bool {
        self.kept.iter().any(|kept| kept.dyno == *dyno && kept.state == DynoState::Up)
    }

    fn old_serves(&self, dyno: &DynoName) -> bool {
        self.is_rolled(dyno) && self.serves(dyno) && !self.new_serves(dyno)
    }

    fn is_to_stop(&self, seen: &Seen) -> bool {
        if !is_active(seen) || self.is_kept(seen) {
            return false;
        }
        if !self.is_rolled(&seen.dyno) || seen.state == DynoState::Starting {
            return true;
        }
        if self.is_wanted(&seen.dyno) {
            return self.new_serves(&seen.dyno) || self.is_double(seen);
        }
        !self.stands_in(seen)
    }

    /// Whether another old run of the same name serves, which is the one that is waited with.
    fn is_double(&self, seen: &Seen) -> bool {
        let first = self.seen.iter().find(|s| s.dyno == seen.dyno && s.state == DynoState::Up);
        first.is_some_and(|first| first.id != seen.id)
    }

    /// Whether a web dyno that was scaled away serves on in the place of one that does not yet.
    fn stands_in(&self, seen: &Seen) -> bool {
        let web = |dyno: &DynoName| dyno.process_type.is_web();
        let lacking = self
            .desired
            .dynos
            .iter()
            .filter(|wanted| web(&wanted.dyno) && !self.serves(&wanted.dyno))
            .count();
        let mut spare: Vec<&Seen> = self
            .seen
            .iter()
            .filter(|s| web(&s.dyno) && s.state == DynoState::Up && !self.is_wanted(&s.dyno))
            .collect();
        spare.sort_by_key(|s| (s.dyno.number, s.id));
        spare.into_iter().take(lacking).any(|s| s.id == seen.id)
    }

    /// Whether a dyno lacks a run and may have one now.
    fn may_start(&self, wanted: &Wanted) -> bool {
        let dyno = &wanted.dyno;
        let cools = |c: &CoolingOff| c.dyno == *dyno && self.is_cooling(c);
        // Old web dynos on their way out answer nobody; others could work twice.
        let waits = !dyno.process_type.is_web()
            && self.seen.iter().any(|s| s.dyno == *dyno && s.state.is_alive());
        !waits && !self.kept.iter().any(|s| s.dyno == *dyno) && !self.cooling.iter().any(cools)
    }

    fn is_cooling(&self, cooling: &CoolingOff) -> bool {
        cooling.release == self.desired.release && cooling.until > self.now
    }

    /// Whether a further web dyno may be replaced: none is being replaced, and none of the current
    /// release waits after a crash.
    fn may_roll(&self) -> bool {
        let web = |dyno: &DynoName| dyno.process_type.is_web();
        let moves = |s: &Seen| {
            matches!(s.state, DynoState::Starting | DynoState::Stopping)
                || (s.state == DynoState::Up && self.is_to_stop(s))
        };
        !self.seen.iter().any(|s| web(&s.dyno) && moves(s))
            && !self.cooling.iter().any(|c| web(&c.dyno) && self.is_cooling(c))
    }
}

#[cfg(test)]
mod tests;
