//! `slugline up` ends in good order, whoever ends it.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[path = "support/ports.rs"]
mod ports;

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ports::free_port;
use rustix::process::{Pid, Signal, kill_process};

/// An app that brings its own buildpack, and so is built in no time.
fn app(directory: &Path, procfile: &str) {
    std::fs::create_dir_all(directory.join("bin")).unwrap();
    std::fs::write(directory.join("Procfile"), procfile).unwrap();
    for (name, script) in [("detect", "echo Tiny"), ("compile", ":"), ("release", "echo")] {
        let path = directory.join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn up(app: &Path, data: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slugline"));
    command.arg("up").arg(app).arg("--data-dir").arg(data).args(["--app", "owl"]);
    let (port, api_port) = (free_port().to_string(), free_port().to_string());
    command.args(["--port", &port, "--api-port", &api_port]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap()
}

/// Sends a signal once a text was shown; gives the exit code and all that was shown.
fn end(mut up: Child, after: &str, signal: Signal) -> (Option<i32>, String) {
    let (mut shown, mut told) = (String::new(), false);
    for line in BufReader::new(up.stdout.take().unwrap()).lines() {
        shown.push_str(&line.unwrap());
        shown.push('\n');
        if !told && shown.contains(after) {
            told = true;
            kill_process(Pid::from_child(&up), signal).unwrap();
        }
    }
    (up.wait().unwrap().code(), shown)
}

#[test]
fn a_closed_terminal_stops_everything_like_ctrl_c() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("owl");
    app(&source, "worker: echo data > lost.txt; echo written; exec sleep 100\n");
    for signal in [Signal::HUP, Signal::INT, Signal::TERM] {
        let data = directory.path().join(signal.as_raw().to_string());
        let up = up(&source, &data);
        let (code, shown) = end(up, "app[worker.1]: written", signal);
        assert_eq!(code, Some(0), "{shown}");
        assert!(shown.contains("worker.1: Discarded 1 file, 5B"), "{shown}");
        assert_eq!(std::fs::read_dir(data.join("dynos")).unwrap().count(), 0);
    }
}
