//! Pushes that are refused, break off, or come at once; and those of strangers.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use serde_json::json;

use crate::person::{Person, WEB};
use crate::support::wait_for;
use crate::{scene, serving};

const SOON: Duration = Duration::from_mins(2);

#[test]
fn a_build_that_fails_leaves_the_branch_as_it_was() {
    let scene = scene();
    let serving = serving(&scene);
    let person = Person::new(&scene, Some(&serving.api().token));
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    person.git(&tree, &["push", "heroku", "main"]).ok();
    let good = person.branch(&tree, "main");
    person.commit(&tree, "Procfile", &format!("{WEB}release: echo no luck today; exit 3\n"));
    let refused = person.git(&tree, &["push", "heroku", "main"]);
    assert_eq!(refused.code, Some(1));
    for text in ["no luck today", "Push rejected", "(pre-receive hook declined)", "still runs v1"] {
        assert!(refused.err.contains(text), "{text}: {refused:?}");
    }
    assert_eq!(person.branch(&tree, "main"), good);
    let back = person.home().join("back");
    let url = format!("https://localhost:{}/owl.git", scene.api_port);
    person.git(person.home(), &["clone", "-q", &url, "back"]).ok();
    let procfile = std::fs::read_to_string(back.join("Procfile")).unwrap();
    assert_eq!(procfile, WEB, "nothing of it is there");
    // The same commit once more, mended.
    person.commit(&tree, "Procfile", &format!("{WEB}release: echo better\n"));
    person.git(&tree, &["push", "heroku", "main"]).ok();
    assert_ne!(person.branch(&tree, "main"), good);
}

