//! The reconcile loop's decision: what is wanted, what is there, and so what to do.

use crate::dyno::{DynoId, DynoState};
use crate::name::{DynoName, ProcessType};
use crate::procfile::ProcessTypes;

/// What one app should be running.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Desired {
    /// The current release's version.
    pub release: u64,
    /// Its dynos.
    pub dynos: Vec<DynoName>,
}

/// One dyno of an app, alive or waiting to be started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// This run.
    pub id: DynoId,
    /// Its name.
    pub dyno: DynoName,
    /// The release it was started from.
    pub release: u64,
    /// Where it stands.
    pub state: DynoState,
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
    Start(DynoName),
    /// Stop this run.
    Stop(DynoId),
}

/// The dynos of a formation: `web=2` is `web.1` and `web.2`. Types that the release does not have,
/// and the release phase, have none.
pub fn dynos(quantities: &[(ProcessType, u32)], process_types: &ProcessTypes) -> Vec<DynoName> {
    let runs = |process_type: &ProcessType| {
        !process_type.is_release() && process_types.contains_key(process_type)
    };
    quantities
        .iter()
        .filter(|(process_type, _)| runs(process_type))
        .flat_map(|(process_type, quantity)| {
            (1..=*quantity).map(|number| DynoName::new(process_type.clone(), number))
        })
        .collect()
}

/// Decides for one app. `now` is in microseconds since 1970.
pub fn plan(desired: &Desired, seen: &[Seen], cooling: &[CoolingOff], now: i64) -> Vec<Action> {
    let active = |s: &&Seen| matches!(s.state, DynoState::Starting | DynoState::Up);
    let is_wanted = |s: &Seen| s.release == desired.release && desired.dynos.contains(&s.dyno);
    let mut kept: Vec<&DynoName> = Vec::new();
    let mut actions = Vec::new();
    for dyno in seen.iter().filter(active) {
        if is_wanted(dyno) && !kept.contains(&&dyno.dyno) {
            kept.push(&dyno.dyno);
        } else {
            actions.push(Action::Stop(dyno.id));
        }
    }
    let cools = |dyno: &DynoName| {
        cooling.iter().any(|c| c.dyno == *dyno && c.release == desired.release && c.until > now)
    };
    let missing = desired.dynos.iter().filter(|dyno| !kept.contains(dyno) && !cools(dyno));
    actions.extend(missing.cloned().map(Action::Start));
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> DynoName {
        text.parse().unwrap()
    }

    fn seen(number: u128, dyno: &str, release: u64, state: DynoState) -> Seen {
        Seen { id: uuid::Uuid::from_u128(number), dyno: name(dyno), release, state }
    }

    fn desired(release: u64, dynos: &[&str]) -> Desired {
        Desired { release, dynos: dynos.iter().map(|d| name(d)).collect() }
    }

    #[test]
    fn a_new_release_replaces_every_dyno_at_once() {
        let running = [seen(1, "web.1", 1, DynoState::Up)];
        assert_eq!(
            plan(&desired(2, &["web.1"]), &running, &[], 0),
            [Action::Stop(uuid::Uuid::from_u128(1)), Action::Start(name("web.1")),]
        );
    }

    #[test]
    fn a_stopping_dyno_does_not_count_and_is_not_stopped_twice() {
        let running = [seen(1, "web.1", 1, DynoState::Stopping)];
        assert_eq!(plan(&desired(1, &["web.1"]), &running, &[], 0), [Action::Start(name("web.1"))]);
        assert_eq!(plan(&desired(1, &[]), &running, &[], 0), []);
    }

    #[test]
    fn a_crashed_dyno_waits_for_its_cool_off_unless_the_release_is_new() {
        let cooling = [CoolingOff { dyno: name("web.1"), release: 1, until: 100 }];
        assert_eq!(plan(&desired(1, &["web.1"]), &[], &cooling, 99), []);
        assert_eq!(plan(&desired(1, &["web.1"]), &[], &cooling, 100).len(), 1);
        assert_eq!(plan(&desired(2, &["web.1"]), &[], &cooling, 99).len(), 1);
    }

    #[test]
    fn a_formation_names_its_dynos() {
        let types = crate::procfile::parse("web: a\nworker: b\nrelease: c").unwrap();
        let quantity = |t: &str, q| (t.parse().unwrap(), q);
        let quantities =
            [quantity("web", 2), quantity("worker", 0), quantity("release", 1), quantity("x", 1)];
        assert_eq!(dynos(&quantities, &types), [name("web.1"), name("web.2")]);
    }

    /// What the world looks like once the actions were carried out.
    fn apply(actions: &[Action], release: u64, seen: &[Seen]) -> Vec<Seen> {
        let mut after = seen.to_vec();
        for (number, action) in actions.iter().enumerate() {
            match action {
                Action::Stop(id) => {
                    for dyno in after.iter_mut().filter(|s| s.id == *id) {
                        dyno.state = DynoState::Stopping;
                    }
                }
                Action::Start(dyno) => after.push(Seen {
                    id: uuid::Uuid::from_u128(1_000 + number as u128),
                    dyno: dyno.clone(),
                    release,
                    state: DynoState::Starting,
                }),
            }
        }
        after
    }

    proptest! {
        #[test]
        fn a_plan_carried_out_leaves_nothing_to_do(
            release in 1_u64..3,
            wanted in prop::collection::btree_set(1_u32..5, 0..4),
            there in prop::collection::vec((1_u32..5, 1_u64..3, 0_usize..3), 0..8),
        ) {
            let states = [DynoState::Starting, DynoState::Up, DynoState::Stopping];
            let seen: Vec<_> = there
                .iter()
                .enumerate()
                .map(|(id, (number, release, state))| {
                    seen(id as u128, &format!("web.{number}"), *release, states[*state])
                })
                .collect();
            let dynos = wanted.iter().map(|n| name(&format!("web.{n}"))).collect();
            let desired = Desired { release, dynos };
            let actions = plan(&desired, &seen, &[], 0);
            let after = apply(&actions, release, &seen);
            prop_assert_eq!(plan(&desired, &after, &[], 0), []);
            let active = after.iter().filter(|s| s.state != DynoState::Stopping).count();
            prop_assert_eq!(active, desired.dynos.len());
        }
    }
}
