//! A server whose clock was two days ahead, and is put right while it runs: nothing waits for two
//! days, nothing is lost, and what comes after comes after.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[path = "support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use support::account::Account;
use support::api::{Api, parted};
use support::http::Request;
use support::scene::Scene;
use support::serving::Serving;
use support::wait_for;

/// Dynos are replaced, and those that crash wait for a minute.
const SOON: Duration = Duration::from_secs(40);

/// What lies between a program and its clock.
fn library() -> PathBuf {
    if let Some(library) = found() {
        return library;
    }
    // Only root may, and then it is there.
    let _ = Command::new("apt-get").args(["install", "-y", "-q", "faketime"]).output();
    found().expect("libfaketime is missing: apt-get install faketime")
}

fn found() -> Option<PathBuf> {
    let mut places = std::fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    places.find_map(|place| {
        Some(place.join("faketime/libfaketimeMT.so.1")).filter(|library| library.is_file())
    })
}

fn set(clock: &Path, by: &str) {
    let new = clock.with_extension("new");
    std::fs::write(&new, by).unwrap();
    std::fs::rename(new, clock).unwrap();
}

/// A server whose clock goes by a file.
fn ahead<'a>(scene: &'a Scene, clock: &Path) -> Serving<'a> {
    set(clock, "+2d\n");
    let mut command = scene.account.command(scene.program());
    command
        .env("LD_PRELOAD", library())
        .env("FAKETIME_TIMESTAMP_FILE", clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Serving::start_as(scene, command, &[])
}

/// What the app's log has.
fn log(api: &Api) -> Vec<String> {
    let session = api.json("POST", "/apps/owl/log-sessions", &json!({ "lines": 500 }));
    let (port, path) = parted(session["logplex_url"].as_str().unwrap());
    let (host, headers, body) = ("localhost", &[][..], &[][..]);
    let request = Request { port, host, method: "GET", path, headers, body };
    request.send().unwrap().text().lines().map(str::to_owned).collect()
}

fn count(api: &Api, text: &str) -> usize {
    log(api).iter().filter(|line| line.contains(text)).count()
}

/// The day of something that was made now.
fn day(one: &Value) -> String {
    one["created_at"].as_str().unwrap()[..10].to_owned()
}

fn today(ahead: Duration) -> String {
    let seconds = (SystemTime::now() + ahead).duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let days = Duration::from_secs(seconds.as_secs() / 86_400 * 86_400);
    let micros = i64::try_from(days.as_micros()).unwrap();
    slugline_model::logline::timestamp(micros)[..10].to_owned()
}

#[test]
fn a_clock_that_is_put_back_stops_nothing_and_nothing_waits_for_it() {
    let scene = Scene::new(&Account::all()[0], "owl");
    let clock = scene.data().with_file_name("clock");
    let mut serving = ahead(&scene, &clock);
    let api = serving.api();
    api.json("POST", "/apps", &json!({ "name": "owl" }));
    scene.write("app/index.html", "hoot");
    serving.release(&json!({ "web": "python3 -m http.server $PORT", "worker": "exit 3" }));
    api.json("PATCH", "/apps/owl/formation/worker", &json!({ "quantity": 1 }));
    wait_for("the app", SOON, || scene.try_get("/").ok().filter(|answer| answer.status == 200));
    wait_for("a second crash", SOON, || {
        (count(&api, "Process exited with status 3") >= 2).then_some(())
    });
    let releases = api.get("/apps/owl/releases");
    let two_days = Duration::from_hours(48);
    assert_eq!(day(&releases[0]), today(two_days), "its clock is ahead");

    set(&clock, "+0\n");
    wait_for("the worker, which waits for no clock", SOON, || {
        (count(&api, "Process exited with status 3") >= 3).then_some(())
    });
    // And after that it cools off by the clock as it is: it does not start again and again.
    let crashes = count(&api, "Process exited with status 3");
    std::thread::sleep(Duration::from_secs(5));
    assert!(count(&api, "Process exited with status 3") <= crashes + 1, "{:?}", log(&api));
    api.json("PATCH", "/apps/owl/config-vars", &json!({ "AFTER": "1" }));
    let after = api.get("/apps/owl/releases");
    let (before, after) = (releases.as_array().unwrap(), after.as_array().unwrap());
    assert_eq!(after.len(), before.len() + 1);
    let last = after.last().unwrap();
    assert_eq!(last["version"].as_u64().unwrap(), before.len() as u64 + 1);
    assert_eq!((day(last), last["current"].clone()), (today(Duration::ZERO), json!(true)));
    let newest = last["version"].as_u64().unwrap();
    wait_for("web on the new release", SOON, || {
        let dynos = api.dynos("owl");
        let web = dynos.iter().find(|dyno| dyno.name == "web.1" && dyno.release == newest)?;
        (web.state == "up").then_some(())
    });
    assert_eq!(scene.get("/").status, 200);
    let lines = log(&api);
    let at = |text: &str| {
        lines
            .iter()
            .position(|line| line.contains(text))
            .unwrap_or_else(|| panic!("{text}: {lines:?}"))
    };
    assert!(at("status 3") < at("Set AFTER"), "lines come as they were said: {lines:?}");
    let short = json!({ "expires_in": 60, "scope": ["global"] });
    let token = api.json("POST", "/oauth/authorizations", &short);
    let token = token["access_token"]["token"].as_str().unwrap().to_owned();
    assert_eq!(Api { port: api.port, token }.get("/apps/owl")["name"], "owl");

    // The next server goes by the machine's own clock.
    serving.kill();
    let next = Serving::start(&scene);
    let api = next.api();
    assert_eq!(api.get("/apps/owl/releases").as_array().unwrap().len(), after.len());
    assert_eq!(scene.get("/").status, 200);
    api.json("DELETE", "/apps/owl", &Value::Null);
}
