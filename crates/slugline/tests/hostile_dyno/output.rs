//! Dynos that say more than anybody reads.

use std::time::Duration;

use super::stage::as_everybody;

/// A gigabyte, in lines as long as lines may be.
const FLOOD: &str = "#!/usr/bin/env python3\nimport os, time\n\
    lines = (b'x' * 9_999 + b'\\n') * 100\n\
    for _ in range(1_074):\n    view = memoryview(lines)\n    \
    while view:\n        view = view[os.write(1, view):]\n\
    while True:\n    os.write(1, b'the last line\\n')\n    time.sleep(1)\n";

/// What a server may take at most while a dyno floods it (kB).
const SERVER_MEMORY: u64 = 400_000;

/// What a dyno's spool may hold (bytes): 64 MiB, and what is written between two looks at it.
const SPOOL: u64 = 80 << 20;

/// How long nobody reads what it says: it fills its spool in less.
const PAUSE: Duration = Duration::from_secs(20);

#[test]
fn a_flood_of_a_gigabyte_is_cut_and_counted_and_does_not_swell_the_server() {
    as_everybody(FLOOD, &[], |stage| {
        let lines = stage.light();
        stage.hears(lines, "State changed from starting to up");
        // However fast the server is, it does not keep up now.
        stage.pause_server(PAUSE);
        stage.waits_for(lines, &["heroku[logplex]", "Error L10 (output buffer overflow)"]);
        stage.says(lines, "the last line");
        assert_eq!(stage.state(), "up");
        let peak = stage.server.peak_memory();
        println!("the server took {peak} kB");
        assert!(peak < SERVER_MEMORY, "the server took {peak} kB");
        let data = stage.server.scene.data();
        for directory in super::support::trace::dyno_directories(&data) {
            use std::os::unix::fs::MetadataExt as _;
            let events = directory.join("events").metadata().expect("a spool");
            assert!(events.blocks() * 512 < SPOOL, "{} blocks", events.blocks());
        }
        stage.put_out();
        stage.is_gone();
    });
}
