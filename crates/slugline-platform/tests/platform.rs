//! The platform in one process: releases, the reconcile loop, routes, and the API that shows them.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use http::StatusCode;
use serde_json::json;
use slugline_model::code::Code;
use slugline_model::dyno::Event;
use slugline_model::route::Serving;
use support::{Script, TestPlatform};

impl TestPlatform {
    async fn versions(&self) -> Vec<(u64, String, bool)> {
        let releases = self.get("/apps/library/releases").await;
        let releases = releases.as_array().unwrap().iter();
        releases
            .map(|r| {
                let status = r["status"].as_str().unwrap().to_owned();
                (r["version"].as_u64().unwrap(), status, r["current"] == true)
            })
            .collect()
    }
}

#[tokio::test]
async fn the_current_release_is_found_behind_more_than_a_list_holds() {
    let test = TestPlatform::new().await;
    test.ok("POST", "/apps", json!({ "name": "library" })).await;
    let current = "/apps/library/releases/current";
    let (status, body) = test.call("GET", current, json!({})).await;
    assert_eq!((status.as_u16(), &body["resource"]), (404, &json!("release")));
    for version in 1..=1_001 {
        let vars = json!({ "VERSION": version.to_string() });
        test.ok("PATCH", "/apps/library/config-vars", vars).await;
    }
    let listed = test.get("/apps/library/releases").await;
    assert!(listed.as_array().unwrap().iter().all(|release| release["current"] == false));
    let found = test.get(current).await;
    assert_eq!((&found["version"], &found["current"]), (&json!(1_001), &json!(true)));
    let vars = test.get(&format!("{current}/config-vars")).await;
    assert_eq!(vars["VERSION"], "1001");
}

#[tokio::test]
async fn without_the_token_there_is_no_answer() {
    let test = TestPlatform::new().await;
    for path in ["/apps", "/account", "/apps/library/dynos"] {
        let (status, body) = test.call_as("wrong", "GET", path, json!({})).await;
        assert_eq!((status, &body["id"]), (StatusCode::UNAUTHORIZED, &json!("unauthorized")));
    }
}

#[tokio::test]
async fn bad_names_and_bodies_are_refused_in_herokus_shape() {
    let test = TestPlatform::new().await;
    let (status, body) = test.call("POST", "/apps", json!({ "name": "Owl" })).await;
    assert_eq!((status.as_u16(), &body["id"]), (422, &json!("invalid_params")));
    assert!(body["message"].as_str().unwrap().contains("`Owl` is not an app name"));
    test.ok("POST", "/apps", json!({ "name": "owl" })).await;
    let (status, body) = test.call("POST", "/apps", json!({ "name": "owl" })).await;
    assert_eq!((status.as_u16(), &body["message"]), (422, &json!("Name owl is already taken")));
    assert_eq!(test.call("POST", "/apps", json!([1])).await.0.as_u16(), 400);
    let (status, body) = test.call("GET", "/apps/nobody", json!({})).await;
    assert_eq!((status.as_u16(), &body["resource"]), (404, &json!("app")));
}

#[tokio::test]
async fn a_build_makes_a_release_whose_web_dyno_is_routed_to_once_it_is_up() {
    let test = TestPlatform::new().await;
    test.ok("POST", "/apps", json!({ "name": "library" })).await;
    test.until(async || test.serving() == Some(Serving::Nobody(Code::H81))).await;
    let build = test.build().await;
    assert_eq!((&build["status"], &build["exit_code"]), (&json!("succeeded"), &json!(0)));
    assert_eq!(test.versions().await, [(1, "succeeded".into(), true)]);
    let web = test.started("web.1", 1).await;
    test.until(async || test.serving() == Some(Serving::Booting)).await;
    let env = test.engine.running.lock().unwrap()[&web].env.clone();
    assert_eq!((env["DYNO"].as_str(), env["HOME"].as_str()), ("web.1", "/app"));
    test.engine.emit(web, Event::Up);
    test.until(async || matches!(test.serving(), Some(Serving::Dynos(d)) if d.len() == 1)).await;
    assert_eq!(test.dyno("worker.1").await, json!(null), "only web runs until it is scaled");
    assert!(test.logged("heroku[web.1]: Starting process with command `serve`"));
    assert!(test.logged("heroku[web.1]: State changed from starting to up"));
}

