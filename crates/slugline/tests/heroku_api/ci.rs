//! Test runs: begun by our command, shown by the stock command line.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::checks::Checks;
use crate::scene;
use crate::support::account::run;
use crate::support::cli::Cli;
use crate::support::scene::Scene;
use crate::support::server::Server;

/// Its setup leaves what its tests look for, and its tests look for what CI has.
const APP_JSON: &str = r#"{ "environments": { "test": {
    "env": { "COLOUR": "blue" },
    "scripts": {
        "test-setup": "echo the fixtures are made && touch fixtures",
        "test": "./check"
    }
} } }"#;

const PASSES: &str = "#!/bin/bash\n\
                      [[ -f fixtures && $COLOUR == blue && $CI == true && $DYNO == run.1 ]] || exit 9\n\
                      echo all 12 tests pass\n";

const FAILS: &str = "#!/bin/bash\necho test 7 is not ok >&2\nexit 7\n";

/// A repository whose tests are this script.
fn commit(directory: &Path, check: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(directory.join("Procfile"), "web: exit 1\nrelease: exit 1\n").unwrap();
    std::fs::write(directory.join("app.json"), APP_JSON).unwrap();
    let script = directory.join("check");
    std::fs::write(&script, check).unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let git = |args: &[&str]| {
        let person = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
        run(Command::new("git").arg("-C").arg(directory).args(person).args(args))
    };
    git(&["init", "-q", "-b", "shiny"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "Shine"]);
}

/// `slugline ci:run` of a directory.
fn ci_run(scene: &Scene, directory: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(scene.program());
    command.arg("ci:run").arg(directory).args(["-p", "books"]).args(more);
    command.arg("--data-dir").arg(scene.data());
    command.args(["--api-port", &scene.api_port.to_string()]);
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned())
}

#[test]
fn test_runs_are_begun_and_followed_and_the_stock_command_line_shows_them() {
    let scene = scene();
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let api = server.api();
    let pipeline = api.json("POST", "/pipelines", &json!({ "name": "books" }));
    let (passing, failing) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    commit(passing.path(), PASSES);
    commit(failing.path(), FAILS);
    let (code, said) = ci_run(&scene, passing.path(), &[]);
    assert_eq!(code, Some(0), "{said}");
    let order = ["-----> test-setup", "the fixtures are made", "all 12 tests pass", "#1 shiny:"];
    let places: Vec<_> = order.iter().map(|text| said.find(text)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}: {said}");
    assert!(said.trim_end().ends_with("succeeded"), "{said}");
    let (code, said) = ci_run(&scene, failing.path(), &[]);
    assert_eq!(code, Some(7), "{said}");
    assert!(said.contains("test 7 is not ok") && said.trim_end().ends_with("failed"), "{said}");
    let (code, said) = ci_run(&scene, passing.path(), &["--json"]);
    let told: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    assert_eq!((code, &told["number"], &told["exit_code"]), (Some(0), &json!(3), &json!(0)));
    let names = api.get("/apps");
    assert_eq!(names.as_array().map(Vec::len), Some(1), "{names}");
    let checks = Checks::new(Cli::new(&mut server));
    checks.holds("ci -p books", &["3 shiny", "2 shiny", "1 shiny", "succeeded", "failed"]);
    checks.holds("ci:info 1 -p books", &["the fixtures are made", "all 12 tests pass", "✓ #1"]);
    let failed = checks.refused("ci:info 2 -p books", &["test 7 is not ok", "✗ #2 shiny:"]);
    assert!(!failed.contains("all 12 tests pass"), "{failed}");
    checks.holds("ci:last -p books", &["all 12 tests pass", "✓ #3 shiny:", "succeeded"]);
    checks.refused("ci:info 4 -p books", &["Couldn't find that test run"]);
    assert_eq!(checks.cli.run(&["ci:info", "2", "-p", "books"]).code, Some(7));
    checks.done();
    let id = pipeline["id"].as_str().unwrap();
    api.json("DELETE", &format!("/pipelines/{id}"), &Value::Null);
}
