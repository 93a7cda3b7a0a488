//! What a push meets: an app with another name, requests that are packed, a database that somebody
//! else holds, a disk that is full. And what is written down of it.

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::person::{Person, WEB};
use crate::support::account::{Account, run};
use crate::support::http::Request;
use crate::support::scene::Scene;
use crate::support::serving::Serving;
use crate::support::wait_for;
use crate::{scene, serving};

const SOON: Duration = Duration::from_mins(1);

#[test]
fn an_app_with_another_name_has_its_repository_there() {
    let scene = scene();
    let serving = serving(&scene);
    let api = serving.api();
    let person = Person::new(&scene, Some(&api.token));
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    person.git(&tree, &["push", "heroku", "main"]).ok();
    person.heroku(&tree, &["apps:rename", "cat"]).ok();
    let remotes = person.git(&tree, &["remote", "-v"]).ok();
    assert!(remotes.contains("/cat.git"), "the stock command line follows: {remotes}");
    let commit = person.commit(&tree, "number", "2");
    let pushed = person.git(&tree, &["push", "heroku", "main"]);
    assert!(pushed.err.contains("http://cat.localhost"), "{pushed:?}");
    assert_eq!(person.branch(&tree, "main"), Some(commit.clone()));
    let url = |app: &str| format!("https://localhost:{}/{app}.git", scene.api_port);
    person.git(person.home(), &["clone", "-q", &url("cat"), "back"]).ok();
    assert_eq!(person.git(&person.home().join("back"), &["rev-parse", "HEAD"]).ok().trim(), commit);
    let old = person.git(&tree, &["push", &url("owl"), "main"]);
    assert!(old.err.contains("No such app as owl."), "{old:?}");
    assert_ne!(old.code, Some(0));
    // The name is free, and is then another app's, with nothing of the first.
    api.json("POST", "/apps", &json!({ "name": "owl" }));
    assert_eq!(person.git(&tree, &["ls-remote", &url("owl")]).ok(), "");
}

#[test]
fn the_audit_trail_says_who_pushed_what_and_what_came_of_it() {
    let scene = scene();
    let serving = serving(&scene);
    let api = serving.api();
    api.json("POST", "/accounts", &json!({ "email": "ann@x.org", "password": "sesame-open" }));
    let collaborator = json!({ "user": "ann@x.org" });
    api.json("POST", "/apps/owl/collaborators", &collaborator);
    let token = crate::stock::token_of(&scene, "ann@x.org", "sesame-open");
    let ann = Person::new(&scene, Some(&token));
    let tree = ann.work_tree("owl");
    ann.remote(&tree, "owl");
    ann.git(&tree, &["push", "heroku", "main"]).ok();
    ann.git(&tree, &["push", "heroku", "main:topic"]).ok();
    ann.git(&tree, &["push", "heroku", ":topic"]).ok();
    assert_ne!(ann.git(&tree, &["push", "heroku", ":main"]).code, Some(0));
    let bad = ann.commit(&tree, "Procfile", &format!("{WEB}release: exit 3\n"));
    assert_ne!(ann.git(&tree, &["push", "heroku", "main"]).code, Some(0));
    let pushes = wait_for("all of it", SOON, || {
        let events = api.get("/apps/owl/audit");
        let mut pushes: Vec<(String, String, Value)> = Vec::new();
        for event in events.as_array().unwrap() {
            let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            if text("action").starts_with("push ") {
                let who = event["actor"]["email"].as_str().or(event["user"]["email"].as_str());
                let who = who.or(event["email"].as_str()).unwrap_or_default().to_owned();
                pushes.push((text("action"), who, event["status"].clone()));
            }
        }
        let ended = pushes.iter().all(|(_, _, status)| !status.is_null());
        (pushes.len() == 5 && ended).then_some(pushes)
    });
    let status = |action: &str| {
        let found = pushes.iter().filter(|(known, _, _)| known.starts_with(action));
        found.map(|(_, _, status)| status.clone()).collect::<Vec<_>>()
    };
    assert!(pushes.iter().all(|(_, who, _)| who == "ann@x.org"), "{pushes:?}");
    assert_eq!(status("push topic deleted"), [json!(200)]);
    assert_eq!(status("push main deleted"), [json!(422)], "{pushes:?}");
    assert_eq!(status(&format!("push main {}", &bad[..8])), [json!(422)], "{pushes:?}");
    assert_eq!(pushes.iter().filter(|(_, _, status)| *status == 200).count(), 3, "{pushes:?}");
}

