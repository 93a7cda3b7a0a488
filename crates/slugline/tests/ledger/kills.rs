//! Servers and restores are killed at random moments, and nothing that was to be kept is lost.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{PATIENCE, Stage, log, tree};
use crate::support::account::Account;
use crate::support::chance::Chance;
use crate::support::serving::Serving;
use crate::support::wait_for;

/// The environment may ask for more.
const ROUNDS: u64 = 4;

/// As much as a restore takes a moment for: each run writes other files.
const WRITE: &str = "mkdir media && for n in $(seq 1 40); do head -c 400000 /dev/urandom > \
    media/$n; done && find media -type f | sort | xargs sha256sum > sums.txt && echo written; \
    exec sleep 1000";

#[test]
fn kills_in_the_middle_lose_no_file() {
    let rounds = std::env::var("SLUGLINE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    for account in Account::all() {
        let stage = Stage::new(&account, "");
        let mut chance = Chance::new();
        eprintln!("as {account}; seed {}", chance.seed());
        let mut server = stage.serve();
        stage.run_worker(&server, WRITE);
        for run in 1..=rounds.unwrap_or(ROUNDS) {
            server = round(&stage, server, &mut chance, run);
        }
        let lost = server.api().get("/apps/owl/receipts");
        let names: Vec<&Value> = lost.as_array().unwrap().iter().map(|one| &one["name"]).collect();
        let all: Vec<Value> = (1..=rounds.unwrap_or(ROUNDS)).rev().map(name).collect();
        assert_eq!(names, all.iter().collect::<Vec<_>>(), "each run has one receipt");
        stage.end(server);
    }
}

fn name(run: u64) -> Value {
    json!(format!("worker.1@{run}"))
}

/// Stops the worker, while the server is killed; then restores, while either is.
fn round<'a>(
    stage: &'a Stage,
    mut server: Serving<'a>,
    chance: &mut Chance,
    run: u64,
) -> Serving<'a> {
    wait_for("all to be written", PATIENCE, || {
        (log(&server.api()).matches("]: written").count() as u64 >= run).then_some(())
    });
    server.api().json("DELETE", "/apps/owl/dynos/worker.1", &Value::Null);
    std::thread::sleep(Duration::from_millis(chance.below(400)));
    server.kill();
    std::thread::sleep(Duration::from_millis(chance.below(200)));
    let mut server = stage.serve();
    // The next run starts when this one is gone; its kill may have come before the stop was asked.
    if Stage::receipt_within(&server.api(), run, Duration::from_secs(20)).is_none() {
        server.api().json("DELETE", "/apps/owl/dynos/worker.1", &Value::Null);
    }
    let receipt = Stage::wait_for_receipt(&server.api(), run);
    assert_eq!(receipt["layer"]["state"], "kept", "{receipt}");
    let (run, to) = (format!("worker.1@{run}"), format!("back{run}"));
    for _ in 0..4 {
        let mut restore = start_restore(stage, &run, &to);
        std::thread::sleep(Duration::from_millis(chance.below(150)));
        if chance.below(2) == 0 {
            server.kill();
            restore.wait().unwrap();
            server = stage.serve();
        } else {
            restore.kill().unwrap();
            restore.wait().unwrap();
        }
        assert_whole_so_far(stage, &to);
    }
    stage.slugline(&["restore", &run, &to, "-a", "owl"]).unwrap();
    let names = tree(&stage.at(&to));
    assert_eq!(names.len(), 1 + 40 + 1, "and nothing half: {:?}", names.keys());
    assert_eq!(sums(stage, &to).len(), 40);
    assert_whole_so_far(stage, &to);
    server
}

fn start_restore(stage: &Stage, run: &str, to: &str) -> Child {
    let mut command = stage.command(&["restore", run, to, "-a", "owl"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Under its own name there is only ever a whole file.
fn assert_whole_so_far(stage: &Stage, to: &str) {
    let sums = sums(stage, to);
    let files = std::fs::read_dir(stage.at(to).join("media")).into_iter().flatten().flatten();
    for file in files {
        let name = file.file_name().into_string().unwrap();
        if name.starts_with(".slugline-restore-") {
            continue;
        }
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!(bytes.len(), 400_000, "{name}");
        if let Some(sum) = sums.get(&format!("media/{name}")) {
            let output = std::process::Command::new("sha256sum").arg(file.path()).output().unwrap();
            assert!(String::from_utf8(output.stdout).unwrap().starts_with(sum), "{name}");
        }
    }
}

/// What the dyno said of its files, once that is there.
fn sums(stage: &Stage, to: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(stage.at(to).join("sums.txt")).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once("  "));
    pairs.map(|(sum, name)| (name.to_owned(), sum.to_owned())).collect()
}
