//! The API, fuzzed by Schemathesis with the schema that the server itself serves: no answer is an
//! error of the server's, and without a token there is none.

mod document;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use document::Names;
use support::account::Account;
use support::api::Api;
use support::scene::Scene;
use support::serving::Serving;
use support::wait_for;

/// What fuzzes.
const PACKAGE: &str = "schemathesis==4.32.5";

/// What is sent depends on nothing else.
const SEED: &str = "20261129";

/// Made-up requests to each link, beside those that its schema's edges make.
const EXAMPLES: &str = "2";

/// How long one run may take (seconds): an answer that does not end is a fault, too.
const PATIENCE: &str = "300";

/// It answers with all programs of the machine.
const HEAVY: &str = "/apps/{app}/slugs/{slug}/image";

/// 501 is what Heroku has and this server has not.
const SETTINGS: &str = "[checks.not_a_server_error]\n\
                        expected-statuses = [\"2xx\", \"3xx\", \"4xx\", 501]\n";

#[test]
fn whatever_is_sent_no_answer_is_an_error_of_the_servers_and_none_comes_without_a_token() {
    let scene = Scene::new(&Account::all()[0], "owl");
    let serving = Serving::start(&scene);
    let names = furnish(&scene, &serving);
    let api = serving.api();
    let document = document::of(&api.get("/schema"), &names);
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("openapi.json");
    std::fs::write(&path, document.to_string()).expect("the directory is ours");
    // What is removed first is not there for the rest.
    fuzz(&api, &path, &["--exclude-method", "DELETE"]);
    let done = succeeded(&api);
    assert!(done > 100, "{done} changes succeeded: the fuzzer met nothing");
    fuzz(&api, &path, &["--include-method", "DELETE"]);
    api.json("POST", "/apps", &json!({ "name": "still-there" }));
}

/// One of everything, and what it all is called in paths.
fn furnish(scene: &Scene, serving: &Serving<'_>) -> Names {
    let api = serving.api();
    let mut names = Names::new();
    let mut note = |variable: &'static str, one: &Value| {
        let known = names.entry(variable).or_default();
        known.extend(["id", "name", "version", "hostname", "email"].iter().filter_map(|key| {
            match &one[key] {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            }
        }));
    };
    let make = |path: &str, body: Value| api.json("POST", path, &body);
    note("app", &make("/apps", json!({ "name": scene.app })));
    note("app", &make("/apps", json!({ "name": "shelf" })));
    scene.write("app/hello.txt", "hello");
    serving.release(&json!({ "web": "python3 -m http.server $PORT" }));
    let up = || api.names_if_up(scene.app).filter(|names| !names.is_empty());
    wait_for("the app's dyno", Duration::from_mins(1), up);
    note("account", &make("/accounts", json!({ "email": "ann@example.com" })));
    note("recipient", &json!({ "email": "ann@example.com" }));
    note("stage", &json!({ "name": "production" }));
    make("/apps/owl/collaborators", json!({ "user": "ann@example.com" }));
    let pipeline = make("/pipelines", json!({ "name": "books" }));
    let coupling = json!({ "app": "owl", "pipeline": pipeline["id"], "stage": "staging" });
    note("coupling", &make("/pipeline-couplings", coupling));
    note("pipeline", &pipeline);
    let source = make("/sources", json!({}))["source_blob"]["get_url"].clone();
    let name = source.as_str().and_then(|url| url.rsplit('/').next()).expect("a URL");
    let uploaded = api.send("PUT", &format!("/sources/{name}"), &json!("no archive"));
    assert_eq!(uploaded.status, 200);
    let run = json!({
        "pipeline": "books", "commit_branch": "main", "commit_message": "x", "commit_sha": "0",
        "source_blob_url": source,
    });
    let run = make("/test-runs", run);
    note("run", &json!({ "id": run["id"] }));
    note("number", &json!({ "name": run["number"].to_string() }));
    note("addon", &make("/apps/owl/addons", json!({ "plan": "s3" })));
    note(
        "domain",
        &make("/apps/owl/domains", json!({ "hostname": "www.owl.test", "sni_endpoint": null })),
    );
    note("drain", &make("/apps/owl/log-drains", json!({ "url": "syslog://owl.invalid:514" })));
    let webhook =
        json!({ "include": ["api:app"], "level": "notify", "url": "https://owl.invalid/" });
    note("webhook", &make("/apps/owl/webhooks", webhook));
    note(
        "client",
        &make("/oauth/clients", json!({ "name": "books", "redirect_uri": "https://owl.invalid/" })),
    );
    note("authorization", &make("/oauth/authorizations", json!({ "scope": ["read"] })));
    for (variable, list) in [
        ("release", "/apps/owl/releases"),
        ("dyno", "/apps/owl/dynos"),
        ("attachment", "/apps/owl/addon-attachments"),
        ("feature", "/apps/owl/features"),
        ("size", "/dyno-sizes"),
        ("stack", "/stacks"),
        ("region", "/regions"),
        ("service", "/addon-services"),
        ("plan", "/addon-services/s3/plans"),
    ] {
        for one in api.get(list).as_array().expect("a list").iter().take(3) {
            note(variable, one);
        }
    }
    let releases = api.get("/apps/owl/releases");
    let slug =
        releases.as_array().expect("a list").iter().find_map(|one| one["slug"]["id"].as_str());
    note("slug", &json!({ "id": slug.expect("a release with a slug") }));
    note("type", &json!({ "name": "web" }));
    note("user", &json!({ "name": "~", "email": "ann@example.com" }));
    names
}

