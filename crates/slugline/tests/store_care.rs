//! Slugs read, compared and verified, and the store checked, repaired and swept, by a real server.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[path = "support/ports.rs"]
mod ports;
#[path = "support/trace.rs"]
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod trace;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ports::free_port;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const METADATA: &str = "Metadata-Version: 2.1\nName: Django\nVersion: 5.1.2\nLicense: BSD\n\n";

/// A server, and an app that brings its own buildpack.
struct Scene {
    directory: tempfile::TempDir,
    api_port: u16,
    server: Option<Child>,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut scene = Self { directory, api_port: free_port(), server: None };
        scene.write("Procfile", "worker: sleep 100\n");
        scene.write("bin/detect", "#!/bin/sh\necho Tiny\n");
        scene.write("bin/compile", "#!/bin/sh\ncp \"$1/version\" \"$1/static/app.js\"\n");
        scene.write("bin/release", "#!/bin/sh\n");
        scene.write("static/app.js", "");
        scene.write("static/deep/notes", "read me\n");
        scene.write("lib/site-packages/django-5.1.2.dist-info/METADATA", METADATA);
        scene.write("node_modules/react/package.json", r#"{"name":"react","version":"18.3.1"}"#);
        std::os::unix::fs::symlink("/etc", scene.app().join("static/out")).unwrap();
        scene.serve();
        scene.api("POST", "/apps", "{\"name\":\"owl\"}");
        scene
    }

    fn app(&self) -> PathBuf {
        self.directory.path().join("owl")
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.app().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }

    fn serve(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slugline"));
        command.arg("serve").arg("--data-dir").arg(self.data());
        command.args(["--port", &free_port().to_string()]);
        command.args(["--api-port", &self.api_port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut server = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("Platform API:"), "{line}");
        self.server = Some(server);
    }

    fn stop(&mut self) {
        let mut server = self.server.take().unwrap();
        kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
        server.wait().unwrap();
    }

    /// A build whose `static/app.js` holds this.
    fn release(&self, version: &str) {
        self.write("version", version);
        self.run(0, &["builds:create"]);
    }

    /// What a command prints, which ends with this code.
    fn run(&self, code: i32, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slugline"));
        command.args(arguments).current_dir(self.app()).stdin(Stdio::null());
        command.arg("--data-dir").arg(self.data());
        command.args(["--api-port", &self.api_port.to_string()]);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        text
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(0, arguments)).unwrap()
    }

    fn api(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let token = std::fs::read_to_string(self.data().join("token")).unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", self.api_port)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            token.trim(),
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap())
    }

    /// The object that holds a content.
    fn object(&self, content: &str) -> PathBuf {
        let hash = blake3::hash(content.as_bytes()).to_hex();
        self.data().join("store/objects").join(&hash[..2]).join(hash.as_str())
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = kill_process(Pid::from_child(server), Signal::TERM);
            let _ = server.wait();
        }
        for (pid, _) in trace::processes(&self.data()) {
            let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
        }
    }
}

fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.contains(line), "no `{line}` in:\n{text}");
    }
}

