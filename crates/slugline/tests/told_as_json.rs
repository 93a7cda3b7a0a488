//! Every command of ours that tells something tells it as JSON, too, for whoever asks by `--json`.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[path = "support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use support::account::{Account, run};
use support::api::Api;
use support::scene::Scene;
use support::serving::Serving;
use support::wait_for;

/// Commands that tell nothing a program would read, and why.
const WITHOUT: [(&str, &str); 10] = [
    ("up", "it is a server in a terminal"),
    ("serve", "it is a server"),
    ("backup", "it makes an archive, and says how large"),
    ("backup:list", "it lists names, one a line"),
    ("backup:restore", "it makes a directory, and says what comes next"),
    ("conformance", "its subcommands have it"),
    ("completions", "a shell reads it"),
    ("man", "it writes pages"),
    ("slug:cat", "it prints a file as it is"),
    ("help", "people read it"),
];

/// What is run of each, in this order; words that stand for something of the moment are in braces.
const RUNS: [&str; 46] = [
    "doctor",
    "doctor {source}",
    "trust",
    "users",
    "users:add ann@example.com",
    "users:reset ann@example.com",
    "users:remove ann@example.com",
    "login",
    "audit",
    "builds:create {source} -a owl",
    "builds -a owl",
    "builds:info -a owl",
    "builds:output -a owl",
    "builds:replay -a owl",
    "builds:cache:purge -a owl",
    "ci:run {source} -p books",
    "top",
    "dyno:plan web.1 -a owl",
    "fs web.1 -a owl",
    "bake web.1 made.txt -a owl",
    "prove -a owl",
    "prove:gate -a owl",
    "prove:gate warn -a owl",
    "assets -a owl",
    "ephemeral -a owl",
    "ephemeral warn -a owl",
    "slug:tree -a owl",
    "slug:diff v1 v2 -a owl",
    "slug:get Procfile {directory}/Procfile -a owl",
    "slug:verify -a owl",
    "slug:sbom -a owl",
    "slug:provenance -a owl",
    "slug:export -o {directory}/slug.tgz -a owl",
    "slug:import {directory}/slug.tgz -a owl",
    "storage:put {directory}/Procfile -a owl",
    "storage:ls -a owl",
    "storage:usage -a owl",
    "storage:serve -a owl",
    "storage:get Procfile {directory}/got -a owl",
    "storage:adopt . -a owl",
    "lost -a owl",
    "restore {lost} {directory}/restored -a owl",
    "store:usage",
    "store:fsck",
    "store:gc --dry-run",
    "builds:watch -a owl",
];

/// Those that are to fail here: for want of a registry, of something that runs, or of who is named.
const FAIL: [&str; 6] = [
    "builds:cancel -a owl",
    "storage:move s3:embedded -a owl",
    "slug:push nowhere -a owl",
    "slug:pull nowhere -a owl",
    "users:remove nobody@example.com",
    "builds:info 00000000-0000-4000-8000-000000000099 -a owl",
];

/// Tests that pass.
const TESTS: &str = r#"{ "environments": { "test": { "scripts": { "test": "true" } } } }"#;

/// Writes a file that is no part of the slug.
const WEB: &str = "web: echo made > made.txt; exec python3 -m http.server $PORT\n";

#[test]
fn every_command_that_tells_something_tells_it_as_json_too() {
    let scene = Scene::new(&Account::all()[0], "owl");
    scene.write("Procfile", WEB);
    scene.write("app.json", TESTS);
    let serving = Serving::start(&scene);
    let api = serving.api();
    api.json("POST", "/apps", &json!({ "name": "owl" }));
    let names = commands(&scene);
    let known: BTreeSet<String> = RUNS.iter().chain(&FAIL).map(|run| first_word(run)).collect();
    let without: BTreeSet<String> = WITHOUT.iter().map(|(name, _)| (*name).to_owned()).collect();
    let all: BTreeSet<String> = known.union(&without).cloned().collect();
    assert_eq!(names, all, "each command has a run here, or a reason");
    let mut wrong = Vec::new();
    for run in RUNS.into_iter().chain(FAIL) {
        if run.starts_with("ci:run") {
            api.json("POST", "/pipelines", &json!({ "name": "books" }));
        }
        if run.starts_with("top") {
            up(&api);
        }
        if run.starts_with("storage:put") {
            api.json("POST", "/apps/owl/addons", &json!({ "plan": "s3" }));
        }
        if run.starts_with("storage:adopt") {
            wait_for("the app's newest release to be up", Duration::from_mins(1), || newest(&api));
        }
        if run.starts_with("lost") {
            api.json("DELETE", "/apps/owl/dynos", &Value::Null);
            wait_for("a receipt", Duration::from_mins(1), || lost(&api));
        }
        if let Some(fault) = fault(&scene, &api, run) {
            wrong.push(fault);
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

fn first_word(run: &str) -> String {
    run.split(' ').next().unwrap_or_default().to_owned()
}

/// As `slugline help` lists them.
fn commands(scene: &Scene) -> BTreeSet<String> {
    let help = run(Command::new(scene.program()).arg("help"));
    let list = help.split("Commands:").nth(1).unwrap().split("Options:").next().unwrap();
    let name = |line: &str| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned);
    list.lines().filter_map(name).filter(|name| !name.is_empty()).collect()
}

fn up(api: &Api) {
    wait_for("the app to be up", Duration::from_mins(1), || {
        api.names_if_up("owl").filter(|names| names.len() == 1)
    });
}

fn newest(api: &Api) -> Option<()> {
    let releases = api.get("/apps/owl/releases");
    let newest = releases.as_array()?.last()?["version"].as_u64()?;
    let dynos = api.dynos("owl");
    let is_newest = dynos.iter().all(|dyno| dyno.state == "up" && dyno.release == newest);
    (dynos.len() == 1 && is_newest).then_some(())
}

/// A dyno that lost something, as `restore` names it.
fn lost(api: &Api) -> Option<String> {
    let receipts = api.get("/apps/owl/receipts");
    let has_layer = |one: &&Value| one["layer"]["state"] == "kept";
    let one = receipts.as_array()?.iter().find(has_layer)?;
    Some(one["name"].as_str()?.to_owned())
}

/// What is wrong with what a command tells.
fn fault(scene: &Scene, api: &Api, line: &str) -> Option<String> {
    let directory = scene.data().with_file_name("told");
    std::fs::create_dir_all(&directory).unwrap();
    let filled = line
        .replace("{source}", scene.source().to_str().unwrap())
        .replace("{directory}", directory.to_str().unwrap())
        .replace("{lost}", &lost(api).unwrap_or_default());
    let mut command = Command::new(scene.program());
    command.args(filled.split(' ')).arg("--json").env("HOME", &directory);
    command.env("HEROKU_API_KEY", &api.token).env("SLUGLINE_API_PORT", api.port.to_string());
    if !line.starts_with("doctor") {
        command.arg("--data-dir").arg(scene.data());
        command.args(["--api-port", &api.port.to_string()]);
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    let code = output.status.code();
    if FAIL.contains(&line) {
        let is_told = code != Some(0) && !err.is_empty();
        return (!is_told).then(|| format!("{line}: {code:?}: {out}{err}"));
    }
    let whole = serde_json::from_str::<Value>(&out).is_ok();
    let lines = || out.lines().all(|line| serde_json::from_str::<Value>(line).is_ok());
    let is_told = !out.trim().is_empty() && (whole || lines());
    let succeeds = code == Some(0) || line == "doctor";
    (!is_told || !succeeds).then(|| format!("{line}: {code:?}: {out}{err}"))
}
