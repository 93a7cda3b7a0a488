//! The server is killed at random moments, round after round, while clients change things. What it
//! has answered is there afterwards, releases are whole and without gaps, and what runs is what is
//! wanted.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

mod clients;

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::time::Duration;

use clients::Clients;
use serde_json::{Value, json};
use support::account::Account;
use support::api::Api;
use support::chance::Chance;
use support::scene::Scene;
use support::serving::Serving;
use support::wait_for;

/// Enough to meet each change in each state; the environment may ask for more.
const ROUNDS: u64 = 25;

const SETTLED: Duration = Duration::from_mins(1);

#[test]
fn what_a_killed_server_has_answered_is_there() {
    let rounds = std::env::var("SLUGLINE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let scene = Scene::new(&Account::all()[0], "owl");
    scene.write("app/work.sh", "echo run $A; exec sleep 600\n");
    let mut server = Serving::start(&scene);
    server.api().json("POST", "/apps", &json!({ "name": "owl" }));
    server.release(&json!({ "worker": "bash work.sh" }));
    let mut chance = Chance::new();
    eprintln!("seed {}", chance.seed());
    let mut clients = Clients::default();
    for _ in 0..rounds.unwrap_or(ROUNDS) {
        let (api, again) = (server.api(), chance.below(1 << 32));
        std::thread::scope(|scope| {
            let changes = scope.spawn(|| clients.change_until_it_is_gone(&api, again));
            std::thread::sleep(Duration::from_millis(20 + chance.below(300)));
            server.kill();
            changes.join().unwrap();
        });
        server = Serving::start(&scene);
        clients.check(&server.api());
    }
    settle(&server.api(), clients.workers());
    releases_are_whole(&server.api());
    assert!(clients.answered() > 15, "{} answers are no load", clients.answered());
    let none = json!({ "updates": [{ "type": "worker", "quantity": 0 }] });
    server.api().json("PATCH", "/apps/owl/formation", &none);
    let api = server.api();
    wait_for("the last dyno's end", SETTLED, || api.dynos("owl").is_empty().then_some(()));
    server.stop();
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