#[test]
fn a_slug_is_read_compared_and_accounted_for() {
    let scene = Scene::new();
    scene.release("one");
    scene.write("new.txt", "0123456789");
    scene.release("two!");
    has(
        &scene.run(0, &["slug:diff", "v1", "v2"]),
        &["A     +10B  new.txt", "M      +1B  static/app.js", "1 file added, 2 changed"],
    );
    assert_eq!(scene.json(&["slug:diff", "1", "--json"])["added"][0]["path"], "new.txt");
    has(&scene.run(0, &["slug:tree", "v1", "static", "--depth", "2"]), &["deep/", "notes"]);
    let tree = scene.json(&["slug:tree", "--size", "--json"]);
    assert_eq!(tree["kind"], "directory");
    assert_eq!(scene.run(0, &["slug:cat", "v1", "static/app.js"]), "one");
    assert_eq!(scene.run(0, &["slug:cat", "static/app.js"]), "two!");
    has(&scene.run(10, &["slug:cat", "v1", "new.txt"]), &["Nothing lies at `new.txt`"]);
    has(&scene.run(0, &["slug:verify", "v1"]), &["Every file is whole"]);

    let copy = scene.directory.path().join("copy");
    scene.run(0, &["slug:get", "v1", "static", copy.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(copy.join("app.js")).unwrap(), "one");
    assert_eq!(std::fs::read_link(copy.join("out")).unwrap(), Path::new("/etc"));
    scene.run(0, &["slug:get", "v1", "bin/compile", copy.to_str().unwrap()]);
    let mode = std::fs::metadata(copy.join("compile")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    scene.run(10, &["slug:get", "v1", "static", scene.app().to_str().unwrap(), "--app", "hen"]);

    let bill = scene.json(&["slug:sbom", "v2"]);
    let components = bill["components"].as_array().unwrap().iter();
    let purls: Vec<&str> = components.map(|part| part["purl"].as_str().unwrap()).collect();
    assert_eq!(purls, ["pkg:npm/react@18.3.1", "pkg:pypi/django@5.1.2"]);
    assert_eq!(bill["metadata"]["component"]["version"], "v2");
    let statement = scene.json(&["slug:provenance", "v2"]);
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    let checksum = scene.json(&["slug:verify", "v2", "--json"])["checksum"].clone();
    let digest = statement["subject"][0]["digest"]["blake3"].as_str().unwrap();
    assert_eq!(checksum, format!("BLAKE3:{digest}"));
    let slug = &scene.api("GET", "/apps/owl/releases/2", "").1["slug"]["id"];
    let path = format!("/apps/owl/slugs/{}", slug.as_str().unwrap());
    assert_eq!(scene.api("GET", &path, "").1["checksum"], checksum);
}

#[test]
fn damage_is_found_named_and_repaired_with_a_server_and_without() {
    let mut scene = Scene::new();
    scene.release("one");
    has(&scene.run(0, &["store:fsck"]), &["Everything is whole."]);
    let backup = scene.directory.path().join("backup");
    let mut copy = Command::new("cp");
    assert!(
        copy.arg("-a").arg(scene.data().join("store")).arg(&backup).status().unwrap().success()
    );
    scene.release("two");

    // With the server, from the tree of the last build.
    std::fs::write(scene.object("two"), "tWo").unwrap();
    has(&scene.run(70, &["store:fsck"]), &["is damaged", "owl v2: static/app.js", "1 damaged."]);
    has(&scene.run(10, &["slug:verify", "v2"]), &["store:fsck"]);
    has(
        &scene.run(0, &["store:fsck", "--repair"]),
        &["repaired from the tree of the last build", "everything is whole now"],
    );
    has(&scene.run(0, &["slug:cat", "v2", "static/app.js"]), &["two"]);

    // Without it, from a backup. The last tree has another file there.
    scene.stop();
    std::fs::remove_file(scene.object("one")).unwrap();
    has(&scene.run(70, &["store:fsck"]), &["is missing", "owl v1: static/app.js"]);
    has(&scene.run(70, &["store:fsck", "--repair"]), &["--from DIRECTORY of a backup"]);
    has(
        &scene.run(10, &["store:fsck", "--repair", "--from", "/etc"]),
        &["/etc holds no slug store"],
    );
    let json =
        scene.json(&["store:fsck", "--repair", "--from", backup.to_str().unwrap(), "--json"]);
    assert_eq!(json["findings"][0]["repaired"], backup.to_str().unwrap());
    has(&scene.run(0, &["store:fsck"]), &["Everything is whole."]);
}

#[test]
fn releases_beyond_what_is_kept_expire_and_the_room_they_took_is_free() {
    let mut scene = Scene::new();
    for version in ["one", "two", "three"] {
        scene.release(version);
    }
    has(&scene.run(0, &["store:usage"]), &["owl", "3 slugs,"]);
    has(&scene.run(0, &["store:gc"]), &["Removed 0 slugs"]);
    scene.stop();
    std::fs::write(scene.data().join("slugline.toml"), "[store]\nkeep_releases = 1\n").unwrap();
    scene.serve();
    let start = std::time::Instant::now();
    while scene.object("one").exists() {
        assert!(start.elapsed().as_secs() < 30, "the first release's file is still there");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(scene.object("two").exists(), "the one before the current one is kept");
    assert_eq!(scene.api("GET", "/apps/owl/releases/1", "").1["status"], "expired");
    let (status, body) = scene.api("POST", "/apps/owl/releases", "{\"release\":\"v1\"}");
    assert_eq!(status, 422);
    has(body["message"].as_str().unwrap(), &["v1 cannot be rolled back to", "keep_releases"]);
    has(&scene.run(10, &["slug:tree", "v1"]), &["has expired"]);
    has(&scene.run(0, &["store:gc", "--dry-run"]), &["Would remove 0 slugs"]);
    let usage = scene.json(&["store:usage", "--json"]);
    assert_eq!((&usage["slugs"], &usage["apps"][0]["shared"]), (&2.into(), &0.into()));
    has(&scene.run(0, &["store:fsck"]), &["Everything is whole."]);
}
