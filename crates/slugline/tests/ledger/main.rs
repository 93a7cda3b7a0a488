//! What dynos write is seen while they live, accounted for when they stop, and can be had back for a
//! while: with a real server, as root and as an ordinary user alike.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

mod going;
mod kills;
mod modes;
mod stage;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use serde_json::{Value, json};
use stage::{Stage, tree};
use support::account::Account;

/// All that a file may be: large, empty, executable, linked to, with a name of any letters.
const WRITE: &str = "mkdir -p media/covers '.data/a b' __pycache__ && seq 1 400000 > media/covers/a.png \
    && seq 1 9 > 'media/grüße.txt' && touch media/empty && echo '#!/bin/sh' > media/run \
    && chmod 750 media/run && ln -s covers/a.png media/latest && echo x > '.data/a b/c' \
    && echo new > baked.txt && echo noise > __pycache__/a.pyc && echo noise > /tmp/noise \
    && echo written; exec sleep 1000";

#[test]
fn what_a_dyno_wrote_is_seen_and_comes_back_byte_for_byte() {
    for account in Account::all() {
        let stage = Stage::new(&account, "");
        stage.write("baked.txt", "baked");
        let server = stage.serve();
        stage.run_worker(&server, WRITE);
        Stage::wait_for_log(&server, &["]: written"]);
        let live = server.api().get("/apps/owl/dynos/worker.1/files");
        assert_eq!((&live["files"], &live["noise"]["files"]), (&json!(7), &json!(2)), "{live}");
        let listed = stage.slugline(&["fs", "-a", "owl"]).unwrap();
        assert!(listed.contains("media/") && listed.contains("baked.txt (changed"), "{listed}");
        assert!(listed.contains("upload: move it to S3"), "{listed}");
        stage.slugline(&["restore", "worker.1", "/app", "live", "-a", "owl"]).unwrap();
        Stage::restart_worker(&server, 1);
        let told = "slugline restore worker.1@1 -a owl";
        Stage::wait_for_log(&server, &["heroku[worker.1]: Kept until", told]);
        let restored = stage.slugline(&["restore", "worker.1@1", "-a", "owl"]).unwrap();
        assert!(restored.contains("Restored 7 files"), "{restored}");
        assert_restored(&stage);
        assert_totals(&server.api().get("/apps/owl/releases")[0]["lost"]);
        assert_totals(&server.api().get("/apps/owl/dynos")[0]["lost"]);
        stage.end(server);
    }
}

fn assert_totals(lost: &Value) {
    let counts = (&lost["runs"], &lost["files"], &lost["restorable"]);
    assert_eq!(counts, (&json!(1), &json!(7), &json!(1)), "{lost}");
}

fn assert_restored(stage: &Stage) {
    let (live, back) = (stage.at("live"), stage.at("worker.1@1"));
    let mut while_it_lived = tree(&live);
    assert!(while_it_lived.remove("__pycache__").is_some());
    assert!(while_it_lived.remove("__pycache__/a.pyc").is_some());
    assert_eq!(tree(&back), while_it_lived);
    let seq = std::process::Command::new("seq").args(["1", "400000"]).output().unwrap().stdout;
    assert_eq!(std::fs::read(back.join("media/covers/a.png")).unwrap(), seq);
    // Again, and into what is there already.
    let again = stage.slugline(&["restore", "worker.1@1", "-a", "owl"]).unwrap();
    assert!(again.contains("Restored 0 files") && again.contains("7 files had been"), "{again}");
    std::fs::write(back.join("baked.txt"), "mine").unwrap();
    let refused =
        stage.slugline(&["restore", "worker.1@1", "baked.txt", "worker.1@1", "-a", "owl"]);
    assert!(refused.unwrap_err().contains("baked.txt"));
    assert_eq!(std::fs::read(back.join("baked.txt")).unwrap(), b"mine");
    let force = ["restore", "worker.1@1", "/app/baked.txt", "worker.1@1", "-a", "owl", "--force"];
    stage.slugline(&force).unwrap();
    assert_eq!(std::fs::read(back.join("baked.txt")).unwrap(), b"new\n");
    let nowhere = stage.slugline(&["restore", "worker.1@1", "nowhere", "x", "-a", "owl"]);
    assert!(nowhere.unwrap_err().contains("cannot find `/app/nowhere` in worker.1@1"));
    let never = stage.slugline(&["restore", "worker.1@7", "-a", "owl"]);
    assert!(never.unwrap_err().contains("Couldn't find that receipt"));
}

#[test]
fn a_ledger_of_very_many_files_is_listed_and_counted() {
    const MANY: &str = "python3 -c 'import os\nfor d in range(100):\n    os.makedirs(f\"media/{d}\")\n    \
                        for f in range(1000): open(f\"media/{d}/{f}\", \"w\").write(str(f))\n\
                        print(\"written\", flush=True)'; exec sleep 1000";
    for account in Account::all() {
        let stage = Stage::new(&account, "");
        let server = stage.serve();
        stage.run_worker(&server, MANY);
        Stage::wait_for_log(&server, &["]: written"]);
        let live = server.api().get("/apps/owl/dynos/worker.1/files");
        assert_eq!(live["files"], 100_000, "{}", live["groups"]);
        let listed = stage.slugline(&["fs", "worker.1", "-a", "owl"]).unwrap();
        assert!(listed.contains("100,000 files"), "{listed}");
        Stage::restart_worker(&server, 1);
        let paths = ["restore", "worker.1@1", "media/7", "out", "-a", "owl"];
        let restored = stage.slugline(&paths).unwrap();
        assert!(restored.contains("Restored 1,000 files"), "{restored}");
        assert_eq!(std::fs::read(stage.at("out/media/7/999")).unwrap(), b"999");
        stage.end(server);
    }
}
