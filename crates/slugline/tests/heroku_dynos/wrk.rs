//! wrk asks an app with two web dynos, as fast as it is answered, over connections that it keeps, while
//! the app is deployed, restarted and scaled.

use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::load::{scale, settled};
use crate::scene;
use crate::support::account::Account;
use crate::support::deploy;
use crate::support::scene::Scene;
use crate::support::server::Server;

/// Longer than anything that is done meanwhile: wrk is told to stop before.
const AT_MOST: &str = "300s";

/// How often each thing is done.
const TIMES: u64 = 4;

struct Wrk(Child);

/// What wrk counted.
#[derive(Debug)]
struct Counted {
    requests: u64,
    /// Connections that were refused or broke, and answers that did not come.
    socket_errors: u64,
    /// Answers of other kinds than 2xx and 3xx.
    other: u64,
    report: String,
}

impl Wrk {
    fn start(scene: &Scene, path: &str) -> Self {
        let mut wrk = Command::new(installed());
        wrk.args(["--threads", "2", "--connections", "16", "--timeout", "30s", "--latency"]);
        wrk.args(["--duration", AT_MOST, "--header"]);
        wrk.arg(format!("Host: {}.localhost:{}", scene.app, scene.port));
        wrk.arg(format!("http://127.0.0.1:{}{path}", scene.port));
        Self(wrk.stdout(Stdio::piped()).spawn().unwrap())
    }

    fn stop(self) -> Counted {
        kill_process(Pid::from_child(&self.0), Signal::INT).unwrap();
        let output = self.0.wait_with_output().unwrap();
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        let numbers = |line: Option<&str>| -> u64 {
            let parts = line.unwrap_or_default().split(|c: char| !c.is_ascii_digit());
            parts.filter_map(|part| part.parse::<u64>().ok()).sum()
        };
        let line = |with: &str| report.lines().find(|line| line.contains(with));
        let requests = line(" requests in ").and_then(|line| line.split_whitespace().next());
        Counted {
            requests: numbers(requests),
            socket_errors: numbers(line("Socket errors:")),
            other: numbers(
                line("Non-2xx or 3xx responses:").and_then(|line| line.split(':').next_back()),
            ),
            report,
        }
    }
}

/// Debian's package, installed where it is missing.
fn installed() -> &'static str {
    if Command::new("wrk").arg("--version").output().is_err() {
        let _ = Command::new("apt-get").args(["install", "-y", "-q", "wrk"]).output();
        let there = Command::new("wrk").arg("--version").output();
        assert!(there.is_ok(), "wrk is missing: apt-get install wrk");
    }
    "wrk"
}

/// Does something under load, again and again, which must not be noticed. One answer takes no time, the
/// other a while, so that there are always some under way.
fn under_load(scene: &Scene, what: &str, mut work: impl FnMut()) {
    let all = ["/", "/slow"].map(|path| (path, Wrk::start(scene, path)));
    for _ in 0..TIMES {
        work();
    }
    for (path, wrk) in all {
        let Counted { requests, socket_errors, other, report } = wrk.stop();
        let counted =
            format!("{requests} requests, {socket_errors} socket errors, {other} not 2xx");
        eprintln!("{what}, {TIMES} times, {path}: {counted}");
        assert_eq!((socket_errors, other), (0, 0), "{what}: {report}");
        assert!(requests > 30, "{what}: that is no load: {report}");
    }
}

#[test]
fn wrk_notices_neither_a_deploy_nor_a_restart_nor_scaling() {
    let scene = scene(&Account::all()[0]);
    let other = crate::scene(&Account::all()[0]);
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let api = server.api();
    scale(&api, 2);
    let mut ids = settled(&api, 2, 1, &[]);
    let mut release = 1;
    under_load(&scene, "a deploy", || {
        assert_eq!(deploy::build(&api, "owl", &other)["status"], "succeeded");
        release += 1;
        ids = settled(&api, 2, release, &ids);
    });
    under_load(&scene, "a restart", || {
        api.json("DELETE", "/apps/owl/dynos", &Value::Null);
        ids = settled(&api, 2, release, &ids);
    });
    under_load(&scene, "other config vars", || {
        release += 1;
        api.json("PATCH", "/apps/owl/config-vars", &json!({ "A": release.to_string() }));
        ids = settled(&api, 2, release, &ids);
    });
    under_load(&scene, "scaling up and down", || {
        for count in [4, 1, 2] {
            scale(&api, count);
            settled(&api, count as usize, release, &[]);
        }
    });
}
