//! Dynos that start too much, or open too much.

use super::stage::{PATIENCE, as_everybody};
use super::support::wait_for;

/// Every process starts others for ever; one that may not says so once and tries again.
const FORK_BOMB: &str = "#!/usr/bin/env python3\nimport os, time\ntold = False\n\
    while True:\n    try:\n        os.fork()\n    except OSError as error:\n        \
    if not told:\n            print('refused:', error.strerror, flush=True)\n            \
    told = True\n        time.sleep(2)\n";

const OPEN_FILES: &str = "#!/usr/bin/env python3\nimport time\nkept = []\n\
    try:\n    while True:\n        kept.append(open('/dev/null'))\n\
    except OSError as error:\n    print(error.strerror, len(kept), flush=True)\n\
    time.sleep(600)\n";

/// Leaves its session twice and lives on, while the command ends.
const DOUBLE_FORK: &str =
    "#!/bin/bash\n(setsid setsid sleep 273273 >/dev/null 2>&1 &)\nsleep 1\necho left\nexit 7\n";

/// The most processes and threads of the smallest size.
const MOST: u64 = 256;

#[test]
fn a_fork_bomb_is_refused_processes_and_nothing_else() {
    as_everybody(FORK_BOMB, &[], |stage| {
        let lines = stage.light();
        stage.says(lines, "refused: Resource temporarily unavailable");
        std::thread::sleep(std::time::Duration::from_secs(5));
        assert_eq!(stage.state(), "up");
        let own = wait_for("its processes", PATIENCE, || {
            let answer = stage.api.get("/dynos/usage");
            let mut dynos = answer["dynos"].as_array()?.iter();
            dynos.find(|dyno| dyno["dyno"] == "bomb.2")?["usage"]["threads"].as_u64()
        });
        assert!((MOST / 2..=MOST).contains(&own), "{own} threads");
        stage.put_out();
        stage.is_gone();
    });
}

#[test]
fn a_dyno_that_opens_files_for_ever_is_refused_more_of_them() {
    as_everybody(OPEN_FILES, &[], |stage| {
        let lines = stage.light();
        stage.says(lines, "Too many open files 999");
        assert_eq!(stage.state(), "up");
        stage.put_out();
        stage.hears(lines, "Process exited with status 143");
        stage.is_gone();
    });
}

#[test]
fn whoever_leaves_the_session_ends_with_the_command() {
    as_everybody(DOUBLE_FORK, &[], |stage| {
        let lines = stage.light();
        stage.says(lines, "left");
        stage.hears(lines, "Process exited with status 7");
        stage.put_out();
        stage.is_gone();
        let left = sleepers();
        assert_eq!(left, 0);
    });
}

/// How many of those who left are there.
fn sleepers() -> usize {
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.filter(|line| line == b"sleep\x00273273\x00").count()
}
