//! What runs keeps running, whatever becomes of the next build.

use std::panic::AssertUnwindSafe;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use slugline_model::build::exit_code;

use super::apps;
use super::support::account::{Account, run};
use super::support::api::{Api, parted};
use super::support::http::Request;
use super::support::scene::Scene;
use super::support::server::Server;
use super::support::{trace, wait_for};

/// A dyno has a minute to boot.
const START: Duration = Duration::from_mins(1);

/// What a shell gives for a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

#[test]
fn a_build_that_fails_changes_nothing_that_runs() {
    for account in Account::all() {
        let scene = apps::good(&account);
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        let api = server.api();
        let before = api.dynos("shelf");
        assert_eq!(before.len(), 1, "{before:?}");

        let build = build(&api, &apps::with_broken_procfile(&account));
        assert_eq!(build["status"], "failed", "{build}");
        assert_eq!(build["exit_code"], exit_code::PROCFILE, "{build}");
        let output = output(&build);
        assert!(output.contains("Procfile line 3"), "{output}");
        assert!(output.contains("Nothing was released. shelf still runs v1."), "{output}");

        assert_eq!(api.dynos("shelf"), before, "the same dynos, up, on the same release");
        assert_eq!(before[0].release, 1);
        assert_eq!(scene.get("/").text(), "on the shelf");
        let releases = api.get("/apps/shelf/releases");
        assert_eq!(releases.as_array().map(Vec::len), Some(1), "{releases}");
        let ended = server.interrupt();
        assert_eq!(ended.code, Some(0), "{}", ended.output);
        trace::assert_none(&scene.data());
    }
}

#[test]
fn ctrl_c_ends_a_build_and_what_ran_beside_it() {
    for account in Account::all() {
        let scene = apps::good(&account);
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        assert_eq!(server.interrupt().code, Some(0));

        scene.write("bin/compile", "#!/bin/sh\necho the build waits\nsleep 3600\n");
        let mut server = Server::start(&scene);
        server.wait_for_line(0, &["the build waits"]);
        wait_for("the release before to serve", START, || {
            scene.try_get("/").ok().filter(|answer| answer.status == 200)
        });
        let ended = server.interrupt();
        assert_eq!(ended.code, Some(INTERRUPTED), "{}", ended.output);
        assert!(
            ended.output.contains("Nothing was released. shelf still runs v1."),
            "{}",
            ended.output
        );
        trace::assert_none(&scene.data());
    }
}

#[test]
fn ctrl_c_stops_an_app_under_traffic() {
    for account in Account::all() {
        let scene = apps::good(&account);
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let _ = scene.try_get("/");
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
            let ended = std::panic::catch_unwind(AssertUnwindSafe(|| server.interrupt()));
            stop.store(true, Ordering::Relaxed);
            let ended = ended.unwrap_or_else(|reason| std::panic::resume_unwind(reason));
            assert_eq!(ended.code, Some(0), "{}", ended.output);
        });
        trace::assert_none(&scene.data());
    }
}

/// Builds another app's source as a deploy from CI does, and waits for the end.
fn build(api: &Api, other: &Scene) -> Value {
    let tarball = other.source().with_extension("tgz");
    run(Command::new("tar").arg("-czf").arg(&tarball).arg("-C").arg(other.source()).arg("."));
    let body = std::fs::read(tarball).expect("tar wrote it");
    let source = api.json("POST", "/sources", &Value::Null);
    let url = |name: &str| source["source_blob"][name].as_str().expect("a URL").to_owned();
    let (port, put_url) = (api.port, url("put_url"));
    let (host, path) = ("127.0.0.1", parted(&put_url).1);
    let put = Request { port, host, method: "PUT", path, headers: &[], body: &body };
    assert_eq!(put.send().expect("an answer").status, 200);
    let asked = json!({ "source_blob": { "url": url("get_url"), "version": "v2" } });
    let build = api.json("POST", "/apps/shelf/builds", &asked);
    let path = format!("/apps/shelf/builds/{}", build["id"].as_str().expect("an id"));
    wait_for("the build's end", Duration::from_mins(2), || {
        let build = api.get(&path);
        (build["status"] != "pending").then_some(build)
    })
}

/// The whole output of a build, from where its URL says.
fn output(build: &Value) -> String {
    let url = build["output_stream_url"].as_str().expect("a URL");
    let (port, path) = parted(url);
    let request = Request { port, host: "localhost", method: "GET", path, headers: &[], body: &[] };
    request.send().expect("the output").text()
}
