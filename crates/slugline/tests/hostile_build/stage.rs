//! A server with small limits and an app that serves, for hostile builds of the same app.

use std::time::Duration;

use serde_json::Value;

use super::support::account::Account;
use super::support::api::Api;
use super::support::deploy::{ended, output, start_build};
use super::support::scene::Scene;
use super::support::server::Server;
use super::support::{trace, wait_for};

/// What a build ends within.
const BUILD: Duration = Duration::from_mins(10);

/// What a limit needs to be noticed on a busy machine, too.
pub(crate) const LIMITS: [&str; 8] = [
    "--build-time",
    "60",
    "--build-memory",
    "300",
    "--build-processes",
    "120",
    "--build-disk",
    "100",
];

const PROCFILE: &str = "web: exec python3 -m http.server --bind 127.0.0.1 $PORT\n";

/// How a build ended.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) status: String,
    pub(crate) exit_code: i64,
    pub(crate) output: String,
}

/// A server whose app serves while builds are tried.
pub(crate) struct Stage<'a> {
    pub(crate) server: Server<'a>,
    pub(crate) api: Api,
    account: &'a Account,
    /// What servers that were killed long ago left on this machine.
    old_groups: Vec<String>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(scene: &'a Scene, account: &'a Account, options: &[&str]) -> Self {
        Self::with_procfile(scene, account, options, PROCFILE)
    }

    pub(crate) fn with_procfile(
        scene: &'a Scene,
        account: &'a Account,
        options: &[&str],
        procfile: &str,
    ) -> Self {
        scene.write("bin/detect", "#!/bin/sh\necho Shelf\n");
        scene.write("bin/compile", "#!/bin/sh\ntrue\n");
        scene.write("Procfile", procfile);
        scene.write("index.html", "on the shelf");
        let old_groups = control_groups();
        let mut server = Server::start_with_options(scene, options);
        server.wait_for_release(1);
        let api = server.api();
        Self { server, api, account, old_groups }
    }

    /// Builds the app with this `bin/compile`, while the app has to go on serving.
    pub(crate) fn build(&self, compile: &str) -> Built {
        let build = self.build_unread(compile);
        let ending = Built {
            status: build["status"].as_str().unwrap_or_default().to_owned(),
            exit_code: build["exit_code"].as_i64().unwrap_or(-1),
            output: output(&build),
        };
        println!("as {}:\n{}", self.account, shortened(&ending.output));
        ending
    }

    /// The same, without asking for its output.
    pub(crate) fn build_unread(&self, compile: &str) -> Value {
        let other = Scene::new(self.account, "shelf");
        other.write("bin/detect", "#!/bin/sh\necho Shelf\n");
        other.write("bin/compile", compile);
        other.write("Procfile", PROCFILE);
        other.write("index.html", "on the shelf");
        let build = start_build(&self.api, "shelf", &other);
        wait_for("the build's end", BUILD, || {
            assert_eq!(self.server.scene.get("/").text(), "on the shelf");
            ended(&self.api, "shelf", &build)
        })
    }

    /// One that has to fail, with this exit code and these words, and release nothing.
    pub(crate) fn expect_failure(&self, compile: &str, exit_code: i32, words: &[&str]) -> Built {
        let before = self.api.dynos("shelf");
        let built = self.build(compile);
        assert_eq!((built.status.as_str(), built.exit_code), ("failed", i64::from(exit_code)));
        for word in words.iter().chain(&["Nothing was released. shelf still runs v1."]) {
            assert!(built.output.contains(word), "`{word}` is not in the output");
        }
        assert_eq!(self.api.dynos("shelf"), before, "the same dynos");
        let releases = self.api.get("/apps/shelf/releases");
        assert_eq!(releases.as_array().map(Vec::len), Some(1), "{releases}");
        built
    }

    /// Ends the server, and looks whether anything of all that is left.
    pub(crate) fn end(self) {
        let scene = self.server.scene;
        let ended = self.server.interrupt();
        assert_eq!(ended.code, Some(0), "{}", ended.output);
        trace::assert_none(&scene.data());
        assert!(!scene.data().join("dynos").read_dir().unwrap().any(|_| true), "dynos are left");
        let mut groups = control_groups();
        groups.retain(|group| !self.old_groups.contains(group));
        assert_eq!(groups, [""; 0]);
    }
}

/// Control groups of dynos whose processes are gone. Those of tests beside this one have some.
fn control_groups() -> Vec<String> {
    let found = std::process::Command::new("find")
        .args(["/sys/fs/cgroup", "-maxdepth", "6", "-type", "d", "-name", "slugline-*"])
        .output()
        .expect("find runs");
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    let mut empty: Vec<String> = found.lines().map(str::to_owned).collect();
    // For longer than a build needs to start or to end in one.
    for _ in 0..50 {
        empty.retain(|group| {
            std::fs::read_to_string(format!("{group}/cgroup.procs"))
                .is_ok_and(|text| text.is_empty())
        });
        std::thread::sleep(Duration::from_millis(20));
    }
    empty
}

fn shortened(output: &str) -> String {
    let lines: Vec<&str> = output.lines().map(|line| line.get(..200).unwrap_or(line)).collect();
    match lines.len() {
        0..60 => lines.join("\n"),
        n => format!("{}\n…\n{}", lines[..20].join("\n"), lines[n - 30..].join("\n")),
    }
}

/// The limits, with others in their place.
pub(crate) fn limits(changed: &[(&'static str, &'static str)]) -> Vec<&'static str> {
    let mut options = LIMITS.to_vec();
    for (name, value) in changed {
        let at = options.iter().position(|option| option == name).expect("a known limit");
        options[at + 1] = value;
    }
    options
}
