//! The probe: what a dyno finds, with another dyno beside it and an outside to reach.

use std::net::Ipv4Addr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};
use slugline_model::network::machines_addresses;

use super::outside::{self, Outside};
use super::support::account::{Account, run};
use super::support::scene::Scene;
use super::support::server::Server;
use super::support::trace;
use super::talker::Talker;

const PROBE: &str = include_str!("probe.py");

/// Tells its addresses and its port, and listens on all of them.
const OTHER: &str = "web: cat /proc/net/fib_trie > addresses; echo $PORT > port; \
    exec python3 -m http.server --bind 0.0.0.0 $PORT\n";

/// So many things are looked for; one that is left out is missed.
const CHECKS: usize = 25;

#[test]
fn a_dyno_finds_no_way_out() {
    for account in Account::all() {
        let token = format!("token-{}", uuid::Uuid::new_v4().simple());
        let talker = Talker::start(Ipv4Addr::UNSPECIFIED, &token);
        let there = Account::all()[0].is_root().then(|| Outside::new(&token));
        let name = format!("slugline-test-{}", talker.port);
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let _listener = UnixListener::bind_addr(&address).unwrap();
        let secret = Secret::new(&account);
        let neighbour = Scene::new(&account, "other");
        let other = serve(&neighbour, OTHER);
        let scene = Scene::new(&account, "shelf");
        let facts = json!({
            "abstract": name,
            "closed": closed(&neighbour, &talker, there.as_ref(), &scene),
            "data": scene.data(),
            "gid": id(&account, "gid"),
            "hostname": std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim(),
            "namespaces": namespaces(),
            "outside": outside_of(there.as_ref()),
            "pids": inits(&neighbour),
            "objects": scene.port,
            "ports": [talker.port, scene.api_port],
            "secret": secret.directory.path(),
            "token": token,
            "uid": id(&account, "uid"),
        });
        scene.write("facts.json", &facts.to_string());
        scene.write("probe.py", PROBE);
        scene.write("static/style.css", "a{}");
        let server = serve(&scene, "web: exec python3 probe.py\n");
        let report: Map<String, Value> = serde_json::from_str(&scene.get("/").text()).unwrap();
        println!("as {account}: {report:#?}");
        let found: Vec<_> =
            report.iter().filter(|(name, found)| *name != "addresses" && *found != "ok").collect();
        assert!(found.is_empty(), "as {account}: {found:#?}");
        assert_eq!(report.len(), CHECKS + 1, "as {account}: {report:#?}");
        if account.is_root() {
            open_routes(&scene);
            let again: Value = serde_json::from_str(&scene.get("/again").text()).unwrap();
            assert_eq!(again, json!({ "again": "" }), "by the machine's rules alone");
        }
        let ended = server.interrupt();
        assert!(ended.output.contains("Discarded"), "{}", ended.output);
        assert!(!ended.output.contains("unseen"), "a link was followed: {}", ended.output);
        secret.is_kept();
        other.interrupt();
        trace::assert_none(&scene.data());
        trace::assert_none(&neighbour.data());
    }
}

fn serve<'a>(scene: &'a Scene, procfile: &str) -> Server<'a> {
    scene.write("bin/detect", "#!/bin/sh\necho Shelf\n");
    scene.write("bin/compile", "#!/bin/sh\ntrue\n");
    scene.write("Procfile", procfile);
    let mut server = Server::start(scene);
    server.wait_for_release(1);
    server
}

/// Where the dyno must reach nobody: whoever listens there says the token, or is another dyno.
fn closed(
    neighbour: &Scene,
    talker: &Talker,
    there: Option<&Outside>,
    scene: &Scene,
) -> Vec<(Ipv4Addr, u16)> {
    let local = [Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2)];
    let machines = [local.as_slice(), &outside::machines()].concat();
    let port: u16 = neighbour.get("/port").text().trim().parse().unwrap();
    let others = machines_addresses(&neighbour.get("/addresses").text());
    let machines = machines.iter().flat_map(|address| {
        [talker.port, port, neighbour.port, scene.port, scene.api_port].map(|port| (*address, port))
    });
    // On a dyno's own loopback the object server is there, and nobody else.
    let is_own = |address: Ipv4Addr, port| address.is_loopback() && port == scene.port;
    let machines = machines.filter(|(address, port)| !is_own(*address, *port));
    let link = there.map(|there| (there.link_local, outside::PORT));
    let metadata = [(Ipv4Addr::new(169, 254, 169, 254), 80)];
    machines.chain(others.iter().map(|other| (*other, port))).chain(link).chain(metadata).collect()
}

/// Without root there is no outside of the test's own to make.
fn outside_of(there: Option<&Outside>) -> (Ipv4Addr, u16) {
    let there = there.expect("only root can make an outside: run this test as root");
    (there.address, outside::PORT)
}

/// The account's, which the dyno is to run under; none for root, whose dynos have their own.
fn id(account: &Account, kind: &str) -> Option<u32> {
    match account {
        Account::Mine { is_root: true } => None,
        Account::Mine { is_root: false } => Some(rustix::process::geteuid().as_raw()),
        Account::Ordinary { uid, gid, .. } => {
            Some(if kind == "uid" { uid } else { gid }.parse().unwrap())
        }
    }
}

fn namespaces() -> Value {
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];
    let link = |kind: &str| std::fs::read_link(Path::new("/proc/self/ns").join(kind)).unwrap();
    kinds.iter().map(|kind| ((*kind).to_owned(), json!(link(kind)))).collect()
}

/// The directories of a scene's dynos, without those that are ready for others.
pub(crate) fn running(scene: &Scene) -> Vec<PathBuf> {
    let mut all = trace::dyno_directories(&scene.data());
    all.retain(|directory| directory.join("spec.json").exists());
    all
}

/// The first processes of a scene's dynos, as the machine counts: children of their supervisors.
fn inits(scene: &Scene) -> Vec<i32> {
    let lock = |dyno: PathBuf| std::fs::read_to_string(dyno.join("lock")).unwrap_or_default();
    let supervisors = running(scene).into_iter().map(lock);
    let parents: Vec<String> = supervisors.map(|pid| format!("PPid:\t{}\n", pid.trim())).collect();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_init = |pid: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        // An ordinary user's has a pasta beside it.
        status.starts_with("Name:\tslugline\n") && parents.iter().any(|line| status.contains(line))
    };
    pids.filter(is_init).collect()
}

/// Takes away what the dyno's own network refuses, so that the machine's rules stand alone.
fn open_routes(scene: &Scene) {
    let pid = inits(scene).pop().expect("a dyno").to_string();
    let inside = |arguments: &str| {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &pid, "ip"]).args(arguments.split(' '));
        run(&mut command)
    };
    let closed = inside("route show type prohibit");
    assert!(closed.lines().count() > 1, "{closed}");
    for line in closed.lines() {
        inside(&format!("route del {}", line.trim()));
    }
}

/// A directory of the account's that no dyno may see, and that links in a layer lead to.
struct Secret {
    directory: tempfile::TempDir,
}

impl Secret {
    fn new(account: &Account) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("unseen"), "unseen").unwrap();
        account.own(directory.path());
        Self { directory }
    }

    fn is_kept(&self) {
        let path: PathBuf = self.directory.path().join("unseen");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "unseen");
    }
}
