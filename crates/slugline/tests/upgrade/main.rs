//! Another server takes the place of one that runs, while requests come all the time.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

mod load;

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use load::Load;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use support::account::Account;
use support::scene::Scene;
use support::serving::Serving;
use support::{deploy, wait_for};

const SOON: Duration = Duration::from_mins(1);

/// Answers with its dyno's name, slowly where it is asked to, and keeps connections.
const WEB: &str = r#"
import http.server, os, time
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(0.4)
        body = os.environ["DYNO"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server(("0.0.0.0", int(os.environ["PORT"])), Answer).serve_forever()
"#;

/// The file that the server's process runs.
fn running(server: Pid) -> Option<u64> {
    let program = PathBuf::from(format!("/proc/{}/exe", server.as_raw_nonzero()));
    program.metadata().ok().map(|file| file.ino())
}

/// Puts a new program in the place of the server's, as a package manager does.
fn install(scene: &Scene) -> u64 {
    let (program, new) = (scene.program(), scene.program().with_extension("new"));
    std::fs::copy(&program, &new).unwrap();
    std::fs::rename(&new, &program).unwrap();
    program.metadata().unwrap().ino()
}

/// An app with two web dynos that serve.
fn serving(scene: &Scene) -> Serving<'_> {
    let serving = Serving::start(scene);
    let api = serving.api();
    api.json("POST", "/apps", &json!({ "name": "owl" }));
    scene.write("app/web.py", WEB);
    serving.release(&json!({ "web": "python3 web.py" }));
    let two = json!({ "updates": [{ "type": "web", "quantity": 2 }] });
    api.json("PATCH", "/apps/owl/formation", &two);
    wait_for("two dynos", SOON, || {
        api.names_if_up("owl").filter(|names| names.as_slice() == ["web.1", "web.2"])
    });
    serving
}

/// Children of the server that have ended, and that nobody waits for.
fn forgotten(server: Pid) -> Vec<String> {
    let parent = server.as_raw_nonzero().to_string();
    let stats = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let rest: Vec<_> = stat.rsplit_once(')')?.1.split(' ').collect();
        (rest[1] == "Z" && rest[2] == parent).then_some(stat)
    });
    stats.collect()
}

#[test]
fn no_request_is_lost_while_another_server_takes_the_place_of_one() {
    for account in Account::all() {
        let scene = Scene::new(&account, "owl");
        let serving = serving(&scene);
        let (api, pid) = (serving.api(), serving.pid());
        let before = api.dynos("owl");
        Load::while_doing(&scene, || {
            for _ in 0..3 {
                let program = install(&scene);
                kill_process(pid, Signal::USR2).unwrap();
                wait_for("the new program", SOON, || {
                    running(pid).filter(|running| *running == program)
                });
                wait_for("the new server", SOON, || {
                    let response = scene.try_get("/").ok()?;
                    (response.status == 200).then_some(())
                });
            }
        });
        assert_eq!(api.dynos("owl"), before, "dynos run on");
        let none = json!({ "updates": [{ "type": "web", "quantity": 0 }] });
        api.json("PATCH", "/apps/owl/formation", &none);
        wait_for("no dynos", SOON, || api.dynos("owl").is_empty().then_some(()));
        wait_for("all children to be reaped", SOON, || forgotten(pid).is_empty().then_some(()));
    }
}

#[test]
fn a_build_is_waited_for_and_a_program_that_cannot_run_takes_no_place() {
    let scene = Scene::new(&Account::all()[0], "owl");
    let serving = serving(&scene);
    let (api, pid) = (serving.api(), serving.pid());
    let other = Scene::new(&Account::all()[0], "owl");
    other.write("Procfile", "web: python3 web.py\n");
    other.write("requirements.txt", "");
    other.write("web.py", WEB);
    other.write("bin/post_compile", "#!/bin/sh\nsleep 5\n");
    let build = deploy::start_build(&api, "owl", &other);
    let (old, program) = (running(pid), install(&scene));
    kill_process(pid, Signal::USR2).unwrap();
    let ended = wait_for("the build's end", SOON, || {
        let ended = deploy::ended(&api, "owl", &build);
        assert!(ended.is_some() || running(pid) == old, "the build is cut off");
        ended
    });
    assert_eq!(ended["status"], "succeeded", "{}", deploy::output(&ended));
    wait_for("the new program", SOON, || running(pid).filter(|running| *running == program));
    wait_for("the new server", SOON, || api_answers(&scene).then_some(()));

    // What cannot even tell its version is no server.
    std::fs::remove_file(scene.program()).unwrap();
    std::fs::write(scene.program(), "no program").unwrap();
    kill_process(pid, Signal::USR2).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(scene.get("/").status, 200, "the old server serves on");
    assert_eq!(running(pid), Some(program));
}

#[test]
fn a_wish_that_comes_while_another_server_starts_is_kept() {
    let scene = Scene::new(&Account::all()[0], "owl");
    let serving = serving(&scene);
    let pid = serving.pid();
    for _ in 0..500 {
        kill_process(pid, Signal::USR2).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        assert!(running(pid).is_some(), "the server was ended");
    }
    let program = install(&scene);
    kill_process(pid, Signal::USR2).unwrap();
    wait_for("the new program", SOON, || running(pid).filter(|running| *running == program));
    wait_for("the new server", SOON, || {
        let response = scene.try_get("/").ok()?;
        (response.status == 200).then_some(())
    });
}

fn api_answers(scene: &Scene) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", scene.api_port)).is_ok()
}
