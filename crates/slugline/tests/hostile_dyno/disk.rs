//! Dynos that fill the disk.

use super::stage::{PATIENCE, SERVES, as_everybody};
use super::support::account::Account;
use super::support::scene::Scene;
use super::support::server::Server;
use super::support::{trace, wait_for};

const DISK: [&str; 2] = ["--dyno-disk", "200"];

const MANY_FILES: &str = "#!/bin/bash\nmkdir -p media/covers\nnumber=0\n\
    while :; do\n  head -c 3000000 /dev/zero >media/covers/$number\n  \
    number=$((number + 1))\ndone\n";

/// In the place that the system clears.
const TEMPORARY: &str = "#!/bin/bash\nmkdir -p /tmp/deep/er\n\
    for number in {1..100000}; do head -c 5000000 /dev/zero >/tmp/deep/er/$number; done\n";

/// A single file that is too large: the kernel itself ends whoever writes it.
const ONE_FILE: &str = "#!/usr/bin/env python3\nimport time\n\
    try:\n    with open('large', 'wb') as file:\n        \
    while True:\n            file.write(b'x' * 1_000_000)\n\
    except OSError as error:\n    print('refused:', error.strerror, flush=True)\ntime.sleep(600)\n";

const MANY_EMPTY_FILES: &str = "#!/usr/bin/env python3\nimport os, time\n\
    for directory in range(100):\n    path = f'many/{directory}'\n    os.makedirs(path)\n    \
    for number in range(1000):\n        open(f'{path}/{number}', 'w').close()\n\
    print('made them', flush=True)\ntime.sleep(600)\n";

#[test]
fn a_dyno_that_fills_its_disk_is_ended_and_told_what_took_the_room() {
    for (bomb, place) in [(MANY_FILES, "/app/media/covers"), (TEMPORARY, "/tmp/deep/er")] {
        as_everybody(bomb, &DISK, |stage| {
            let lines = stage.light();
            stage.hears(lines, "where a dyno may keep 209.7MB");
            stage.hears(lines, place);
            stage.hears(lines, "slugline serve --dyno-disk");
            stage.hears(lines, "Stopping process with SIGKILL");
            stage.hears(lines, "Process exited with status 137");
            stage.hears(lines, "to crashed");
            stage.put_out();
            stage.is_gone();
        });
    }
}

/// On a disk of its own: the server needs some of it, and so does the neighbour. Its API's token
/// can be read by nobody else, so the bomb lights itself.
#[test]
fn a_dyno_that_fills_the_disk_of_the_server_is_ended_and_the_others_stay() {
    for account in Account::all() {
        println!("as {account}:");
        let scene = Scene::new(&account, "shelf");
        scene.write("bin/detect", "#!/bin/sh\necho Shelf\n");
        scene.write("bin/compile", "#!/bin/sh\ntrue\n");
        scene.write("bomb", &MANY_FILES.replace("#!/bin/bash\n", "#!/bin/bash\nsleep 5\n"));
        scene.write("Procfile", &format!("web: {SERVES}\nbomb: exec ./bomb\n"));
        std::fs::create_dir(scene.data()).expect("the scene is ours");
        account.own(&scene.data());
        let data = scene.data().display().to_string();
        let mount = format!("mount -t tmpfs -o size=300m,mode=700 tmpfs '{data}' && exec \"$@\"");
        let mut command = account.command("unshare");
        command.args(["-Urm", "sh", "-c", &mount, "sh"]).arg(scene.program());
        let mut server = Server::start_with(&scene, command);
        let full = "The server's disk is full, and this dyno holds much of it: /app/media/covers";
        for words in [full, "Stopping process with SIGKILL", "exited with status 137", "Discarded"]
        {
            server.wait_for_line(0, &["heroku[bomb.1]", words]);
        }
        assert_eq!(scene.get("/").status, 200);
        let ended = server.interrupt();
        assert_eq!(ended.code, Some(0), "{}", ended.output);
        assert!(!ended.output.lines().any(|line| {
            line.contains("heroku[web.1]") && (line.contains("crashed") || line.contains("full"))
        }));
        trace::assert_none(&scene.data());
    }
}

#[test]
fn a_file_that_is_larger_than_all_may_be_ends_at_its_limit() {
    as_everybody(ONE_FILE, &DISK, |stage| {
        let lines = stage.light();
        stage.waits_for(lines, &["bomb.2]", "File too large"]);
        stage.put_out();
        stage.is_gone();
    });
}

#[test]
fn a_hundred_thousand_files_are_told_and_go_with_the_dyno() {
    as_everybody(MANY_EMPTY_FILES, &[], |stage| {
        let lines = stage.light();
        stage.says(lines, "made them");
        stage.put_out();
        stage.hears(lines, "Process exited with status 143");
        stage.hears(lines, "100,0");
        stage.is_gone();
        let data = stage.server.scene.data();
        wait_for("the layer's removal", PATIENCE, || {
            let directories = trace::dyno_directories(&data);
            let holds = |dyno: &std::path::PathBuf| dyno.join("disk/layer/app/many").exists();
            (!directories.iter().any(holds)).then_some(())
        });
    });
}
