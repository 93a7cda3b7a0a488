//! Slugs in and out by the command line, against a server: as Heroku packs them, and as images.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[path = "../../slugline-store/tests/scene/debian.rs"]
mod debian;
#[path = "support/ports.rs"]
mod ports;
#[path = "../../slugline-store/tests/registry/real.rs"]
mod real;
#[path = "support/trace.rs"]
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod trace;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use ports::free_port;
use real::RealRegistry;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A server with an app that has released nothing.
struct Scene {
    directory: tempfile::TempDir,
    api_port: u16,
    server: Child,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let api_port = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_slugline"));
        command.arg("serve").arg("--data-dir").arg(directory.path().join("data"));
        command.args(["--port", &free_port().to_string()]);
        command.args(["--api-port", &api_port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut server = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("Platform API:"), "{line}");
        let scene = Self { directory, api_port, server };
        scene.api("POST", "/apps", "{\"name\":\"owl\"}");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its exit code and all that it prints.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slugline"));
        command.args(arguments).args(["-a", "owl"]).current_dir(self.directory.path());
        command.arg("--data-dir").arg(self.path("data"));
        command.args(["--api-port", &self.api_port.to_string()]);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }

    /// What a command prints that must succeed.
    fn ok(&self, arguments: &[&str]) -> String {
        let (code, text) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {text}");
        text
    }

    fn api(&self, method: &str, path: &str, body: &str) -> Value {
        let token = std::fs::read_to_string(self.path("data/token")).unwrap();
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
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// A slug.tgz as Heroku's slug compiler packs it.
    fn slug_tgz(&self) -> PathBuf {
        let app = self.path("app");
        std::fs::create_dir_all(app.join("lib")).unwrap();
        std::fs::write(app.join("Procfile"), "worker: sleep 100\n").unwrap();
        std::fs::write(app.join("lib/code"), "code").unwrap();
        std::fs::hard_link(app.join("lib/code"), app.join("lib/same")).unwrap();
        let archive = self.path("slug.tgz");
        let mut tar = Command::new("tar");
        tar.arg("-czf").arg(&archive).args(["--owner=root", "--group=root", "-C"]);
        assert!(tar.arg(self.directory.path()).arg("./app").status().unwrap().success());
        archive
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.server), Signal::TERM);
        let _ = self.server.wait();
        for (pid, _) in trace::processes(&self.path("data")) {
            let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
        }
    }
}