/// git packs what it asks for in a fetch where that is long: many branches.
#[test]
fn requests_that_git_packs_are_understood() {
    let scene = scene();
    let serving = serving(&scene);
    let person = Person::new(&scene, Some(&serving.api().token));
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    let script = "for n in $(seq 300); do\n\
                  git update-ref refs/heads/b$n $(git commit-tree -m $n HEAD^{tree}); done";
    run(person.command("sh", &tree).args(["-ec", script]));
    person.git(&tree, &["push", "-q", "heroku", "refs/heads/b*"]).ok();
    for version in ["0", "2"] {
        let back = format!("back-{version}");
        let url = format!("https://localhost:{}/owl.git", scene.api_port);
        person
            .git(person.home(), &["clone", "-q", "--single-branch", "-b", "b1", &url, &back])
            .ok();
        person.commit(&tree, "number", version);
        person.git(&tree, &["push", "-q", "heroku", &format!("HEAD:more-{version}")]).ok();
        let mut fetch = person.command("git", &person.home().join(&back));
        fetch.env("GIT_TRACE_CURL", "1").args([
            "-c",
            &format!("protocol.version={version}"),
            "fetch",
        ]);
        fetch.args(["origin", "+refs/heads/*:refs/remotes/origin/*"]);
        let fetched = fetch.output().unwrap();
        let told = String::from_utf8_lossy(&fetched.stderr).into_owned();
        assert!(fetched.status.success(), "{told}");
        assert!(told.to_ascii_lowercase().contains("content-encoding: gzip"), "it was not packed");
        let there = person
            .git(&person.home().join(&back), &["rev-parse", &format!("origin/more-{version}")]);
        assert_eq!(there.ok(), person.git(&tree, &["rev-parse", "HEAD"]).ok());
    }
    // What is no gzip, or ends too early, is no request.
    let pair = format!("x:{}", serving.api().token);
    let pair = base64::engine::general_purpose::STANDARD.encode(pair);
    let authorization = format!("Basic {pair}");
    let headers = [("Authorization", authorization.as_str()), ("Content-Encoding", "gzip")];
    for body in [&b"no gzip"[..], &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1]] {
        let (port, host, path) = (scene.api_port, "localhost", "/owl.git/git-receive-pack");
        let asked = Request { port, host, method: "POST", path, headers: &headers, body };
        let answer = asked.send().unwrap();
        assert!(!answer.text().contains("unpack ok"), "{answer:?}");
    }
    person.git(&tree, &["push", "-q", "heroku", "HEAD:after"]).ok();
}

/// Somebody who holds the database's write lock for so many seconds.
fn hold_the_database(scene: &Scene, seconds: u64) -> Child {
    let script = "import sqlite3, sys, time\n\
        db = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
        db.execute('BEGIN IMMEDIATE'); print('held', flush=True)\n\
        time.sleep(float(sys.argv[2])); db.execute('ROLLBACK')\n";
    let mut python = Command::new("python3");
    python.args(["-c", script]).arg(scene.data().join("state.sqlite3")).arg(seconds.to_string());
    let mut child = python.stdout(Stdio::piped()).spawn().unwrap();
    let mut held = [0; 5];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut held).unwrap();
    child
}

