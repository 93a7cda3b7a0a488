//! Layers that are not kept any more: which go, and that it is said.

use serde_json::{Value, json};

use crate::stage::{PATIENCE, Stage, log};
use crate::support::account::Account;
use crate::support::wait_for;

const WRITE: &str = "mkdir media && head -c 700000 /dev/urandom > media/a.png && echo written; \
                     exec sleep 1000";

#[test]
fn layers_above_the_quota_and_past_their_grace_go_and_it_is_said() {
    for account in Account::all() {
        let stage = Stage::new(&account, "[layers]\nquota = \"1 MB\"\n");
        let mut server = stage.serve();
        stage.run_worker(&server, WRITE);
        for run in 1..=2 {
            wait_for("all to be written", PATIENCE, || {
                (log(&server.api()).matches("]: written").count() == run).then_some(())
            });
            Stage::restart_worker(&server, run as u64);
        }
        let why = "worker.1@1 can no longer be restored, as [layers] quota is 1.0MB: 1 file, 700kB";
        Stage::wait_for_log(&server, &[why]);
        let first = Stage::wait_for_receipt(&server.api(), 1);
        assert_eq!(first["layer"]["why"], "quota", "{first}");
        let refused = stage.slugline(&["restore", "worker.1@1", "-a", "owl"]).unwrap_err();
        assert!(refused.contains("was discarded at") && refused.contains("quota"), "{refused}");
        assert!(!stage.at("worker.1@1").exists());
        let second = Stage::wait_for_receipt(&server.api(), 2);
        assert_eq!(second["layer"]["state"], "kept", "{second}");
        server.kill();
        // What the killed one had begun to discard.
        stage.configure("[layers]\ngrace = \"1s\"\n");
        let server = stage.serve();
        Stage::wait_for_log(
            &server,
            &["worker.1@2 can no longer be restored, as its 1s were over"],
        );
        wait_for("the layer to go", PATIENCE, || stage.layers().is_empty().then_some(()));
        let lost = stage.slugline(&["lost", "-a", "owl", "--since", "v1"]).unwrap();
        assert!(lost.contains("2 of 2 runs lost 2 files, 1.4MB; 0 of them"), "{lost}");
        assert!(lost.contains("cannot be restored any more"), "{lost}");
        assert_eq!(server.api().get("/apps/owl/receipts?since=v2"), json!([]));
        stage.end(server);
    }
}

#[test]
fn a_layer_that_is_not_there_is_said_to_be_missing() {
    for account in Account::all() {
        let stage = Stage::new(&account, "");
        let mut server = stage.serve();
        stage.run_worker(&server, WRITE);
        Stage::wait_for_log(&server, &["]: written"]);
        let receipt = Stage::restart_worker(&server, 1);
        server.kill();
        let layers = stage.scene.data().join("layers");
        std::fs::remove_dir_all(layers.join(receipt["id"].as_str().unwrap())).unwrap();
        let server = stage.serve();
        Stage::wait_for_log(
            &server,
            &["worker.1@1 can no longer be restored, as its files were not"],
        );
        let refused = stage.slugline(&["restore", "worker.1@1", "-a", "owl"]).unwrap_err();
        assert!(refused.contains("were not there any more"), "{refused}");
        stage.end(server);
    }
}

#[test]
fn nothing_is_kept_where_that_is_switched_off() {
    for account in Account::all() {
        let stage = Stage::new(&account, "[layers]\ngrace = \"off\"\n");
        let server = stage.serve();
        stage.run_worker(&server, WRITE);
        Stage::wait_for_log(&server, &["]: written"]);
        let receipt = Stage::restart_worker(&server, 1);
        assert_eq!(receipt["layer"], json!({ "state": "none" }), "{receipt}");
        assert_eq!(stage.layers(), [""; 0]);
        let path = "/apps/owl/receipts/worker.1@1/files";
        assert_eq!(server.api().send("GET", path, &Value::Null).status, 410);
        stage.end(server);
    }
}
