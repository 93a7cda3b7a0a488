//! The machine's own files change under a server, as a package manager changes them.

use std::process::Command;

use serde_json::json;

use crate::journal::Journal;
use crate::support::account::Account;
use crate::support::scene::Scene;
use crate::support::serving::Serving;
use crate::support::{trace, wait_for};
use crate::{SETTLED, supervised};

/// A server that sees an `/etc` of its own.
fn apart(scene: &Scene) -> Command {
    let script = "cp -R /etc/. \"$0\" 2>/dev/null; echo first >\"$0/mime.types\"; \
                  mount --bind \"$0\" /etc && exec \"$@\"";
    let etc = scene.data().with_file_name("etc");
    std::fs::create_dir(&etc).unwrap();
    scene.account.own(&etc);
    let mut command = scene.account.command("unshare");
    command.arg(if scene.account.is_root() { "-m" } else { "-Urm" });
    command.args(["sh", "-c", script]).arg(etc).arg(scene.program());
    command
}

#[test]
fn dynos_start_after_a_file_that_they_see_was_replaced() {
    for account in Account::all() {
        println!("as {account}:");
        let scene = Scene::new(&account, "owl");
        scene.write("app/worker.sh", "cat /etc/mime.types\nexec sleep 1000\n");
        let mut server = Serving::start_as(&scene, apart(&scene), &[]);
        let api = server.api();
        api.json("POST", "/apps", &json!({ "name": "owl" }));
        server.release(&json!({ "worker": "bash worker.sh" }));
        api.json("PATCH", "/apps/owl/formation/worker", &json!({ "quantity": 1 }));
        let mut journal = Journal::default();
        let mut hears = |line: &str| {
            wait_for(line, SETTLED, || {
                journal.read(&api);
                assert!(!journal.says("Could not be started"), "{line} was waited for");
                journal.says(line).then_some(())
            });
        };
        hears("app[worker.1]: first");
        wait_for("supervisors that wait for a dyno", SETTLED, || {
            let directories = trace::dyno_directories(&scene.data());
            let waiting = directories.iter().filter(|directory| {
                directory.join("events").exists() && !directory.join("spec.json").exists()
            });
            (waiting.count() == 2).then_some(())
        });
        let types = scene.data().with_file_name("etc").join("mime.types");
        std::fs::write(types.with_extension("next"), "second\n").unwrap();
        std::fs::rename(types.with_extension("next"), types).unwrap();
        api.json("DELETE", "/apps/owl/dynos", &json!(null));
        hears("app[worker.1]: second");
        api.json("PATCH", "/apps/owl/formation/worker", &json!({ "quantity": 0 }));
        wait_for("the dyno to be gone", SETTLED, || {
            supervised(&scene.data()).is_empty().then_some(())
        });
        server.stop();
        trace::assert_none(&scene.data());
    }
}
