//! Test runs: begun by our command, shown by the stock command line.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::checks::Checks;
use crate::scene;
use crate::support::account::{Account, run};
use crate::support::cli::Cli;
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::serving::Serving;
use crate::support::{trace, wait_for};

const PATIENCE: Duration = Duration::from_mins(1);

const STOPPED: &str = "The server was stopped meanwhile.";

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

/// A program in a directory.
fn write_script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

/// A repository whose tests are this script.
fn commit(directory: &Path, check: &str) {
    std::fs::write(directory.join("Procfile"), "web: exit 1\nrelease: exit 1\n").unwrap();
    std::fs::write(directory.join("app.json"), APP_JSON).unwrap();
    write_script(&directory.join("check"), check);
    let git = |args: &[&str]| {
        let person = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
        run(Command::new("git").arg("-C").arg(directory).args(person).args(args))
    };
    git(&["init", "-q", "-b", "shiny"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "Shine"]);
}

fn ci_command(scene: &Scene, directory: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(scene.program());
    command.arg("ci:run").arg(directory).args(["-p", "books"]).args(more);
    command.arg("--data-dir").arg(scene.data());
    command.args(["--api-port", &scene.api_port.to_string()]);
    command
}

/// `slugline ci:run` of a directory: its exit code, and all that it says.
fn ci_run(scene: &Scene, directory: &Path, more: &[&str]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = ci_command(scene, directory, more).output().unwrap();
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

/// A buildpack that only a build for tests does anything with, and whose own script tests.
const BUILDPACK: [(&str, &str); 4] = [
    ("detect", "#!/bin/bash\necho Owls\n"),
    ("compile", "#!/bin/bash\nexit 1\n"),
    ("test-compile", "#!/bin/bash\necho made > \"$1/made\"\n"),
    (
        "test",
        "#!/bin/bash\ncat \"$1/made\" || exit 8\n[[ $(< \"$2/CI\") == true ]] || exit 9\n\
         echo the owls are well\n",
    ),
];

#[test]
fn a_buildpacks_own_tests_run_and_one_that_a_killed_server_ran_has_no_verdict() {
    let scene = Scene::new(&Account::all()[0], "owl");
    let mut serving = Serving::start(&scene);
    let api = serving.api();
    api.json("POST", "/pipelines", &json!({ "name": "books" }));
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in BUILDPACK {
        write_script(&directory.path().join("bin").join(name), text);
    }
    std::fs::write(directory.path().join("Procfile"), "web: exit 1\n").unwrap();
    let (code, said) = ci_run(&scene, directory.path(), &[]);
    assert!(code == Some(0) && said.contains("made\nthe owls are well"), "{code:?}: {said}");
    let endless = tempfile::tempdir().unwrap();
    commit(endless.path(), "#!/bin/bash\necho begun\nsleep 600\n");
    let mut command = ci_command(&scene, endless.path(), &[]);
    let child = command.stdout(Stdio::piped()).spawn().unwrap();
    let run = || api.get("/pipelines/books/test-runs")[1].clone();
    wait_for("the tests", PATIENCE, || (run()["status"] == "running").then_some(()));
    let are_there = || !trace::dyno_directories(&scene.data()).is_empty();
    wait_for("their dyno", PATIENCE, || are_there().then_some(()));
    serving.kill();
    serving = Serving::start(&scene);
    // Whoever follows it comes back.
    let said = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.code() == Some(1) && text.contains(STOPPED), "{said:?}");
    let run = run();
    assert_eq!((&run["status"], &run["message"]), (&json!("errored"), &json!(STOPPED)), "{run}");
    assert_eq!(api.get("/apps"), json!([]));
    wait_for("the dyno's end", PATIENCE, || (!are_there()).then_some(()));
    serving.stop();
    trace::assert_none(&scene.data());
}
