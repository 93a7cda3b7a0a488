use super::*;
use proptest::prelude::*;
use uuid::Uuid;

const SIZE: DynoSize = DynoSize::BASIC;

fn name(text: &str) -> DynoName {
    text.parse().unwrap()
}

fn seen(number: u128, dyno: &str, release: u64, state: DynoState) -> Seen {
    let (id, dyno) = (Uuid::from_u128(number), name(dyno));
    Seen { id, dyno, release, size: SIZE, state, worn: false }
}

fn desired(release: u64, dynos: &[&str]) -> Desired {
    let wanted = |d: &&str| Wanted { dyno: name(d), size: SIZE };
    Desired { release, dynos: dynos.iter().map(wanted).collect(), preboot: true }
}

fn start(dyno: &str) -> Action {
    Action::Start(Wanted { dyno: name(dyno), size: SIZE })
}

fn stop(number: u128) -> Action {
    Action::Stop(Uuid::from_u128(number))
}

use DynoState::{Starting, Stopping, Up};

#[test]
fn a_new_release_replaces_web_dynos_one_by_one_and_each_new_one_serves_first() {
    let wanted = desired(2, &["web.1", "web.2"]);
    let mut there = vec![seen(1, "web.1", 1, Up), seen(2, "web.2", 1, Up)];
    assert_eq!(plan(&wanted, &there, &[], 0), [start("web.1")]);
    there.push(seen(3, "web.1", 2, Starting));
    assert_eq!(plan(&wanted, &there, &[], 0), []);
    there[2].state = Up;
    assert_eq!(plan(&wanted, &there, &[], 0), [stop(1)]);
    there[0].state = Stopping;
    assert_eq!(plan(&wanted, &there, &[], 0), [], "memory is needed for one more only");
    there.remove(0);
    assert_eq!(plan(&wanted, &there, &[], 0), [start("web.2")]);
}

#[test]
fn without_preboot_a_new_release_replaces_every_dyno_at_once() {
    let wanted = Desired { preboot: false, ..desired(2, &["web.1", "web.2"]) };
    let there = [seen(1, "web.1", 1, Up), seen(2, "web.2", 1, Up)];
    let all = [stop(1), stop(2), start("web.1"), start("web.2")];
    assert_eq!(plan(&wanted, &there, &[], 0), all);
}

#[test]
fn a_worker_never_runs_twice() {
    let wanted = desired(2, &["worker.1"]);
    let mut there = vec![seen(1, "worker.1", 1, Up)];
    assert_eq!(plan(&wanted, &there, &[], 0), [stop(1)]);
    there[0].state = Stopping;
    assert_eq!(plan(&wanted, &there, &[], 0), []);
    assert_eq!(plan(&wanted, &[], &[], 0), [start("worker.1")]);
}

#[test]
fn a_release_that_does_not_get_up_leaves_the_one_before_serving() {
    let wanted = desired(2, &["web.1", "web.2"]);
    let there = [seen(1, "web.1", 1, Up), seen(2, "web.2", 1, Up)];
    let cooling = [CoolingOff { dyno: name("web.1"), release: 2, until: 100 }];
    assert_eq!(plan(&wanted, &there, &cooling, 99), [], "web.2 is not touched either");
    assert_eq!(plan(&wanted, &there, &cooling, 100), [start("web.1")], "the next try");
}

#[test]
fn a_restart_and_another_size_roll_as_a_release_does() {
    let wanted = desired(1, &["web.1"]);
    let worn = Seen { worn: true, ..seen(1, "web.1", 1, Up) };
    let larger = Seen { size: DynoSize::ALL[3], ..seen(1, "web.1", 1, Up) };
    for old in [worn, larger] {
        assert_eq!(plan(&wanted, std::slice::from_ref(&old), &[], 0), [start("web.1")]);
        let both = [old, seen(2, "web.1", 1, Up)];
        assert_eq!(plan(&wanted, &both, &[], 0), [stop(1)]);
    }
}

#[test]
fn what_does_not_serve_is_replaced_at_once() {
    let there = [seen(1, "web.1", 1, Starting)];
    assert_eq!(plan(&desired(2, &["web.1"]), &there, &[], 0), [stop(1), start("web.1")]);
}

#[test]
fn a_dyno_that_was_scaled_away_stands_in_until_the_others_serve() {
    let wanted = desired(1, &["web.1"]);
    let mut there = vec![seen(1, "web.1", 1, Starting), seen(2, "web.2", 1, Up)];
    assert_eq!(plan(&wanted, &there, &[], 0), []);
    there[0].state = Up;
    assert_eq!(plan(&wanted, &there, &[], 0), [stop(2)]);
    assert_eq!(plan(&desired(1, &[]), &there, &[], 0), [stop(1), stop(2)]);
}

#[test]
fn a_stopping_dyno_does_not_count_and_is_not_stopped_twice() {
    let running = [seen(1, "web.1", 1, Stopping)];
    assert_eq!(plan(&desired(1, &["web.1"]), &running, &[], 0), [start("web.1")]);
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
    let quantity = |t: &str, q| (t.parse().unwrap(), q, SIZE);
    let quantities =
        [quantity("web", 2), quantity("worker", 0), quantity("release", 1), quantity("x", 1)];
    let names: Vec<_> = dynos(&quantities, &types).into_iter().map(|w| w.dyno).collect();
    assert_eq!(names, [name("web.1"), name("web.2")]);
}

