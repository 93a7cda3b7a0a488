//! Builds that take all there is of something.

use slugline_model::build::exit_code;

use super::stage::{LIMITS, Stage};
use super::support::account::Account;
use super::support::scene::Scene;
use super::support::server::Server;
use super::support::trace;

const FORK_BOMB: &str = "#!/bin/bash\nbomb() { bomb | bomb & }\nbomb\nsleep 100\n";

const MEMORY_BOMB: &str = "#!/usr/bin/env python3\nimport time\nkept = []\n\
    while True:\n    kept.append(b'x' * 20_000_000)\n    time.sleep(0.01)\n";

/// Each process has little; all together have too much.
const SHARED_MEMORY_BOMB: &str = "#!/bin/bash\nfor number in 1 2 3 4 5 6 7 8 9 10; do\n  \
    python3 -c 'kept = b\"x\" * 45_000_000; import time; time.sleep(100)' &\ndone\nwait\n";

const ONE_LARGE_FILE: &str = "#!/bin/sh\nhead -c 400000000 /dev/zero >\"$1/large\"\nsleep 100\n";

const MANY_FILES: &str = "#!/bin/sh\nnumber=0\nwhile mkdir \"$1/$number\"; do\n  \
    head -c 3000000 /dev/zero >\"$1/$number/file\"\n  number=$((number + 1))\ndone\n";

/// In the dyno's own layer, which is not the build's directory.
const LAYER: &str = "#!/bin/sh\nmkdir -p /app/deep /var/tmp/x\n\
    while :; do cat /usr/bin/bash /usr/bin/git >>/app/deep/all; done\n";

const OPEN_FILES: &str = "#!/usr/bin/env python3\nkept = []\n\
    while True:\n    kept.append(open('/dev/null'))\n";

/// On a disk of its own, all of which a build may take: the server needs some of it.
#[test]
fn a_build_that_fills_the_disk_of_the_server_is_ended_before_that_cannot_go_on() {
    for account in Account::all() {
        let scene = Scene::new(&account, "shelf");
        scene.write("bin/detect", "#!/bin/sh\necho Shelf\n");
        scene.write("bin/compile", MANY_FILES);
        std::fs::create_dir(scene.data()).expect("the scene is ours");
        account.own(&scene.data());
        let data = scene.data().display().to_string();
        let mount = format!("mount -t tmpfs -o size=96m,mode=700 tmpfs '{data}' && exec \"$@\"");
        let mut command = account.command("unshare");
        command.args(["-Urm", "sh", "-c", &mount, "sh"]).arg(scene.program());
        let ended = Server::start_with(&scene, command).wait_for_failure();
        println!("as {account}:\n{}", ended.output);
        assert_eq!(ended.code, Some(exit_code::LIMIT));
        for words in
            ["The build was ended: the disk is full", "Next: df -h", "Nothing was released."]
        {
            assert!(ended.output.contains(words), "`{words}` is not in the output");
        }
        trace::assert_none(&scene.data());
    }
}

#[test]
fn a_build_that_takes_too_much_is_ended_with_its_reason() {
    for account in Account::all() {
        let scene = Scene::new(&account, "shelf");
        let stage = Stage::new(&scene, &account, &LIMITS);
        let memory = ["The build was ended: it ran out of memory", "300.0M", "--build-memory"];
        let disk = ["The build was ended: it filled the disk", "104.8MB", "--build-disk"];
        let processes = [
            "The build was ended: it started too many processes",
            "120 processes and threads",
            "--build-processes",
        ];
        for (bomb, words) in [
            (FORK_BOMB, processes),
            (MEMORY_BOMB, memory),
            (SHARED_MEMORY_BOMB, memory),
            (ONE_LARGE_FILE, disk),
            (MANY_FILES, disk),
            (LAYER, disk),
        ] {
            stage.expect_failure(bomb, exit_code::LIMIT, &words);
        }
        let open_files = ["Too many open files"];
        stage.expect_failure(OPEN_FILES, exit_code::COMPILE, &open_files);
        stage.end();
    }
}
