//! What runs keeps running, whatever becomes of the next build.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use slugline_model::build::exit_code;

use super::apps;
use super::support::account::Account;
use super::support::deploy::{build, output};
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

        let build = build(&api, "shelf", &apps::with_broken_procfile(&account));
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
