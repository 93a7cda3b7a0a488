//! Somebody who pushes and has sources built, and remembers what they were answered.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::account::run;
use crate::support::api::{Api, parted};
use crate::support::chance::Chance;
use crate::support::http::Request;
use crate::support::scene::Scene;
use crate::support::trace;
use crate::support::wait_for;

/// How long what a killed server has started may go on by itself.
const ORPHANED: Duration = Duration::from_secs(20);

const SOON: Duration = Duration::from_mins(1);

const PROCFILE: &str = "worker: bash work.sh\n";

pub(crate) struct Pushes {
    tree: tempfile::TempDir,
    main: Branch,
    topic: Branch,
    /// Builds that were answered, and whether with their end.
    builds: Vec<(String, bool)>,
    pushed: u64,
    built: u64,
}

/// A branch on the server.
#[derive(Debug, Default)]
struct Branch {
    name: &'static str,
    asked: String,
    answered: String,
}

impl Pushes {
    pub(crate) fn new(work: &str) -> Self {
        let tree = tempfile::tempdir().unwrap();
        let branch = |name| Branch { name, ..Branch::default() };
        let (main, topic) = (branch("main"), branch("topic"));
        let new = Self { tree, main, topic, builds: Vec::new(), pushed: 0, built: 0 };
        run(new.git().args(["init", "-q", "-b", "main"]));
        std::fs::write(new.tree.path().join("Procfile"), PROCFILE).unwrap();
        std::fs::write(new.tree.path().join("work.sh"), work).unwrap();
        run(new.git().args(["add", "-A"]));
        new
    }

    fn git(&self) -> Command {
        let mut git = Command::new("git");
        git.current_dir(self.tree.path()).env("HOME", self.tree.path());
        git.args(["-c", "user.name=Ann", "-c", "user.email=ann@x.org"]);
        git.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
        git
    }

    /// Pushes and builds, one after the other, until the server is killed.
    pub(crate) fn push_until_it_is_gone(&mut self, api: &Api, killed: &AtomicBool, seed: u64) {
        let mut chance = Chance::of(seed);
        loop {
            let done = match chance.below(4) {
                0 => self.build(api),
                1 => self.push(api, "main"),
                _ => self.push(api, "topic"),
            };
            if let Err(said) = done {
                assert!(killed.load(Ordering::SeqCst), "the server lives: {said}");
                return;
            }
        }
    }

    fn push(&mut self, api: &Api, name: &str) -> Result<(), String> {
        run(self.git().args(["commit", "-q", "--allow-empty", "-m", "Another one"]));
        let head = run(self.git().args(["rev-parse", "HEAD"])).trim().to_owned();
        let branch = if name == "main" { &mut self.main } else { &mut self.topic };
        branch.asked.clone_from(&head);
        let url = format!("http://x:{}@127.0.0.1:{}/owl.git", api.token, api.port);
        let pushed = self.git().args(["push", "-q", &url, &format!("HEAD:{name}")]).output();
        let pushed = pushed.unwrap();
        if !pushed.status.success() {
            return Err(String::from_utf8_lossy(&pushed.stderr).into_owned());
        }
        let branch = if name == "main" { &mut self.main } else { &mut self.topic };
        branch.answered = head;
        self.pushed += 1;
        Ok(())
    }