#[tokio::test]
async fn a_failed_build_releases_nothing_and_what_runs_runs_on() {
    let test = TestPlatform::with_app().await;
    *test.engine.script.lock().unwrap() = Script { build_status: 40, release_phase_status: 0 };
    let build = test.build().await;
    assert_eq!((&build["status"], &build["exit_code"]), (&json!("failed"), &json!(40)));
    assert_eq!(test.versions().await, [(1, "succeeded".into(), true)]);
    assert_eq!(test.dyno("web.1").await["state"], "up");
}

#[tokio::test]
async fn a_failed_release_phase_leaves_the_old_release_running() {
    let test = TestPlatform::with_app().await;
    *test.engine.procfile.lock().unwrap() = "web: serve\nrelease: migrate".into();
    *test.engine.script.lock().unwrap() = Script { build_status: 0, release_phase_status: 1 };
    let build = test.build().await;
    assert_eq!((&build["status"], &build["exit_code"]), (&json!("failed"), &json!(80)));
    let expected = [(1, "succeeded".into(), true), (2, "failed".into(), false)];
    assert_eq!(test.versions().await, expected);
    assert_eq!(test.dyno("web.1").await["release"]["version"], 1);
    *test.engine.script.lock().unwrap() = Script { build_status: 0, release_phase_status: 0 };
    assert_eq!(test.build().await["status"], "succeeded");
    test.started("web.1", 3).await;
}

#[tokio::test]
async fn config_vars_make_releases_numbered_without_gaps_and_reach_new_dynos() {
    let test = TestPlatform::with_app().await;
    let vars = "/apps/library/config-vars";
    assert_eq!(test.ok("PATCH", vars, json!({ "A": "1" })).await, json!({ "A": "1" }));
    test.ok("PATCH", vars, json!({ "A": "1" })).await;
    let (status, _) = test.call("PATCH", vars, json!({ "HEROKU_X": "1" })).await;
    assert_eq!(status.as_u16(), 422);
    let web = test.started("web.1", 2).await;
    assert_eq!(test.engine.running.lock().unwrap()[&web].env["A"], "1");
    let versions: Vec<u64> = test.versions().await.iter().map(|v| v.0).collect();
    assert_eq!(versions, [1, 2], "an unchanged value makes no release");
}

#[tokio::test]
async fn a_rollback_brings_back_code_and_config() {
    let test = TestPlatform::with_app().await;
    test.ok("PATCH", "/apps/library/config-vars", json!({ "A": "1" })).await;
    let body = json!({ "release": "1" });
    let release = test.ok("POST", "/apps/library/releases", body).await;
    assert_eq!(release["description"], "Rollback to v1");
    assert_eq!(test.get("/apps/library/config-vars").await, json!({}));
    let web = test.started("web.1", 3).await;
    assert!(!test.engine.running.lock().unwrap()[&web].env.contains_key("A"));
}

#[tokio::test]
async fn a_crash_restarts_at_once_and_a_second_one_waits_until_told() {
    let test = TestPlatform::with_app().await;
    for _ in 0..2 {
        let web = test.started("web.1", 1).await;
        test.engine.running.lock().unwrap().remove(&web);
        test.engine.emit(web, Event::Exited { status: 0 });
        test.engine.emit(
            web,
            Event::Discarded { receipt: slugline_model::ledger::Receipt::default(), kept: false },
        );
        test.until(async || test.logged("State changed from")).await;
    }
    test.until(async || test.dyno("web.1").await["state"] == "crashed").await;
    assert!(test.logged("heroku[web.1]: Crashed again (status 0): the next start is in 1 min"));
    test.until(async || test.serving() == Some(Serving::Nobody(Code::H10))).await;
    test.ok("DELETE", "/apps/library/dynos/web.1", json!({})).await;
    test.started("web.1", 1).await;
}

