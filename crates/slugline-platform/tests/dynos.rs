//! Formations: sizes, rolling restarts, crashes and what is kept of them, cron.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use serde_json::{Value, json};
use slugline_model::dyno::{DynoId, Event};
use slugline_model::resources::DynoSize;
use slugline_model::route::Serving;
use support::TestPlatform;

const FORMATION: &str = "/apps/library/formation";

impl TestPlatform {
    /// The ids of the dynos that the router knows.
    fn routed(&self) -> Vec<DynoId> {
        match self.serving() {
            Some(Serving::Dynos(dynos)) => dynos.iter().map(|dyno| dyno.id).collect(),
            _ => vec![],
        }
    }

    /// With two web dynos that are up.
    async fn with_two() -> (Self, [DynoId; 2]) {
        let test = Self::with_app().await;
        let first = test.started("web.1", 1).await;
        test.ok("PATCH", FORMATION, json!({ "updates": [{ "type": "web", "quantity": "2" }] }))
            .await;
        let second = test.started("web.2", 1).await;
        test.engine.emit(second, Event::Up);
        test.until(async || test.routed().len() == 2).await;
        (test, [first, second])
    }

    async fn set_var(&self, value: &str) {
        self.ok("PATCH", "/apps/library/config-vars", json!({ "A": value })).await;
    }

    fn size_of(&self, id: DynoId) -> u64 {
        self.engine.running.lock().unwrap()[&id].resources.memory
    }
}

#[tokio::test]
async fn a_new_release_rolls_one_web_dyno_at_a_time_and_never_serves_by_fewer() {
    let (test, [first, second]) = TestPlatform::with_two().await;
    test.set_var("1").await;
    let new = test.started("web.1", 2).await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!(test.engine.running.lock().unwrap().len(), 3, "one more, and no second one");
    test.engine.emit(new, Event::Up);
    test.until(async || !test.engine.running.lock().unwrap().contains_key(&first)).await;
    let newer = test.started("web.2", 2).await;
    assert_eq!(test.routed().len(), 2, "{second} serves until {newer} does");
    test.engine.emit(newer, Event::Up);
    test.until(async || !test.engine.running.lock().unwrap().contains_key(&second)).await;
    test.until(async || test.routed().len() == 2).await;
    let release = test.get("/apps/library/releases/2").await;
    assert_eq!(release["health"], "healthy");
}

#[tokio::test]
async fn a_draining_dyno_is_stopped_once_its_requests_have_ended() {
    let (test, [first, _]) = TestPlatform::with_two().await;
    let answering = test.platform.in_flight().enter(first);
    test.ok("POST", "/apps/library/dynos/web.1/actions/stop", json!({})).await;
    assert!(!test.routed().contains(&first), "no request comes any more");
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(test.engine.running.lock().unwrap().contains_key(&first));
    drop(answering);
    test.until(async || !test.engine.running.lock().unwrap().contains_key(&first)).await;
    test.started_beside("web.1", first).await;
}

#[tokio::test]
async fn a_release_that_does_not_get_up_leaves_the_old_one_serving_and_says_so() {
    let (test, both) = TestPlatform::with_two().await;
    test.set_var("1").await;
    for _ in 0..2 {
        let new = test.started("web.1", 2).await;
        test.engine.emit(new, Event::Line { text: "ImportError".into(), partial: false });
        test.engine.emit(new, Event::BootTimeout);
        test.crash(new, 137);
        test.until(async || !test.engine.running.lock().unwrap().contains_key(&new)).await;
    }
    test.until(async || test.logged("Crashed again (R10): the next start is in 1 min")).await;
    test.until(async || test.logged("v2 does not get up, so v1 serves on")).await;
    let mut routed = test.routed();
    routed.sort();
    let mut both = both.to_vec();
    both.sort();
    assert_eq!(routed, both);
    let dynos = test.get("/apps/library/dynos").await;
    let shown: Vec<(&Value, &Value)> =
        dynos.as_array().unwrap().iter().map(|d| (&d["name"], &d["state"])).collect();
    let (web1, web2) = (json!("web.1"), json!("web.2"));
    let (crashed, up) = (json!("crashed"), json!("up"));
    assert_eq!(shown, [(&web1, &crashed), (&web1, &up), (&web2, &up)]);
    let crash = &dynos[0]["crash"];
    assert_eq!((&crash["code"], &crash["status"]), (&json!("R10"), &json!(137)));
    assert_eq!((&crash["lines"], &crash["in_a_row"]), (&json!(["ImportError"]), &json!(2)));
    assert!(dynos[0]["next_start_at"].is_string() && dynos[0]["id"].is_string());
    let release = test.get("/apps/library/releases/2").await;
    assert_eq!(release["health"], "unhealthy");
    assert_eq!(release["description"], "Set A config vars (does not get up)");
    // Now by hand, and it works.
    test.ok("DELETE", "/apps/library/dynos/web.1", json!({})).await;
    let new = test.started("web.1", 2).await;
    test.engine.emit(new, Event::Up);
    test.until(async || test.get("/apps/library/releases/2").await["health"] == "healthy").await;
}

#[tokio::test]
async fn cool_offs_outlive_the_server() {
    let test = TestPlatform::with_app().await;
    for _ in 0..2 {
        let web = test.started("web.1", 1).await;
        test.crash(web, 3);
        test.until(async || !test.engine.running.lock().unwrap().contains_key(&web)).await;
    }
    test.until(async || test.dyno("web.1").await["state"] == "crashed").await;
    let next = test.another_server().await;
    let crashed = next.dyno("web.1").await;
    assert_eq!((&crashed["state"], &crashed["crash"]["status"]), (&json!("crashed"), &json!(3)));
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(next.engine.running.lock().unwrap().is_empty(), "it waits on");
}

