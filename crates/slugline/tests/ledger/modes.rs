//! What an app wants to hear and to allow of files that its dynos lose.

use serde_json::json;

use crate::stage::{Stage, log};
use crate::support::account::Account;

#[test]
fn a_strict_app_cannot_write_but_where_it_declares_it() {
    const TRY: &str = "touch new; echo x >> baked.txt; mkdir media; touch cache/a && \
                       echo x > /tmp/a && echo tried; exec sleep 1000";
    for account in Account::all() {
        let stage = Stage::new(&account, "");
        stage.write("baked.txt", "baked");
        stage.write("app.json", r#"{ "scratch": ["cache"] }"#);
        let server = stage.serve();
        server.api().json("POST", "/apps", &json!({ "name": "owl" }));
        let set = stage.slugline(&["ephemeral", "strict", "-a", "owl"]).unwrap();
        assert!(set.contains("owl: strict"), "{set}");
        assert_eq!(stage.slugline(&["ephemeral", "-a", "owl"]).unwrap(), "strict\n");
        stage.run_worker(&server, TRY);
        Stage::wait_for_log(&server, &["app[worker.1]: tried"]);
        for refused in ["touch", "baked.txt", "mkdir"] {
            Stage::wait_for_log(&server, &["app[worker.1]", refused, "Read-only file system"]);
        }
        let receipt = Stage::restart_worker(&server, 1);
        assert_eq!((&receipt["files"], &receipt["noise"]["files"]), (&json!(0), &json!(2)));
        let wrong = stage.slugline(&["ephemeral", "loud", "-a", "owl"]).unwrap_err();
        assert!(wrong.contains("must be one of warn, strict, quiet"), "{wrong}");
        stage.end(server);
    }
}

#[test]
fn a_quiet_app_hears_nothing_and_has_its_files_kept_all_the_same() {
    for account in Account::all() {
        let stage = Stage::new(&account, "");
        let server = stage.serve();
        stage.run_worker(&server, "echo x > file; echo written; exec sleep 1000");
        server.api().json("PATCH", "/apps/owl/ephemeral", &json!({ "mode": "quiet" }));
        Stage::wait_for_log(&server, &["]: written"]);
        let receipt = Stage::restart_worker(&server, 1);
        assert_eq!(receipt["layer"]["state"], "kept", "{receipt}");
        stage.slugline(&["restore", "worker.1@1", "out", "-a", "owl"]).unwrap();
        assert_eq!(std::fs::read(stage.at("out/file")).unwrap(), b"x\n");
        let log = log(&server.api());
        assert!(!log.contains("Discarded") && !log.contains("Kept until"), "{log}");
        stage.end(server);
    }
}