#[tokio::test]
async fn a_restart_replaces_the_dyno_and_keeps_a_receipt() {
    let test = TestPlatform::with_app().await;
    let before = test.started("web.1", 1).await;
    test.ok("DELETE", "/apps/library/dynos/web.1", json!({})).await;
    let new = test.started_beside("web.1", before).await;
    assert!(matches!(test.serving(), Some(Serving::Dynos(d)) if d[0].id == before));
    test.engine.emit(new, Event::Up);
    test.until(async || test.get("/apps/library/receipts").await[0]["dyno"] == "web.1").await;
    assert_eq!(test.started("web.1", 1).await, new);
    let (status, body) = test.call("DELETE", "/apps/library/dynos/web.9", json!({})).await;
    assert_eq!((status.as_u16(), &body["resource"]), (404, &json!("dyno")));
}

#[tokio::test]
async fn scaling_starts_and_stops_and_bad_quantities_change_nothing() {
    let test = TestPlatform::with_app().await;
    let formation = "/apps/library/formation";
    let scale = |web: serde_json::Value| json!({ "updates": [{ "type": "web", "quantity": web }] });
    test.ok("PATCH", formation, scale(json!("+1"))).await;
    test.started("web.2", 1).await;
    for bad in [json!("-5"), json!("many"), json!(100_000)] {
        assert_eq!(test.call("PATCH", formation, scale(bad)).await.0.as_u16(), 422);
    }
    let unknown = json!({ "updates": [{ "type": "nothing", "quantity": 1 }] });
    assert_eq!(test.call("PATCH", formation, unknown).await.0.as_u16(), 404);
    test.ok("PATCH", formation, scale(json!(0))).await;
    test.until(async || test.get("/apps/library/dynos").await == json!([])).await;
    test.until(async || test.serving() == Some(Serving::Nobody(Code::H14))).await;
}

#[tokio::test]
async fn maintenance_and_destruction_are_seen_by_the_router() {
    let test = TestPlatform::with_app().await;
    test.ok("PATCH", "/apps/library", json!({ "maintenance": true })).await;
    test.until(async || test.serving() == Some(Serving::Nobody(Code::H80))).await;
    let cache = test.data.path().join("cache/library");
    test.until(async || cache.exists()).await;
    test.ok("DELETE", "/apps/library", json!({})).await;
    test.until(async || test.serving().is_none()).await;
    test.until(async || !cache.exists()).await;
    test.until(async || test.engine.running.lock().unwrap().is_empty()).await;
}