fn checksum(path: &PathBuf) -> String {
    let digest = Sha256::digest(std::fs::read(path).unwrap());
    digest.iter().fold("SHA256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn a_slug_of_herokus_is_imported_released_and_exported_again() {
    let scene = Scene::new();
    let archive = scene.slug_tgz();
    let wrong = format!("SHA256:{}", "0".repeat(64));
    let (code, refused) = scene.run(&["slug:import", "slug.tgz", "--checksum", &wrong]);
    assert_ne!(code, 0);
    assert!(refused.contains(&format!("it is {}, not {wrong}", checksum(&archive))), "{refused}");
    assert!(refused.contains("Nothing was started or changed."), "{refused}");
    let (_, nothing) = scene.run(&["slug:export", "-o", "out.tgz"]);
    assert!(nothing.contains("owl has released nothing yet."), "{nothing}");
    let (_, unknown) = scene.run(&["slug:export", "v7", "-o", "out.tgz"]);
    assert!(unknown.contains("Couldn't find that release."), "{unknown}");

    let said = scene.ok(&["slug:import", "slug.tgz", "--checksum", &checksum(&archive)]);
    assert!(said.starts_with("Importing slug.tgz to owl... done\n"), "{said}");
    assert!(said.ends_with("Released v1\n"), "{said}");
    let release = scene.api("GET", "/apps/owl/releases/1", "");
    assert_eq!(release["description"], "Import slug.tgz");
    let slug = format!("/apps/owl/slugs/{}", release["slug"]["id"].as_str().unwrap());
    let slug = scene.api("GET", &slug, "");
    assert_eq!(slug["process_types"]["worker"], "sleep 100");
    assert_eq!(slug["checksum"], checksum(&archive));

    let said = scene.ok(&["slug:export", "v1", "-o", "out.tgz"]);
    assert!(said.starts_with("Exporting v1 of owl to out.tgz... done\n"), "{said}");
    assert!(said.contains(&checksum(&scene.path("out.tgz"))), "{said}");
    let mut tar = Command::new("tar");
    let list = tar.arg("-tzf").arg(scene.path("out.tgz")).output().unwrap().stdout;
    let list = String::from_utf8(list).unwrap();
    let expected = ["./app/", "./app/Procfile", "./app/lib/", "./app/lib/code", "./app/lib/same"];
    assert_eq!(list.lines().collect::<Vec<_>>(), expected);
    let (code, there) = scene.run(&["slug:export", "v1", "-o", "out.tgz"]);
    assert_ne!(code, 0);
    assert!(there.contains("Nothing that is there is replaced."), "{there}");
    let given = ["slug:import", "out.tgz", "--process", "web=./serve -p $PORT", "--no-release"];
    let said = scene.ok(&given);
    assert!(!said.contains("Released"), "{said}");
}

#[test]
fn a_slug_goes_out_as_an_image_and_comes_back() {
    let scene = Scene::new();
    scene.slug_tgz();
    scene.ok(&["slug:import", "slug.tgz"]);
    let image = ["slug:export", "--format", "oci-archive", "--stack", "none", "-o", "image.tar"];
    scene.ok(&image);
    scene.ok(&["slug:export", "--format", "oci", "--stack", "none", "-o", "layout"]);
    for (number, from) in [(2, "image.tar"), (3, "layout")] {
        let said = scene.ok(&["slug:import", from]);
        assert!(said.ends_with(&format!("Released v{number}\n")), "{said}");
        let release = scene.api("GET", &format!("/apps/owl/releases/{number}"), "");
        let slug = format!("/apps/owl/slugs/{}", release["slug"]["id"].as_str().unwrap());
        assert_eq!(scene.api("GET", &slug, "")["process_types"]["worker"], "sleep 100");
    }
    let out = |version: &str| {
        let name = format!("{version}.tgz");
        scene.ok(&["slug:export", version, "-o", &name]);
        std::fs::read(scene.path(&name)).unwrap()
    };
    let first = out("v1");
    assert!(first == out("v2") && first == out("v3"), "the same slug");
    let said = scene.ok(&["slug:export", "-o", "current.tgz"]);
    assert!(said.starts_with("Exporting v3 of owl to current.tgz... done\n"), "{said}");
    std::fs::write(scene.path("junk"), "junk").unwrap();
    let (code, refused) = scene.run(&["slug:import", "junk"]);
    assert_ne!(code, 0);
    assert!(refused.contains("the archive is cut off"), "{refused}");
    let left: Vec<_> = std::fs::read_dir(scene.path("data/store/staging")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_slug_is_pushed_to_a_registry_and_pulled_from_it() {
    let registry = RealRegistry::start("secret");
    let scene = Scene::new();
    scene.slug_tgz();
    scene.ok(&["slug:import", "slug.tgz"]);
    let image = format!("localhost:{}/owl:v1", registry.port);
    let login = ["--username", "me", "--password", "secret"];
    let (code, refused) = scene.run(&["slug:push", &image, "--stack", "none"]);
    assert_ne!(code, 0);
    assert!(refused.contains("it wants a login"), "{refused}");
    let push = ["slug:push", "v1", &image, "--stack", "none"];
    let said = scene.ok(&[&push[..], &login].concat());
    assert!(said.contains("app: "), "it tells how far it is: {said}");
    assert!(said.contains(&format!("Pushing v1 of owl to {image}... done\nsha256:")), "{said}");
    let said = scene.ok(&[&["slug:pull", &image][..], &login].concat());
    assert!(said.ends_with("Released v2\n"), "{said}");
    let release = scene.api("GET", "/apps/owl/releases/2", "");
    assert_eq!(release["description"], format!("Import {image}"));
    let slug = format!("/apps/owl/slugs/{}", release["slug"]["id"].as_str().unwrap());
    assert_eq!(scene.api("GET", &slug, "")["process_types"]["worker"], "sleep 100");
    let (code, refused) = scene.run(&["slug:pull", "owl"]);
    assert_ne!(code, 0);
    assert!(refused.contains("`owl` names no image: it has no host"), "{refused}");
}
