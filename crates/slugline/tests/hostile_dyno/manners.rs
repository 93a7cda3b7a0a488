//! Dynos that do not end as they should, or whom nobody can hear.

use super::stage::as_everybody;

/// All of its processes look away.
const DEAF: &str = "#!/bin/bash\ntrap '' TERM INT HUP\n(trap '' TERM; sleep 600) &\n\
    echo deaf\nwhile :; do sleep 600; done\n";

const CLOSED: &str = "#!/bin/bash\necho closing\nexec >&- 2>&-\necho unheard\nexec sleep 600\n";

#[test]
fn a_dyno_that_ignores_sigterm_is_killed_after_half_a_minute() {
    as_everybody(DEAF, &[], |stage| {
        let lines = stage.light();
        stage.says(lines, "deaf");
        stage.put_out();
        stage.hears(lines, "Stopping all processes with SIGTERM");
        let error = "Error R12 (Exit timeout) -> Process failed to exit within 30 seconds";
        stage.hears(lines, error);
        stage.hears(lines, "Stopping remaining processes with SIGKILL");
        stage.hears(lines, "Process exited with status 137");
        stage.is_gone();
    });
}

#[test]
fn a_dyno_that_closes_its_output_runs_on_and_stops_when_asked() {
    as_everybody(CLOSED, &[], |stage| {
        let lines = stage.light();
        stage.says(lines, "closing");
        stage.hears(lines, "State changed from starting to up");
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert_eq!(stage.state(), "up");
        stage.put_out();
        stage.hears(lines, "Process exited with status 143");
        stage.is_gone();
        assert!(!stage.server.output().contains("unheard"));
    });
}
