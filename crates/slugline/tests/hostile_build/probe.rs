//! What a build sees: looked for from inside.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};

use serde_json::json;

use super::stage::{LIMITS, Stage};
use super::support::account::Account;
use super::support::scene::Scene;

const PROBE: &str = include_str!("probe.py");

/// A web dyno that tells what it reads where buildpacks look.
const TELLING: &str = "web: nproc; cat /sys/fs/cgroup/memory/memory.limit_in_bytes; \
    exec python3 -m http.server --bind 127.0.0.1 $PORT\n";

#[test]
fn a_build_finds_nothing_that_is_not_its_own() {
    for account in Account::all() {
        let scene = Scene::new(&account, "shelf");
        let stage = Stage::new(&scene, &account, &LIMITS);
        let name = format!("slugline-test-{}-{}", std::process::id(), scene.port);
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let _listener = UnixListener::bind_addr(&address).unwrap();
        let facts = json!({
            "data": scene.data(),
            "abstract": name,
            "api_port": scene.api_port,
            "memory": 300 << 20,
            "processors": std::thread::available_parallelism().unwrap().get(),
        });
        let built = stage.build(&PROBE.replace("@FACTS@", &facts.to_string()));
        assert!(built.output.contains("probed by 1000 in /tmp/build_"), "{}", built.output);
        assert!(!built.output.contains("FOUND"), "{}", built.output);
        assert_eq!(built.status, "succeeded");
        stage.end();
    }
}

#[test]
fn a_dyno_knows_its_memory_and_the_machines_processors() {
    let account = Account::all().pop().expect("there is somebody");
    let scene = Scene::new(&account, "shelf");
    let mut stage = Stage::with_procfile(&scene, &account, &LIMITS, TELLING);
    let processors = std::thread::available_parallelism().unwrap().to_string();
    stage.server.wait_for_line(0, &["app[web.1]", &processors]);
    stage.server.wait_for_line(0, &["app[web.1]", "536870912"]);
    stage.end();
}
