//! Builds that do not end as they should, or say more than anybody reads.

use slugline_model::build::exit_code;

use super::stage::{LIMITS, Stage, limits};
use super::support::account::Account;
use super::support::scene::Scene;

/// Forks twice and leaves the session, and keeps the streams of the build open.
const DAEMON: &str = "#!/bin/sh\n(setsid sleep 271 &)\necho left\n";

/// Nobody can read what it says, and it ends well.
const CLOSED_STREAMS: &str = "#!/bin/sh\nexec >&- 2>&-\necho unheard\ntouch \"$1/compiled\"\n";

const MANY_FILES: &str = "#!/usr/bin/env python3\nimport os, sys\n\
    for directory in range(100):\n    path = f'{sys.argv[1]}/many/{directory}'\n    \
    os.makedirs(path)\n    for number in range(1000):\n        \
    open(f'{path}/{number}', 'w').close()\n";

const HANGS: &str = "#!/bin/sh\necho waiting\nsleep 100\n";

/// More than is kept, in lines as long as lines may be.
const FLOOD: &str = "#!/usr/bin/env python3\nimport os\n\
    lines = (b'x' * 9_999 + b'\\n') * 100\n\
    for _ in range(400):\n    view = memoryview(lines)\n    \
    while view:\n        view = view[os.write(1, view):]\n\
    os.write(1, b'the last line\\n')\n";

/// What Heroku keeps of a build's output (bytes).
const HEROKUS_MOST: u64 = 300 << 20;

/// What a server may take at most while a build floods it (kB).
const SERVER_MEMORY: u64 = 400_000;

#[test]
fn a_build_that_leaves_a_process_or_closes_its_streams_ends_at_once() {
    for account in Account::all() {
        let scene = Scene::new(&account, "shelf");
        let stage = Stage::new(&scene, &account, &LIMITS);
        let built = stage.build(DAEMON);
        assert_eq!(built.status, "succeeded");
        let warning = "Warning: the build left a process running, ended now:\n !       sleep 271\n";
        assert!(built.output.contains(warning), "{}", built.output);
        assert_eq!(stage.build(CLOSED_STREAMS).status, "succeeded");
        stage.end();
    }
}

/// As an ordinary user where there is a choice: root's file systems are the same.
#[test]
fn a_hundred_thousand_files_are_no_problem() {
    let account = Account::all().pop().expect("there is somebody");
    let scene = Scene::new(&account, "shelf");
    let stage = Stage::new(&scene, &account, &limits(&[("--build-time", "600")]));
    let built = stage.build(MANY_FILES);
    assert!(built.output.contains("100,0"), "its files are counted: {}", built.output);
    assert_eq!(built.status, "succeeded");
    stage.end();
}

#[test]
fn a_build_that_hangs_is_stopped_when_its_time_is_up() {
    for account in Account::all() {
        let scene = Scene::new(&account, "shelf");
        let stage = Stage::new(&scene, &account, &limits(&[("--build-time", "3")]));
        let words = ["The build took longer than 3 seconds and was stopped"];
        stage.expect_failure(HANGS, exit_code::LIMIT, &words);
        stage.end();
    }
}

#[test]
fn a_flood_of_output_is_cut_and_does_not_swell_the_server() {
    let account = Account::all().pop().expect("there is somebody");
    let scene = Scene::new(&account, "shelf");
    let stage = Stage::new(&scene, &account, &LIMITS);
    let build = stage.build_unread(FLOOD);
    assert_eq!(build["status"], "succeeded", "{build}");
    let kept = scene.data().join("outputs").join(build["id"].as_str().expect("an id"));
    let kept = kept.metadata().expect("the output is kept").len();
    assert!(kept <= HEROKUS_MOST, "{kept} bytes were kept");
    let peak = stage.server.peak_memory();
    println!("{kept} bytes kept, the server took {peak} kB");
    assert!(peak < SERVER_MEMORY, "the server took {peak} kB");
    stage.end();
}
