//! Dynos that take memory.

use super::stage::{Stage, as_everybody};

/// Above the quota of 512 MiB and below twice that, and stays there.
const GREEDY: &str = "#!/usr/bin/env python3\nimport time\nkept = b'x' * (600 << 20)\n\
    print('kept', flush=True)\ntime.sleep(600)\n";

const ANONYMOUS: &str = "#!/usr/bin/env python3\nkept = []\n\
    while True:\n    kept.append(b'x' * (20 << 20))\n";

/// Each process has little; all together have too much. The one that was started first lives on
/// if only one of them is ended.
const MANY: &str = "#!/bin/bash\nfor number in 1 2 3 4 5 6 7 8 9 10 11 12; do\n  \
    python3 -c 'kept = b\"x\" * 120_000_000; import time; time.sleep(600)' &\ndone\nsleep 600\n";

/// Memory that belongs to all who see it.
const SHARED: &str = "#!/usr/bin/env python3\nimport mmap, os\nkept = []\n\
    while True:\n    area = mmap.mmap(-1, 20 << 20)\n    area.write(b'x' * (20 << 20))\n    \
    kept.append(area)\n";

/// Files of memory that no process has mapped, and that have no name.
const NAMELESS: &str = "#!/usr/bin/env python3\nimport os\nkept = []\nblock = b'x' * (20 << 20)\n\
    while True:\n    file = os.memfd_create('x')\n    os.write(file, block)\n    \
    kept.append(file)\n";

/// Files of memory, which have a limit of their own.
const TMPFS: &str = "#!/usr/bin/env python3\nimport time\n\
    try:\n    with open('/dev/shm/file', 'wb', buffering=0) as file:\n        \
    while True:\n            file.write(b'x' * (20 << 20))\n\
    except OSError as error:\n    print('full:', error.strerror, flush=True)\n\
    kept = b'x' * (300 << 20)\ntime.sleep(600)\n";

const R14: &str = "Error R14 (Memory quota exceeded)";
const R15: &str = "Error R15 (Memory quota vastly exceeded)";

fn is_ended(stage: &Stage<'_>) {
    let lines = stage.light();
    stage.hears(lines, R15);
    stage.hears(lines, "Process running mem=1");
    stage.hears(lines, "Stopping process with SIGKILL");
    stage.hears(lines, "Process exited with status 137");
    stage.hears(lines, "to crashed");
    stage.put_out();
    stage.is_gone();
}

#[test]
fn a_dyno_above_its_quota_is_told_and_goes_on() {
    as_everybody(GREEDY, &[], |stage| {
        let lines = stage.light();
        stage.says(lines, "kept");
        stage.hears(lines, "Process running mem=6");
        stage.hears(lines, R14);
        assert_eq!(stage.state(), "up");
        assert!(!stage.server.output().contains("R15"));
        stage.put_out();
        stage.hears(lines, "Process exited with status 143");
        stage.is_gone();
    });
}

#[test]
fn a_dyno_that_takes_twice_its_quota_is_ended_with_all_its_processes() {
    for bomb in [ANONYMOUS, MANY, SHARED, NAMELESS] {
        as_everybody(bomb, &[], is_ended);
    }
}

#[test]
fn files_of_memory_count_and_are_bounded() {
    as_everybody(TMPFS, &[], |stage| {
        let lines = stage.light();
        stage.says(lines, "full: No space left on device");
        stage.hears(lines, R14);
        assert_eq!(stage.state(), "up");
        stage.put_out();
        stage.is_gone();
    });
}