#[tokio::test]
async fn without_preboot_all_web_dynos_go_at_once() {
    let (test, _) = TestPlatform::with_two().await;
    let feature = "/apps/library/features/preboot";
    assert_eq!(test.get(feature).await["enabled"], true);
    let off = test.ok("PATCH", feature, json!({ "enabled": false })).await;
    assert_eq!(off["enabled"], false);
    test.set_var("1").await;
    test.started("web.1", 2).await;
    test.started("web.2", 2).await;
    let gone = async || test.engine.running.lock().unwrap().values().all(|s| s.release == 2);
    test.until(gone).await;
    assert_eq!(test.call("GET", "/apps/library/features/x", json!({})).await.0.as_u16(), 404);
}

#[tokio::test]
async fn sizes_are_set_in_every_form_and_dynos_follow() {
    let test = TestPlatform::with_app().await;
    let web = test.started("web.1", 1).await;
    assert_eq!(test.size_of(web), DynoSize::BASIC.memory);
    let resize = json!({ "updates": [{ "type": "web", "size": "standard-2X" }] });
    let formation = test.ok("PATCH", FORMATION, resize).await;
    assert_eq!(
        (&formation[0]["size"], &formation[0]["quantity"]),
        (&json!("Standard-2X"), &json!(1))
    );
    assert!(test.logged("app[api]: Scaled to web@1:Standard-2X by user owner@localhost"));
    let larger = test.started_beside("web.1", web).await;
    assert_eq!(test.size_of(larger), 1 << 30);
    test.engine.emit(larger, Event::Up);
    test.until(async || test.dyno("web.1").await["size"] == "Standard-2X").await;
    let by_id = json!({ "dyno_size": formation[0]["dyno_size"], "quantity": null });
    let same = test.ok("PATCH", "/apps/library/formation/web", by_id).await;
    assert_eq!(same["size"], "Standard-2X");
    let bad = json!({ "updates": [{ "type": "web", "size": "huge", "quantity": 9 }] });
    let (status, body) = test.call("PATCH", FORMATION, bad).await;
    assert_eq!((status.as_u16(), &body["id"]), (422, &json!("invalid_params")));
    assert_eq!(test.get("/apps/library/formation/web").await["quantity"], 1);
    let sizes = test.get("/dyno-sizes").await;
    assert_eq!(sizes.as_array().unwrap().len(), DynoSize::ALL.len());
    assert_eq!(test.get("/dyno-sizes/standard-2x").await, sizes[3]);
    assert_eq!(test.get("/apps/library/available-dyno-sizes").await, sizes);
}

#[tokio::test]
async fn a_worker_begins_when_the_one_before_has_ended() {
    let test = TestPlatform::with_app().await;
    test.ok("PATCH", FORMATION, json!({ "updates": [{ "type": "worker", "quantity": 1 }] })).await;
    let worker = test.started("worker.1", 1).await;
    test.engine.emit(worker, Event::Up);
    test.until(async || test.dyno("worker.1").await["state"] == "up").await;
    test.ok("DELETE", "/apps/library/formations/worker", json!({})).await;
    test.started_beside("worker.1", worker).await;
    assert!(!test.engine.running.lock().unwrap().contains_key(&worker));
    let at = |line: &str| {
        let log = test.log.0.lock().unwrap();
        log.iter().rposition(|logged| logged.contains(line)).unwrap()
    };
    assert!(at("heroku[worker.1]: Starting process") > at("heroku[worker.1]: Process exited"));
}

#[tokio::test]
async fn cron_entries_run_at_their_time_and_are_shown() {
    let test = TestPlatform::new().await;
    let manifest = r#"{"cron": [{"command": "worker", "schedule": "@daily"},
                                {"command": "off", "schedule": "@daily", "maintenance": true}]}"#;
    *test.engine.manifest.lock().unwrap() = manifest.into();
    test.ok("POST", "/apps", json!({ "name": "library" })).await;
    assert_eq!(test.build().await["status"], "succeeded");
    test.until(async || test.get("/apps/library/cron").await[0]["next_run_at"].is_string()).await;
    let shown = test.get("/apps/library/cron").await;
    assert_eq!(
        (&shown[0]["schedule"], &shown[0]["last_run_at"]),
        (&json!("0 0 * * *"), &json!(null))
    );
    assert_eq!(shown[1]["next_run_at"], json!(null), "it is in maintenance");
    // As if it had last been looked at three days ago.
    test.until(async || test.forget_days("library", 3)).await;
    let next = test.another_server().await;
    let find = || {
        let running = next.engine.running.lock().unwrap();
        running.values().find(|s| s.dyno.process_type.as_str() == "cron").cloned()
    };
    next.until(async || find().is_some()).await;
    let spec = find().unwrap();
    assert_eq!(spec.command, "work", "a process type stands for its command");
    assert_eq!(spec.times.run, Some(86_400_000));
    assert!(next.logged("heroku[cron]: `worker`: 2 runs were missed, and are not made up"));
    assert!(next.logged("is made up now"));
    next.crash(spec.id, 0);
    next.until(async || next.get("/apps/library/cron").await[0]["last_status"] == 0).await;
    let crons = next.engine.running.lock().unwrap().len();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(next.engine.running.lock().unwrap().len(), crons, "once is enough");
}