/// Changes that the trail says were made.
fn succeeded(api: &Api) -> usize {
    let changes = api.get("/audit?max=100000");
    let changes = changes.as_array().expect("a list");
    changes.iter().filter(|change| change["status"].as_u64().is_some_and(|code| code < 300)).count()
}

/// Runs the fuzzer on the links that the arguments choose; all that it finds is told.
fn fuzz(api: &Api, document: &Path, chosen: &[&str]) {
    let directory = document.parent().expect("a file lies in a directory");
    let settings = directory.join("settings.toml");
    std::fs::write(&settings, SETTINGS).expect("the directory is ours");
    let packages = installed();
    let mut fuzzer = Command::new("timeout");
    fuzzer
        .args([PATIENCE, "python3"])
        .env("PYTHONPATH", &packages)
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(&settings)
        .arg("run")
        .arg(document)
        .args(["--url", &format!("http://127.0.0.1:{}", api.port)])
        .args(["--header", &format!("Authorization: Bearer {}", api.token)])
        .args(["--checks", "not_a_server_error,ignored_auth,response_schema_conformance"])
        .args(["--phases", "coverage,fuzzing", "--max-examples", EXAMPLES, "--seed", SEED])
        .args(["--generation-database", "none", "--no-shrink", "--no-color"])
        .args(["--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "20"])
        .args(["--exclude-path", HEAVY])
        // Two threads of Python 3.11 that parse at once may fail by a fault of Python's own.
        .args(["--continue-on-failure", "--workers", "1"])
        .args(chosen)
        .current_dir(directory);
    let output = fuzzer.output().unwrap_or_else(|error| panic!("{fuzzer:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{chosen:?}: {}: {said}{complaint}", output.status);
}

/// The fuzzer's packages, which are installed once, by way of a neighbour.
fn installed() -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(PACKAGE.replace("==", "-"));
    if !home.is_dir() {
        let new = home.with_extension(std::process::id().to_string());
        let pip = ["-m", "pip", "install", "--quiet", "--target"];
        let done = Command::new("python3").args(pip).arg(&new).arg(PACKAGE).status();
        assert!(done.expect("python3 starts").success(), "{PACKAGE} could not be installed by pip");
        if std::fs::rename(&new, &home).is_err() {
            std::fs::remove_dir_all(&new).expect("the neighbour goes");
        }
    }
    home
}
