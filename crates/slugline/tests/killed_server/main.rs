//! The server is killed at random moments, round after round, while clients change things, push and
//! have sources built. What it has answered is there afterwards, releases are whole and without gaps,
//! branches are where they were answered to be, slugs are whole, and what runs is what is wanted.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

mod clients;
mod pushes;

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clients::Clients;
use pushes::Pushes;
use serde_json::{Value, json};
use support::account::Account;
use support::api::Api;
use support::chance::Chance;
use support::scene::Scene;
use support::serving::Serving;
use support::{trace, wait_for};

/// Enough to meet each change in each state; the environment may ask for more.
const ROUNDS: u64 = 25;

/// How many rounds go by until all that runs is waited for.
const SETTLE_EVERY: u64 = 10;

const SETTLED: Duration = Duration::from_mins(1);

/// What the dynos run.
const WORK: &str = "echo run $A; exec sleep 600\n";

/// How long a server lives: mostly too short for a build, in each fourth round long enough.
fn lifetime(round: u64, chance: &mut Chance) -> Duration {
    let (least, most) = if round.is_multiple_of(4) { (1_000, 6_000) } else { (20, 300) };
    Duration::from_millis(least + chance.below(most - least))
}

#[test]
fn what_a_killed_server_has_answered_is_there() {
    let rounds = std::env::var("SLUGLINE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let scene = Scene::new(&Account::all()[0], "owl");
    scene.write("app/work.sh", WORK);
    let mut server = Serving::start(&scene);
    server.api().json("POST", "/apps", &json!({ "name": "owl" }));
    server.release(&json!({ "worker": "bash work.sh" }));
    let mut chance = Chance::new();
    eprintln!("seed {}", chance.seed());
    let (mut clients, mut pushes) = (Clients::default(), Pushes::new(WORK));
    for round in 1..=rounds.unwrap_or(ROUNDS) {
        let (api, killed) = (server.api(), AtomicBool::new(false));
        let (again, other) = (chance.below(1 << 32), chance.below(1 << 32));
        std::thread::scope(|scope| {
            let changes = scope.spawn(|| clients.change_until_it_is_gone(&api, again));
            let pushing = scope.spawn(|| pushes.push_until_it_is_gone(&api, &killed, other));
            std::thread::sleep(lifetime(round, &mut chance));
            killed.store(true, Ordering::SeqCst);
            server.kill();
            changes.join().unwrap();
            pushing.join().unwrap();
        });
        server = Serving::start(&scene);
        clients.check(&server.api());
        pushes.check(&server.api(), &scene);
        if round % SETTLE_EVERY == 0 {
            settle(&server.api(), clients.workers());
        }
    }
    let api = server.api();
    settle(&api, clients.workers());
    releases_are_whole(&api);
    pushes.check_all(&api);
    let (changed, (taken, built)) = (clients.answered(), pushes.answered());
    eprintln!("{changed} changes, {taken} pushes and {built} builds were answered");
    assert!(changed > 15 && taken > 0 && built > 0, "that is no load");
    let none = json!({ "updates": [{ "type": "worker", "quantity": 0 }] });
    api.json("PATCH", "/apps/owl/formation", &none);
    // Its directory goes after it; one that is left then, the next server would remove.
    wait_for("the last dyno's end", SETTLED, || {
        let left = trace::dyno_directories(&scene.data());
        (api.dynos("owl").is_empty() && left.is_empty()).then_some(())
    });
    server.stop();
    trace::assert_none(&scene.data());
}

/// Waits until what runs is what is wanted, of the newest release.
fn settle(api: &Api, workers: u64) {
    let newest = newest(api);
    wait_for("the formation", SETTLED, || {
        let dynos = api.dynos("owl");
        let right = dynos.iter().all(|dyno| dyno.state == "up" && dyno.release == newest);
        (right && dynos.len() as u64 == workers).then_some(())
    });
}

/// The newest release that succeeded.
fn newest(api: &Api) -> u64 {
    api.get("/apps/owl/releases/current")["version"].as_u64().unwrap()
}

/// Every release has an end, and a copy of its config vars.
fn releases_are_whole(api: &Api) {
    for version in 1..=newest(api) {
        let path = format!("/apps/owl/releases/{version}");
        let release = api.get(&path);
        assert_eq!(release["version"], version);
        assert_ne!(release["status"], "pending", "{release}");
        assert!(api.get(&format!("{path}/config-vars")).is_object());
    }
    let beyond = format!("/apps/owl/releases/{}", newest(api) + 1);
    assert_eq!(api.send("GET", &beyond, &Value::Null).status, 404);
}
