//! Requests that come all the time, while dynos come and go.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::scene;
use crate::support::account::Account;
use crate::support::api::Api;
use crate::support::deploy;
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::wait_for;

const SOON: Duration = Duration::from_mins(2);

/// How many ask at a time.
const CLIENTS: usize = 4;

#[derive(Default)]
struct Load {
    over: AtomicBool,
    answered: AtomicUsize,
    lost: Mutex<Vec<String>>,
}

impl Load {
    fn ask(&self, scene: &Scene, path: &str) {
        while !self.over.load(Ordering::Relaxed) {
            let lost = match scene.try_get(path) {
                Ok(answer) if answer.status == 200 && !answer.body.is_empty() => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                Ok(answer) => format!("{}: {}", answer.status, answer.text()),
                Err(error) => error.to_string(),
            };
            self.lost.lock().unwrap().push(lost);
        }
    }

    /// Asks while something else goes on.
    fn while_doing(scene: &Scene, work: impl FnOnce(&Self)) {
        let load = Self::default();
        std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (load, path) = (&load, if client % 2 == 0 { "/" } else { "/slow" });
                scope.spawn(move || load.ask(scene, path));
            }
            let over = Over(&load);
            work(&load);
            drop(over);
        });
        let lost = load.lost.lock().unwrap();
        let answered = load.answered.load(Ordering::Relaxed);
        assert!(lost.is_empty(), "{} of {answered} were lost: {:?}", lost.len(), lost.first());
        assert!(answered > 20, "{answered} are no load");
    }
}

/// Ends the load, however the work ends.
struct Over<'a>(&'a Load);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// Waits until the web dynos are these many, all up, all of a release, and none of those before.
pub(crate) fn settled(api: &Api, count: usize, release: u64, before: &[String]) -> Vec<String> {
    wait_for("web dynos to be replaced", SOON, || {
        let dynos = api.dynos("owl");
        let web: Vec<_> = dynos.iter().filter(|dyno| dyno.name.starts_with("web.")).collect();
        let right = web.iter().all(|dyno| {
            dyno.state == "up" && dyno.release == release && !before.contains(&dyno.id)
        });
        let ids = || web.iter().map(|dyno| dyno.id.clone()).collect();
        (right && web.len() == count).then(ids)
    })
}

pub(crate) fn scale(api: &Api, web: u32) {
    let body = json!({ "updates": [{ "type": "web", "quantity": web }] });
    api.json("PATCH", "/apps/owl/formation", &body);
}

fn set(api: &Api, vars: &Value) {
    api.json("PATCH", "/apps/owl/config-vars", vars);
}

#[test]
fn no_request_is_lost_over_config_changes_restarts_deploys_and_scaling() {
    for account in Account::all() {
        let scene = scene(&account);
        let other = crate::scene(&account);
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        let api = server.api();
        scale(&api, 2);
        let mut ids = settled(&api, 2, 1, &[]);
        Load::while_doing(&scene, |_| {
            set(&api, &json!({ "A": "one" }));
            ids = settled(&api, 2, 2, &ids);
            api.json("DELETE", "/apps/owl/dynos", &Value::Null);
            ids = settled(&api, 2, 2, &ids);
            assert_eq!(deploy::build(&api, "owl", &other)["status"], "succeeded");
            ids = settled(&api, 2, 3, &ids);
            scale(&api, 1);
            let one = settled(&api, 1, 3, &[]);
            assert!(ids.contains(&one[0]), "the one that stays is not restarted");
            api.json("DELETE", "/apps/owl/dynos", &Value::Null);
            ids = settled(&api, 1, 3, &one);
            scale(&api, 3);
            settled(&api, 3, 3, &[]);
        });
        assert!(scene.get("/").text().starts_with("one web."));
    }
}

#[test]
fn a_release_that_does_not_boot_leaves_the_one_before_serving() {
    let scene = scene(&Account::all()[0]);
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let api = server.api();
    let before = settled(&api, 1, 1, &[]);
    Load::while_doing(&scene, |_| {
        set(&api, &json!({ "BROKEN": "1" }));
        let crash = wait_for("a crash that is told", SOON, || {
            let dynos = api.get("/apps/owl/dynos");
            let crashed = dynos.as_array()?.iter().find(|dyno| dyno["crash"]["in_a_row"] == 2);
            crashed.cloned()
        });
        assert_eq!(crash["crash"]["status"], 3);
        assert_eq!(crash["crash"]["lines"], json!(["ImportError: no module named owl"]));
        assert!(crash["next_start_at"].is_string());
        let release = api.get("/apps/owl/releases/2");
        assert_eq!(release["health"], "unhealthy");
        server.wait_for_line(0, &["v2 does not get up, so v1 serves on"]);
        set(&api, &json!({ "BROKEN": null }));
        settled(&api, 1, 3, &before);
    });
}

#[test]
fn a_dyno_serves_once_its_health_check_answers() {
    let scene = scene(&Account::all()[0]);
    let check = r#"{"healthchecks": {"web": [{"path": "/health", "attempts": 2, "wait": 1}]}}"#;
    scene.write("app.json", check);
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let api = server.api();
    Load::while_doing(&scene, |_| {
        set(&api, &json!({ "HEALTH": "bad", "A": "sick" }));
        let words = ["Error R10 (Boot timeout) -> Health check /health failed: it answered 503"];
        server.wait_for_line(0, &words);
        server.wait_for_line(0, &["v2 does not get up, so v1 serves on"]);
        assert!(scene.get("/").text().starts_with("none "));
        set(&api, &json!({ "HEALTH": "good", "A": "well" }));
        settled(&api, 1, 3, &[]);
    });
    assert!(scene.get("/").text().starts_with("well "));
}