#[test]
fn two_pushes_at_once_take_turns_and_the_later_one_is_told() {
    let scene = scene();
    let serving = serving(&scene);
    let person = Person::new(&scene, Some(&serving.api().token));
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    person.commit(&tree, "Procfile", &format!("{WEB}release: sleep 20\n"));
    let spawn = |refs: &str| {
        let mut git = person.command("git", &tree);
        git.args(["push", "heroku", refs]).stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let first = spawn("main");
    wait_for("the first one's build", SOON, || {
        let builds = serving.api().get("/apps/owl/builds");
        builds.as_array().is_some_and(|all| !all.is_empty()).then_some(())
    });
    let other = person.commit(&tree, "number", "2");
    let second = spawn("main");
    let third = spawn("main:topic");
    let third = third.wait_with_output().unwrap();
    assert!(third.status.success(), "what is not built waits for nobody");
    let (first, second) = (first.wait_with_output().unwrap(), second.wait_with_output().unwrap());
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    assert!(!second.status.success(), "{said}");
    assert!(said.contains("Waiting for the app's other push to finish"), "{said}");
    assert!(said.contains("came first"), "{said}");
    let builds = serving.api().get("/apps/owl/builds");
    assert_eq!(builds.as_array().unwrap().len(), 1, "it was not built");
    person.git(&tree, &["push", "heroku", "main"]).ok();
    assert_eq!(person.branch(&tree, "main"), Some(other));
}

#[test]
fn a_client_that_leaves_while_it_is_built_has_pushed() {
    let scene = scene();
    let serving = serving(&scene);
    let person = Person::new(&scene, Some(&serving.api().token));
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    let commit = person.commit(&tree, "Procfile", &format!("{WEB}release: sleep 5\n"));
    let mut git = person.command("git", &tree);
    // git's own children hold the connection: the whole group goes.
    let mut git = git.args(["push", "-q", "heroku", "main"]).process_group(0).spawn().unwrap();
    wait_for("its build", SOON, || {
        let builds = serving.api().get("/apps/owl/builds");
        builds.as_array().is_some_and(|all| !all.is_empty()).then_some(())
    });
    let group = rustix::process::Pid::from_child(&git);
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    git.wait().unwrap();
    wait_for("the branch", SOON, || person.branch(&tree, "main").filter(|now| *now == commit));
    assert_eq!(serving.api().get("/apps/owl/releases")[0]["status"], "succeeded");
}

/// A push that git has written, cut off after so many bytes of its body.
fn cut(scene: &crate::support::scene::Scene, token: &str, body: &[u8], whole: usize) {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!(":{token}"));
    let mut stream = TcpStream::connect(("127.0.0.1", scene.api_port)).unwrap();
    let head = format!(
        "POST /owl.git/git-receive-pack HTTP/1.1\r\nHost: localhost:1\r\nAuthorization: Basic \
         {pair}\r\nContent-Type: application/x-git-receive-pack-request\r\nContent-Length: \
         {whole}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("ok refs/heads/main"));
}

#[test]
fn a_push_that_is_cut_off_changes_nothing() {
    let scene = scene();
    let serving = serving(&scene);
    let token = serving.api().token;
    let person = Person::new(&scene, Some(&token));
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    person.commit(&tree, "noise", &"0123456789abcdef".repeat(1_000));
    let head = person.git(&tree, &["rev-parse", "HEAD"]).ok();
    let packed = person
        .command("sh", &tree)
        .args(["-c", "git rev-parse HEAD | git pack-objects --revs --stdout -q"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap()
        .stdout;
    assert!(packed.starts_with(b"PACK"));
    let line = format!("{} {} refs/heads/main\0report-status", "0".repeat(40), head.trim());
    let mut body = format!("{:04x}{line}0000", line.len() + 4).into_bytes();
    body.extend(packed);
    for part in 1..8 {
        cut(&scene, &token, &body[..body.len() * part / 8], body.len());
    }
    assert_eq!(person.branch(&tree, "main"), None);
    assert_eq!(serving.api().get("/apps/owl/builds"), json!([]));
    // A pack that is whole, and wrong.
    let mut damaged = body.clone();
    let place = damaged.len() - 30;
    damaged[place] ^= 0xff;
    cut(&scene, &token, &damaged, damaged.len());
    assert_eq!(person.branch(&tree, "main"), None);
    person.git(&tree, &["push", "heroku", "main"]).ok();
}

#[test]
fn objects_that_harm_those_who_check_them_out_are_refused() {
    let scene = scene();
    let serving = serving(&scene);
    let person = Person::new(&scene, Some(&serving.api().token));
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    let script = "blob=$(git hash-object -w Procfile)\n\
                  tree=$(printf '100644 blob %s\\t.git\\n' $blob | git mktree)\n\
                  commit=$(git commit-tree -m evil $tree)\n\
                  git update-ref refs/heads/evil $commit\n";
    let made = person.command("sh", &tree).args(["-ec", script]).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let refused = person.git(&tree, &["push", "heroku", "evil:main"]);
    assert_ne!(refused.code, Some(0));
    assert!(refused.err.contains("hasDotgit"), "{refused:?}");
    assert_eq!(person.branch(&tree, "main"), None);
}

#[test]
fn strangers_find_no_repository_and_an_app_takes_its_own_along() {
    let scene = scene();
    let serving = serving(&scene);
    let api = serving.api();
    let owner = Person::new(&scene, Some(&api.token));
    let tree = owner.work_tree("owl");
    owner.remote(&tree, "owl");
    owner.git(&tree, &["push", "heroku", "main"]).ok();
    api.json("POST", "/accounts", &json!({ "email": "eve@x.org", "password": "sesame-open" }));
    let nobody = Person::new(&scene, None);
    let url = format!("https://localhost:{}/owl.git", scene.api_port);
    let refused = nobody.git(nobody.home(), &["clone", &url]);
    assert!(refused.err.contains("Authentication failed") || refused.code != Some(0));
    let eve = crate::stock::token_of(&scene, "eve@x.org", "sesame-open");
    let stranger = Person::new(&scene, Some(&eve));
    let with = url.replace("https://", &format!("https://x:{eve}@"));
    for args in [&["clone", &with][..], &["ls-remote", &with]] {
        let refused = stranger.git(stranger.home(), args);
        assert!(refused.err.contains("No such app as owl"), "{refused:?}");
    }
    let theirs = stranger.work_tree("theirs");
    let refused = stranger.git(&theirs, &["push", &with, "main"]);
    assert!(refused.err.contains("No such app as owl"), "{refused:?}");
    let repositories = || {
        let all = std::fs::read_dir(scene.data().join("git")).unwrap().flatten();
        all.filter(|entry| entry.file_name().to_string_lossy().ends_with(".git")).count()
    };
    assert_eq!(repositories(), 1);
    api.json("DELETE", "/apps/owl", &json!({}));
    wait_for("the repository's end", SOON, || (repositories() == 0).then_some(()));
    api.json("POST", "/apps", &json!({ "name": "owl" }));
    assert_eq!(owner.branch(&tree, "main"), None, "the name is another app's");
}
