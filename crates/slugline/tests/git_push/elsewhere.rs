//! What a commit only points to: files of git-lfs, by git-lfs itself, and submodules.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::person::Person;
use crate::support::cli::Ran;
use crate::support::http::Request;
use crate::support::ports::free_port;
use crate::support::scene::Scene;
use crate::support::serving::Serving;
use crate::support::{account::run, wait_for};
use crate::{scene, serving};

/// Of the large file (bytes).
const LARGE: usize = 7 << 20;

fn said(ran: Ran, succeeds: bool) -> String {
    assert_eq!(ran.code == Some(0), succeeds, "{ran:?}");
    ran.err
}

/// Bytes that nothing makes shorter.
fn noise(seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u8::try_from(state >> 24).unwrap()
    };
    (0..LARGE).map(|_| next()).collect()
}

/// What the newest slug has at a path.
fn in_slug(serving: &Serving<'_>, path: &str) -> Vec<u8> {
    let api = serving.api();
    api.send("GET", &format!("/apps/owl/slugs/current/files/{path}"), &Value::Null).body
}

fn has_lfs(person: &Person) {
    let is_there = || person.git(person.home(), &["lfs", "version"]).code == Some(0);
    if !is_there() {
        let _ = Command::new("apt-get").args(["install", "-y", "-q", "git-lfs"]).output();
        assert!(is_there(), "git-lfs is missing: apt-get install git-lfs");
    }
    person.git(person.home(), &["lfs", "install"]).ok();
}

#[test]
fn files_of_git_lfs_are_pushed_built_cloned_and_go_with_the_app() {
    let scene = scene();
    let serving = serving(&scene);
    let (api, person) = (serving.api(), Person::new(&scene, Some(&serving.api().token)));
    has_lfs(&person);
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    person.git(&tree, &["lfs", "track", "*.bin"]).ok();
    let large = noise(1);
    std::fs::write(tree.join("large.bin"), &large).unwrap();
    person.commit(&tree, "note.txt", "beside it");
    let listed = person.git(&tree, &["cat-file", "-s", "HEAD:large.bin"]).ok();
    assert!(listed.trim().parse::<usize>().unwrap() < 1_024, "git has a pointer: {listed}");
    let told = said(person.git(&tree, &["push", "heroku", "main"]), true);
    assert!(told.contains("Released v1") && !told.contains("only its pointer"), "{told}");
    assert!(in_slug(&serving, "large.bin") == large, "the slug holds the file itself");
    assert_eq!(in_slug(&serving, "note.txt"), b"beside it");
    let taken = api.get("/apps/owl")["repo_size"].as_u64().unwrap();
    assert!(taken > LARGE as u64, "it is counted: {taken}");
    // And back again, by whoever clones.
    let url = format!("https://localhost:{}/owl.git", scene.api_port);
    said(person.git(person.home(), &["clone", "-q", &url, "back"]), true);
    assert!(std::fs::read(person.home().join("back/large.bin")).unwrap() == large);
    // One that is there is not sent again; another one is.
    std::fs::write(tree.join("other.bin"), noise(2)).unwrap();
    person.commit(&tree, "note.txt", "more");
    said(person.git(&tree, &["push", "heroku", "main"]), true);
    assert!(in_slug(&serving, "other.bin") == noise(2));
    let kept = || files(&scene.data().join("git"), "lfs");
    assert_eq!(kept().len(), 2, "{:?}", kept());
    // A backup has them.
    let (archive, copy) = (person.home().join("all.tar.zst"), person.home().join("copy"));
    for (command, data) in [("backup", scene.data()), ("backup:restore", copy.clone())] {
        run(Command::new(scene.program()).arg(command).arg(&archive).arg("--data-dir").arg(data));
    }
    assert_eq!(files(&copy.join("git"), "lfs").len(), 2);
    api.json("DELETE", "/apps/owl", &json!({}));
    wait_for("the files to go", std::time::Duration::from_secs(20), || {
        kept().is_empty().then_some(())
    });
}