    /// Has the work tree built, and waits for the end.
    fn build(&mut self, api: &Api) -> Result<(), String> {
        let tree = run(self.git().args(["write-tree"]));
        let source = self.git().args(["archive", "--format=tar.gz", tree.trim()]).output();
        let body = source.unwrap().stdout;
        let gone = |error: std::io::Error| error.to_string();
        let place = ask(api, "POST", "/sources", &Value::Null)?;
        let url = place["source_blob"]["put_url"].as_str().unwrap().to_owned();
        let path = parted(&url).1;
        let (port, host, headers) = (api.port, "127.0.0.1", &[][..]);
        let put = Request { port, host, method: "PUT", path, headers, body: &body };
        let status = put.send().map_err(gone)?.status;
        assert_eq!(status, 200, "a source");
        let asked = json!({ "source_blob": { "url": url, "version": "v2" } });
        let id = ask(api, "POST", "/apps/owl/builds", &asked)?["id"].as_str().unwrap().to_owned();
        self.builds.push((id.clone(), false));
        let path = format!("/apps/owl/builds/{id}");
        loop {
            let build = ask(api, "GET", &path, &Value::Null)?;
            if build["status"] != "pending" {
                assert_eq!(build["status"], "succeeded", "{build}");
                self.builds.last_mut().unwrap().1 = true;
                self.built += 1;
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether what was answered is there, and whole.
    pub(crate) fn check(&mut self, api: &Api, scene: &Scene) {
        wait_for("the end of what the killed server had git do", ORPHANED, || {
            let all = trace::processes(&scene.data());
            let left = |(_, line): &(i32, String)| line.contains("receive-pack");
            (!all.iter().any(left)).then_some(())
        });
        if let Some(repository) = repository(scene) {
            run(Command::new("git").arg("--git-dir").arg(&repository).args([
                "fsck",
                "--connectivity-only",
                "--no-dangling",
                "--no-progress",
            ]));
            for branch in [&mut self.main, &mut self.topic] {
                branch.check(&repository);
            }
        }
        for (id, succeeded) in &self.builds {
            let build = api.get(&format!("/apps/owl/builds/{id}"));
            let status = build["status"].as_str().unwrap();
            assert!(status == "succeeded" || !succeeded && status == "failed", "{build}");
            if let Some(release) = build["release"]["id"].as_str() {
                let release = api.get(&format!("/apps/owl/releases/{release}"));
                // The slugs of releases long ago are not kept.
                let known = ["succeeded", "expired"].map(Value::from);
                assert!(known.contains(&release["status"]), "{release}");
            }
            assert!(!succeeded || build["release"]["id"].is_string(), "{build}");
        }
        let current = api.get("/apps/owl/releases/current");
        let slug = current["slug"]["id"].as_str().unwrap();
        let path = format!("/apps/owl/slugs/{slug}/actions/verify");
        let verified = api.send("POST", &path, &Value::Null);
        assert_eq!(verified.status, 200, "{current}: {}", verified.text());
    }

    /// All slugs are whole, and what was pushed can be had.
    pub(crate) fn check_all(&self, api: &Api) {
        let checked = api.send("POST", "/store/actions/fsck", &json!({})).text();
        let last: Value = serde_json::from_str(checked.lines().last().unwrap()).unwrap();
        assert_eq!(last["checked"]["findings"], json!([]), "{last}");
        let url = format!("http://x:{}@127.0.0.1:{}/owl.git", api.token, api.port);
        let back = self.tree.path().join("back");
        run(self.git().args(["clone", "-q", "--mirror", &url]).arg(back));
        wait_for("the builds that nobody waits for", SOON, || {
            let builds = api.get("/apps/owl/builds");
            let over = |build: &Value| build["status"] != "pending";
            builds.as_array().unwrap().iter().all(over).then_some(())
        });
        let builds = newest(api, "builds", "created_at");
        for release in newest(api, "releases", "version") {
            let made = |build: &&Value| build["release"]["id"] == release["id"];
            let is_deploy = release["description"].as_str().unwrap().starts_with("Deploy ");
            if is_deploy && release["status"] != "failed" {
                let build = builds.iter().find(made).unwrap_or_else(|| panic!("none: {release}"));
                assert_eq!(build["status"], "succeeded", "{release}: {build}");
            }
        }
    }

    /// Pushes and builds that were answered.
    pub(crate) fn answered(&self) -> (u64, u64) {
        (self.pushed, self.built)
    }
}

impl Branch {
    /// It is where it was answered to be, or where the killed server was asked to put it.
    fn check(&mut self, repository: &std::path::Path) {
        let name = format!("refs/heads/{}", self.name);
        let git = Command::new("git")
            .arg("--git-dir")
            .arg(repository)
            .args(["rev-parse", "--verify", "--quiet", &name])
            .output();
        let there = String::from_utf8_lossy(&git.unwrap().stdout).trim().to_owned();
        assert!(there == self.answered || there == self.asked, "{there} is there: {self:?}");
        self.answered.clone_from(&there);
        self.asked = there;
    }
}

/// The newest thousand of a list.
fn newest(api: &Api, list: &str, by: &str) -> Vec<Value> {
    let (path, range) = (format!("/apps/owl/{list}"), format!("{by} ..; order=desc, max=1000"));
    let authorization = format!("Bearer {}", api.token);
    let headers = [("Range", range.as_str()), ("Authorization", &authorization)];
    let (port, host, method) = (api.port, "localhost", "GET");
    let asked = Request { port, host, method, path: &path, headers: &headers, body: &[] };
    serde_json::from_str(&asked.send().unwrap().text()).unwrap()
}

/// The one repository.
fn repository(scene: &Scene) -> Option<std::path::PathBuf> {
    let all = std::fs::read_dir(scene.data().join("git")).ok()?.flatten();
    let mut all =
        all.map(|entry| entry.path()).filter(|path| path.extension() == Some("git".as_ref()));
    all.next()
}

/// Asks a server that may be gone.
fn ask(api: &Api, method: &str, path: &str, body: &Value) -> Result<Value, String> {
    let answer = api.try_send(method, path, body).map_err(|error| error.to_string())?;
    let text = answer.text();
    assert!((200..300).contains(&answer.status), "{method} {path}: {}: {text}", answer.status);
    serde_json::from_str(&text).map_err(|error| error.to_string())
}