#[tokio::test]
async fn stopping_everything_waits_for_the_last_receipt() {
    let test = TestPlatform::with_app().await;
    test.platform.stop_all().await;
    assert!(test.engine.running.lock().unwrap().is_empty());
    assert_eq!(test.get("/apps/library/dynos").await, json!([]));
    assert_eq!(test.get("/apps/library/receipts").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_build_of_what_was_never_uploaded_is_refused() {
    let test = TestPlatform::with_app().await;
    for url in ["http://localhost:5055/sources/00000000-0000-4000-8000-000000000000", "ftp://x"] {
        let body = json!({ "source_blob": { "url": url } });
        let (status, body) = test.call("POST", "/apps/library/builds", body).await;
        assert_eq!((status.as_u16(), &body["id"]), (422, &json!("invalid_params")));
    }
}

#[tokio::test]
async fn no_release_phase_begins_while_the_server_stops() {
    let test = TestPlatform::with_app().await;
    *test.engine.procfile.lock().unwrap() = "web: serve\nrelease: migrate".into();
    assert_eq!(test.build().await["status"], "succeeded");
    test.platform.stop_all().await;
    test.ok("PATCH", "/apps/library/config-vars", json!({ "A": "1" })).await;
    test.until(async || test.versions().await.len() == 3).await;
    test.until(async || test.versions().await[2].1 != "pending").await;
    assert_eq!(test.versions().await[2].1, "failed");
}

#[tokio::test]
async fn a_renamed_app_keeps_its_dynos_its_cache_and_its_releases() {
    let test = TestPlatform::with_app().await;
    let web = test.started("web.1", 1).await;
    let cache = |name: &str| test.data.path().join("cache").join(name);
    test.until(async || cache("library").exists()).await;
    test.ok("POST", "/apps", json!({ "name": "shelf" })).await;
    let taken = json!({ "name": "shelf" });
    let (status, body) = test.call("PATCH", "/apps/library", taken).await;
    assert_eq!((status.as_u16(), &body["message"]), (422, &json!("Name shelf is already taken")));
    let renamed = test.ok("PATCH", "/apps/library", json!({ "name": "archive" })).await;
    assert_eq!(renamed["name"], "archive");
    assert!(renamed["web_url"].as_str().unwrap().contains("archive.localhost"));
    assert_eq!(test.call("GET", "/apps/library", json!({})).await.0.as_u16(), 404);
    let serving = || {
        let routes = test.platform.routes();
        let table = routes.borrow().clone();
        let of = |host: &str| table.find(host).map(|route| route.serving.clone());
        (of("archive.localhost:5080"), of("library.localhost:5080"))
    };
    let served =
        |serving: &Option<Serving>| matches!(serving, Some(Serving::Dynos(d)) if d[0].id == web);
    test.until(async || served(&serving().0) && serving().1.is_none()).await;
    assert!(cache("archive").exists() && !cache("library").exists());
    let dynos = test.get("/apps/archive/dynos").await;
    assert_eq!((&dynos[0]["id"], &dynos[0]["state"]), (&json!(web), &json!("up")));
    assert_eq!(test.engine.running.lock().unwrap().len(), 1, "nothing was started anew");
    test.ok("PATCH", "/apps/archive/config-vars", json!({ "A": "1" })).await;
    let new = test.started_beside("web.1", web).await;
    assert_eq!(test.engine.running.lock().unwrap()[&new].app.as_str(), "archive");
    // Another app may have the old name, and has nothing of this one.
    test.ok("POST", "/apps", json!({ "name": "library" })).await;
    assert_eq!(test.get("/apps/library/dynos").await, json!([]));
    assert_eq!(test.get("/apps/library/releases").await, json!([]));
}

#[tokio::test]
async fn a_release_phase_that_failed_is_retried_and_never_scaled() {
    let test = TestPlatform::with_app().await;
    *test.engine.procfile.lock().unwrap() = "web: serve\nrelease: migrate".into();
    *test.engine.script.lock().unwrap() = Script { build_status: 0, release_phase_status: 1 };
    assert_eq!(test.build().await["status"], "failed");
    *test.engine.script.lock().unwrap() = Script { build_status: 0, release_phase_status: 0 };
    let failed = test.get("/apps/library/releases/2").await;
    let retry = json!({ "description": "Retry of v2", "slug": failed["slug"]["id"] });
    let release = test.ok("POST", "/apps/library/releases", retry).await;
    assert!(release["output_stream_url"].is_string());
    test.until(async || test.versions().await.last().unwrap().1 == "succeeded").await;
    let formation = test.get("/apps/library/formation/release").await;
    assert_eq!((&formation["quantity"], &formation["command"]), (&json!(0), &json!("migrate")));
    let one = json!({ "quantity": 1 });
    let (status, _) = test.call("PATCH", "/apps/library/formation/release", one).await;
    assert_eq!(status.as_u16(), 422);
}