/// What the world looks like once the actions were carried out: what stops is there for a while.
fn apply(actions: &[Action], release: u64, seen: &mut Vec<Seen>, next: &mut u128) {
    for action in actions {
        match action {
            Action::Stop(id) => {
                for dyno in seen.iter_mut().filter(|s| s.id == *id) {
                    dyno.state = Stopping;
                }
            }
            Action::Start(wanted) => {
                *next += 1;
                let (id, dyno, size) = (Uuid::from_u128(*next), wanted.dyno.clone(), wanted.size);
                seen.push(Seen { id, dyno, release, size, state: Starting, worn: false });
            }
        }
    }
}

/// How many of the wanted web dynos somebody serves for, others that stand in included.
fn served(desired: &Desired, seen: &[Seen]) -> usize {
    let up = |s: &&Seen| s.dyno.process_type.is_web() && s.state == Up;
    let mut names: Vec<&DynoName> = seen.iter().filter(up).map(|s| &s.dyno).collect();
    names.sort();
    names.dedup();
    names.len().min(web_wanted(desired))
}

fn web_wanted(desired: &Desired) -> usize {
    desired.dynos.iter().filter(|w| w.dyno.process_type.is_web()).count()
}

fn any_seen() -> impl Strategy<Value = Vec<Seen>> {
    let one = (0_usize..2, 1_u32..4, 1_u64..3, 0_usize..3, any::<bool>());
    prop::collection::vec(one, 0..8).prop_map(|there| {
        let types = ["web", "worker"];
        let states = [Starting, Up, Stopping];
        let one = |(id, (t, n, release, s, worn)): (usize, (usize, u32, u64, usize, bool))| Seen {
            worn,
            ..seen(id as u128, &format!("{}.{n}", types[t]), release, states[s])
        };
        there.into_iter().enumerate().map(one).collect()
    })
}

fn any_desired() -> impl Strategy<Value = Desired> {
    (1_u64..3, 0_u32..4, 0_u32..3, any::<bool>()).prop_map(|(release, web, worker, preboot)| {
        let of = |t: &'static str, q: u32| (1..=q).map(move |n| format!("{t}.{n}"));
        let names: Vec<String> = of("web", web).chain(of("worker", worker)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Desired { preboot, ..desired(release, &names) }
    })
}

proptest! {
    /// Whatever is there: carried out step by step, with new dynos that come up and old ones that
    /// end, it comes to what is wanted, and to nothing else; with preboot no step takes a served
    /// place away, and never are there more than one too many beside those that are missing.
    #[test]
    fn every_step_keeps_what_serves_and_the_steps_end(
        desired in any_desired(),
        mut there in any_seen(),
        order in prop::collection::vec(any::<bool>(), 64),
    ) {
        let mut next = 1_000;
        let mut settled = false;
        for slow in order.into_iter().chain([false; 64]) {
            let before = served(&desired, &there);
            let actions = plan(&desired, &there, &[], 0);
            apply(&actions, desired.release, &mut there, &mut next);
            if desired.preboot {
                prop_assert!(served(&desired, &there) >= before, "{actions:?}");
            }
            for wanted in &desired.dynos {
                let runs = there.iter().filter(|s| s.dyno == wanted.dyno && s.id.as_u128() > 1_000);
                let active = runs.filter(|s| is_active(s)).count();
                prop_assert!(active <= 1, "one new run of a name at a time");
            }
            let waits = there.iter().any(|s| matches!(s.state, Starting | Stopping));
            if actions.is_empty() && !waits {
                settled = true;
                break;
            }
            // The oldest change happens, or none yet.
            if !slow {
                there.retain(|s| s.state != Stopping);
                for dyno in there.iter_mut().filter(|s| s.state == Starting).take(1) {
                    dyno.state = Up;
                }
            }
        }
        prop_assert!(settled, "{there:?}");
        let mut names: Vec<_> = there.iter().map(|s| s.dyno.clone()).collect();
        let mut wanted: Vec<_> = desired.dynos.iter().map(|w| w.dyno.clone()).collect();
        names.sort();
        wanted.sort();
        prop_assert_eq!(names, wanted);
        prop_assert!(there.iter().all(|s| s.release == desired.release && !s.worn));
    }

    /// Nothing of the new release ever gets up: what served serves on, for as long as one likes.
    #[test]
    fn a_release_that_never_boots_takes_nothing_away(
        web in 1_u32..4,
        tries in 1_usize..20,
    ) {
        let names: Vec<String> = (1..=web).map(|n| format!("web.{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let wanted = desired(2, &names);
        let mut there: Vec<Seen> =
            names.iter().enumerate().map(|(i, n)| seen(i as u128, n, 1, Up)).collect();
        let mut next = 1_000;
        for _ in 0..tries {
            let actions = plan(&wanted, &there, &[], 0);
            prop_assert_eq!(actions.len(), 1, "one try at a time");
            apply(&actions, 2, &mut there, &mut next);
            prop_assert_eq!(served(&wanted, &there), names.len());
            there.retain(|s| s.release == 1);
        }
    }
}
