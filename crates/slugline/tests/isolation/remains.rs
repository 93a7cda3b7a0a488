//! What is left of a dyno's network when whoever made it was killed.

use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use slugline_model::network::{Share, machines_addresses};

use super::probe::running;
use super::support::account::{Account, run};
use super::support::scene::Scene;
use super::support::server::Server;
use super::support::{trace, wait_for};

const PROCFILE: &str = "web: cat /proc/net/fib_trie > addresses; \
    exec python3 -m http.server --bind 127.0.0.1 $PORT\n";

#[test]
fn nothing_is_left_of_a_network_whose_server_and_supervisor_were_killed() {
    for account in Account::all() {
        let scene = Scene::new(&account, "shelf");
        scene.write("bin/detect", "#!/bin/sh\necho Shelf\n");
        scene.write("bin/compile", "#!/bin/sh\ntrue\n");
        scene.write("Procfile", PROCFILE);
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        let addresses = machines_addresses(&scene.get("/addresses").text());
        let dyno = running(&scene).pop().expect("a dyno");
        server.kill();
        assert_eq!(has_rules(&scene), account.is_root(), "the dyno runs on, within its rules");
        let pid = std::fs::read_to_string(dyno.join("lock")).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
        // Among them the one that joined it to the outside.
        wait_for("its processes' end", Duration::from_secs(10), || {
            trace::processes(&scene.data()).is_empty().then_some(())
        });
        if account.is_root() {
            let partner = addresses.iter().find(|address| !address.is_loopback()).unwrap();
            let partner = u32::from(*partner) - 1;
            let partner = std::net::Ipv4Addr::from(partner).to_string();
            wait_for("its interface's end", Duration::from_secs(10), || {
                let shown = Command::new("ip").args(["-o", "addr"]).output().unwrap().stdout;
                let shown = String::from_utf8_lossy(&shown).into_owned();
                (!shown.contains(&format!(" {partner}/"))).then_some(())
            });
        }
        let mut next = Server::start(&scene);
        next.wait_for_line(0, &["State changed from starting to up"]);
        next.interrupt();
        assert!(!has_rules(&scene), "rules are left");
        trace::assert_none(&scene.data());
    }
}

#[test]
fn rules_that_somebody_flushed_are_set_again() {
    let account = Account::all().into_iter().find(Account::is_root);
    let account = account.expect("only root has rules: run this test as root");
    let scene = Scene::new(&account, "shelf");
    scene.write("bin/detect", "#!/bin/sh\necho Shelf\n");
    scene.write("bin/compile", "#!/bin/sh\ntrue\n");
    scene.write("Procfile", PROCFILE);
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    assert!(has_rules(&scene));
    run(Command::new("nft").args(["delete", "table", "inet", &table(&scene)]));
    // As long as rules that were seen are taken to be there.
    std::thread::sleep(Duration::from_secs(6));
    for directory in running(&scene) {
        let pid = std::fs::read_to_string(directory.join("lock")).unwrap();
        let pid = Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
        kill_process(pid, Signal::KILL).unwrap();
    }
    wait_for("the rules of the dyno after it", Duration::from_secs(20), || {
        has_rules(&scene).then_some(())
    });
    server.interrupt();
    assert!(!has_rules(&scene), "rules are left");
}

fn table(scene: &Scene) -> String {
    let dynos = scene.data().join("dynos");
    Share::of(&dynos.canonicalize().unwrap()).table()
}

fn has_rules(scene: &Scene) -> bool {
    let table = table(scene);
    let listed = Command::new("nft").args(["list", "table", "inet", &table]).output();
    listed.is_ok_and(|listed| listed.status.success())
}