#[test]
fn a_database_that_somebody_holds_is_waited_for_and_then_told_of() {
    let scene = scene();
    let serving = serving(&scene);
    let api = serving.api();
    let mut holder = hold_the_database(&scene, 2);
    api.json("PATCH", "/apps/owl/config-vars", &json!({ "A": "1" }));
    holder.wait().unwrap();
    let mut holder = hold_the_database(&scene, 9);
    let start = Instant::now();
    let refused = api.send("PATCH", "/apps/owl/config-vars", &json!({ "A": "2" }));
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("Nothing was changed; ask again"), "{}", refused.text());
    assert!(start.elapsed() < Duration::from_secs(9));
    holder.wait().unwrap();
    assert_eq!(api.get("/apps/owl/config-vars")["A"], "1");
    api.json("PATCH", "/apps/owl/config-vars", &json!({ "A": "3" }));
    assert_eq!(api.get("/apps/owl/config-vars")["A"], "3");
}

/// A small file system for a data directory, gone at the end.
struct Small<'a>(&'a Scene);

impl<'a> Small<'a> {
    fn mount(scene: &'a Scene) -> Self {
        let data = scene.data();
        std::fs::create_dir(&data).unwrap();
        let image = data.with_extension("image");
        run(Command::new("truncate").args(["-s", "96M"]).arg(&image));
        run(Command::new("mkfs.ext4").args(["-q", "-m", "0"]).arg(&image));
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&data));
        run(Command::new("chmod").arg("700").arg(&data));
        run(Command::new("rmdir").arg(data.join("lost+found")));
        Self(scene)
    }

    /// Fills it but for so many bytes.
    fn fill(&self, but: u64) {
        let mut file = std::fs::File::create(self.filler()).unwrap();
        let block = vec![1; 64 * 1024];
        while file.write_all(&block).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(but)).unwrap();
        file.sync_all().unwrap();
    }

    fn filler(&self) -> std::path::PathBuf {
        self.0.data().join("filler")
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.data()).status();
    }
}

#[test]
fn a_full_disk_is_told_of_and_nothing_is_lost() {
    let account = &Account::all()[0];
    assert!(account.is_root(), "only root mounts a small file system: run this test as root");
    let scene = Scene::new(account, "owl");
    let small = Small::mount(&scene);
    let mut server = Serving::start(&scene);
    let api = server.api();
    api.json("POST", "/apps", &json!({ "name": "owl" }));
    let person = Person::new(&scene, Some(&api.token));
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    person.git(&tree, &["push", "heroku", "main"]).ok();
    let good = person.branch(&tree, "main");
    let app_answers = || {
        wait_for("the app", SOON, || scene.try_get("/").ok().filter(|answer| answer.status == 200))
    };
    app_answers();
    let mut noise = vec![0; 8 << 20];
    getrandom::fill(&mut noise).unwrap();
    std::fs::write(tree.join("noise"), noise).unwrap();
    person.commit(&tree, "number", "2");
    // There is room for the objects, and none for the build; then for neither.
    for room in [14 << 20, 2 << 20] {
        small.fill(room);
        let refused = person.git(&tree, &["push", "heroku", "main"]);
        assert_ne!(refused.code, Some(0), "{refused:?}");
        let words = refused.err.to_lowercase();
        assert!(words.contains("disk") || words.contains("space"), "{refused:?}");
        assert_eq!(person.branch(&tree, "main"), good);
        assert_eq!(api.get("/apps/owl/releases").as_array().unwrap().len(), 1);
        app_answers();
        std::fs::remove_file(small.filler()).unwrap();
    }
    person.git(&tree, &["push", "heroku", "main"]).ok();
    assert_ne!(person.branch(&tree, "main"), good);
    assert_eq!(api.get("/apps/owl/releases").as_array().unwrap().len(), 2);
    let none = json!({ "updates": [{ "type": "web", "quantity": 0 }] });
    api.json("PATCH", "/apps/owl/formation", &none);
    wait_for("the last dyno's end", SOON, || api.dynos("owl").is_empty().then_some(()));
    server.stop();
}