/// Files whose paths have such a part.
fn files(directory: &Path, part: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_path_buf()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else if path.iter().any(|name| name == part) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn what_is_no_file_of_git_lfs_is_not_kept_and_strangers_have_none() {
    let scene = scene();
    let serving = serving(&scene);
    let api = serving.api();
    let known = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let send = |token: &str, method: &str, path: &str, body: &[u8]| {
        let secret = format!("Bearer {token}");
        let headers = [("Authorization", secret.as_str())];
        let path = format!("/owl.git/info/lfs/objects/{path}");
        let (port, host) = (api.port, "localhost");
        Request { port, host, method, path: &path, headers: &headers, body }.send().unwrap()
    };
    let (own, put) = (api.token.as_str(), format!("{known}?size=5"));
    assert_eq!(send(own, "PUT", &put, b"hella").status, 422, "another hash");
    assert_eq!(send(own, "PUT", &put, b"hello, world").status, 422, "longer");
    assert_eq!(send(own, "PUT", &put, b"hell").status, 422, "shorter");
    assert_eq!(send(own, "PUT", "..%2f..%2fHEAD?size=5", b"hello").status, 404);
    assert_eq!(send(own, "GET", known, b"").status, 404);
    assert_eq!(files(&scene.data().join("git"), "lfs").len(), 0, "nothing half is left");
    assert_eq!(send("", "PUT", &put, b"hello").status, 401);
    assert_eq!(send(own, "PUT", &put, b"hello").status, 200);
    let verify = format!("{{\"oid\":\"{known}\",\"size\":5}}");
    assert_eq!(send(own, "POST", "verify", verify.as_bytes()).status, 200);
    assert_eq!(send(own, "POST", "verify", verify.replace('5', "6").as_bytes()).status, 404);
    assert_eq!(send(own, "GET", known, b"").body, b"hello");
    let huge = json!({ "operation": "upload", "objects": [
        { "oid": "aa".repeat(32), "size": 1_u64 << 40 }, { "oid": "../x", "size": 1 },
    ] });
    let told = send(own, "POST", "batch", huge.to_string().as_bytes());
    let told: Value = serde_json::from_slice(&told.body).unwrap();
    assert_eq!(told["objects"][0]["error"]["code"], 422, "{told}");
    assert_eq!(told["objects"][1]["error"]["code"], 422, "{told}");
    api.json("POST", "/accounts", &json!({ "email": "eve@x.test", "password": "open-sesame-1" }));
    for (token, status) in [("", 401), (stranger(&scene, &serving).as_str(), 404)] {
        for (method, path) in [("GET", known), ("PUT", &put), ("POST", "batch"), ("POST", "verify")]
        {
            let body = if path == "batch" { huge.to_string() } else { verify.clone() };
            assert_eq!(
                send(token, method, path, body.as_bytes()).status,
                status,
                "{method} {path}"
            );
        }
    }
}

/// A token of somebody else's.
fn stranger(scene: &Scene, serving: &Serving<'_>) -> String {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode("eve@x.test:open-sesame-1");
    let secret = format!("Basic {pair}");
    let headers = [("Authorization", secret.as_str())];
    let (port, host, path) = (serving.api().port, "localhost", "/oauth/authorizations");
    let _ = scene;
    let request = Request { port, host, method: "POST", path, headers: &headers, body: b"{}" };
    let made: Value = serde_json::from_slice(&request.send().unwrap().body).unwrap();
    made["access_token"]["token"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
}

/// A web server of somebody else's repositories.
struct Forge {
    port: u16,
    child: Child,
    directory: tempfile::TempDir,
}

impl Forge {
    fn start() -> Self {
        let (port, directory) = (free_port(), tempfile::tempdir().unwrap());
        let mut server = Command::new("python3");
        server.args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string()]);
        server.current_dir(directory.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let forge = Self { port, child: server.spawn().unwrap(), directory };
        wait_for("the forge", std::time::Duration::from_secs(20), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        forge
    }

    fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}.git", self.port)
    }

    /// Publishes a work tree.
    fn publish(&self, tree: &Path, name: &str) {
        let place = self.directory.path().join(format!("{name}.git"));
        run(Command::new("git").args(["clone", "-q", "--bare"]).arg(tree).arg(&place));
        run(Command::new("git").arg("-C").arg(&place).arg("update-server-info"));
    }
}

impl Drop for Forge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Adds a submodule as git writes it, without fetching anything.
fn link(person: &Person, tree: &Path, (path, url): (&str, &str), commit: &str) {
    let settings = format!("[submodule \"{path}\"]\n\tpath = {path}\n\turl = {url}\n");
    std::fs::write(tree.join(".gitmodules"), settings).unwrap();
    let cache = format!("160000,{commit},{path}");
    person.git(tree, &["add", ".gitmodules"]).ok();
    person.git(tree, &["update-index", "--add", "--cacheinfo", &cache]).ok();
    person.git(tree, &["commit", "-q", "-m", "A submodule"]).ok();
}

#[test]
fn submodules_are_fetched_with_those_within_them() {
    let scene = scene();
    let outbound = scene.data().with_file_name("outbound.toml");
    std::fs::write(&outbound, "[outbound]\nallow = [\"127.0.0.1\"]\n").unwrap();
    let serving = Serving::start_with_options(&scene, &["--config", outbound.to_str().unwrap()]);
    serving.api().json("POST", "/apps", &json!({ "name": "owl" }));
    let person = Person::new(&scene, Some(&serving.api().token));
    let forge = Forge::start();
    let inner = person.work_tree("inner");
    let innermost = person.commit(&inner, "deep.txt", "deep");
    forge.publish(&inner, "inner");
    let outer = person.work_tree("outer");
    person.commit(&outer, ".gitattributes", "lib.txt export-ignore\n");
    person.commit(&outer, "lib.txt", "lib");
    link(&person, &outer, ("below/inner", &forge.url("inner")), &innermost);
    let commit = person.git(&outer, &["rev-parse", "HEAD"]).ok().trim().to_owned();
    forge.publish(&outer, "outer");
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    link(&person, &tree, ("vendor/lib", &forge.url("outer")), &commit);
    let told = said(person.git(&tree, &["push", "heroku", "main"]), true);
    for line in [
        "remote: -----> Git submodules detected, installing:",
        &format!("remote:        Submodule path 'vendor/lib': checked out '{commit}'"),
        &format!(
            "remote:        Submodule path 'vendor/lib/below/inner': checked out '{innermost}'"
        ),
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert_eq!(in_slug(&serving, "vendor/lib/lib.txt"), b"lib", "all of it, as of the app");
    assert_eq!(in_slug(&serving, "vendor/lib/below/inner/deep.txt"), b"deep");
    // A commit that is not there is refused, with what to do.
    link(&person, &tree, ("vendor/lib", &forge.url("outer")), &"ab".repeat(20));
    let before = person.branch(&tree, "main");
    let told = said(person.git(&tree, &["push", "heroku", "main"]), false);
    assert!(told.contains("did not give commit abab"), "{told}");
    let left = std::fs::read_dir(scene.data().join("git")).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().ends_with(".new")), "{left:?}");
    assert_eq!(person.branch(&tree, "main"), before);
}

#[test]
fn submodules_that_users_may_not_reach_or_that_need_a_key_are_refused_by_name() {
    let scene = scene();
    let serving = serving(&scene);
    let person = Person::new(&scene, Some(&serving.api().token));
    let forge = Forge::start();
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    let commit = person.git(&tree, &["rev-parse", "HEAD"]).ok().trim().to_owned();
    forge.publish(&tree, "lib");
    let by_name = forge.url("lib").replace("127.0.0.1", "localhost");
    for (url, why) in [
        (forge.url("lib").as_str(), "not reached for users"),
        (by_name.as_str(), "not reached for users"),
        ("http://169.254.169.254/latest.git", "not reached for users"),
        ("http://ann:secret@nowhere.invalid/lib.git", "nowhere.invalid is not found"),
        ("../lib.git", "is relative"),
        ("git@github.com:a/b.git", "asks for SSH"),
        ("file:///etc", "is of no kind that is fetched"),
        ("ext::sh -c id", "is of no kind that is fetched"),
    ] {
        link(&person, &tree, ("vendor/lib", url), &commit);
        let told = said(person.git(&tree, &["push", "heroku", "main"]), false);
        for part in [
            "The submodule vendor/lib could not be fetched.",
            why,
            "Submodules come by https://",
            "Next: git submodule set-url vendor/lib",
            "Nothing was built or released.",
            "Push rejected: the branch is as it was.",
        ] {
            assert!(told.contains(part), "{url}: {part}: {told}");
        }
        assert!(!told.contains("secret"), "{told}");
    }
    assert_eq!(person.branch(&tree, "main"), None);
}
