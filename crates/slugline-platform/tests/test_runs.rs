//! Test runs of pipelines, in one process.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use serde_json::{Value, json};
use slugline_model::dyno::{DynoSpec, Event};
use support::{Script, TestPlatform};

const APP_JSON: &str = r#"{
    "scripts": { "postdeploy": "never" },
    "formation": { "web": { "quantity": 3 } },
    "environments": { "test": {
        "env": { "PLAIN": "test", "KEY": "of the file" },
        "addons": ["postgres:dev"],
        "formation": { "test": { "size": "standard-2x" } },
        "scripts": { "test-setup": "bin/fixtures", "test": "bin/check" }
    } }
}"#;

impl TestPlatform {
    async fn pipeline(&self) -> String {
        let pipeline = self.ok("POST", "/pipelines", json!({ "name": "books" })).await;
        pipeline["id"].as_str().unwrap().to_owned()
    }

    /// Asks for a run.
    async fn begin_run(&self, app_json: Option<&str>) -> Value {
        let body = json!({
            "pipeline": "books", "commit_branch": "main", "commit_message": "Shine",
            "commit_sha": "0123456789abcdef", "source_blob_url": self.uploaded(app_json).await,
        });
        self.ok("POST", "/test-runs", body).await
    }

    async fn run(&self, run: &Value) -> Value {
        self.get(&format!("/test-runs/{}", run["id"].as_str().unwrap())).await
    }

    async fn node(&self, run: &Value) -> Value {
        self.get(&format!("/test-runs/{}/test-nodes", run["id"].as_str().unwrap())).await[0].take()
    }

    async fn until_status(&self, run: &Value, status: &str) {
        self.until(async || self.run(run).await["status"] == status).await;
    }

    /// The dyno of the one run that tests.
    async fn testing(&self) -> DynoSpec {
        let found = || {
            let running = self.engine.running.lock().unwrap();
            running.values().find(|spec| spec.env.contains_key("CI") && spec.release > 0).cloned()
        };
        self.until(async || found().is_some()).await;
        found().unwrap()
    }

    /// Has the dyno set up, test and end, as its scripts would.
    fn play(&self, spec: &DynoSpec, code: i32) {
        let marker = spec.command.split("echo ").nth(1).unwrap().split(' ').next().unwrap();
        for text in ["fixtures", &format!("{marker} 0"), "1 of 1"] {
            self.engine.emit(spec.id, Event::Line { text: text.to_owned(), partial: false });
        }
        self.crash(spec.id, code);
    }

    async fn told(&self, url: &Value) -> String {
        let url = url.as_str().unwrap();
        assert!(url.starts_with("https://"), "{url}");
        self.stream(&json!(url), &[]).await.2
    }

    /// Whether nothing is left of runs but what is kept of them.
    async fn until_gone(&self) {
        let db = rusqlite::Connection::open(self.data.path().join("state.sqlite3")).unwrap();
        let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        self.until(async || count("SELECT count(*) FROM app") == 0).await;
        self.until(async || self.engine.running.lock().unwrap().is_empty()).await;
        self.until(async || count("SELECT count(*) FROM add_on") == 0).await;
    }
}

#[tokio::test]
async fn a_source_is_built_and_tested_and_nothing_of_its_app_stays() {
    let test = TestPlatform::new().await;
    let id = test.pipeline().await;
    let vars = format!("/pipelines/{id}/stage/test/config-vars");
    test.ok("PATCH", &vars, json!({ "KEY": "of the pipeline" })).await;
    let run = test.begin_run(Some(APP_JSON)).await;
    assert_eq!((&run["number"], &run["status"]), (&json!(1), &json!("pending")));
    let spec = test.testing().await;
    let running = test.run(&run).await;
    assert_eq!(
        (&running["status"], &running["dyno"]["size"]),
        (&json!("running"), &json!("Standard-2X"))
    );
    assert_eq!(spec.resources.memory, 1 << 30, "as app.json asks");
    assert_eq!(test.get("/apps").await, json!([]));
    assert!(spec.command.contains("'bin/fixtures'") && spec.command.contains("'bin/check'"));
    let env = |name: &str| spec.env[name].as_str();
    assert_eq!((env("KEY"), env("PLAIN"), env("CI")), ("of the pipeline", "test", "true"));
    assert_eq!(env("HEROKU_TEST_RUN_BRANCH"), "main");
    assert!(spec.env.contains_key("DATABASE_URL"));
    assert_eq!(test.engine.running.lock().unwrap().len(), 1, "nothing of it is served");
    test.play(&spec, 0);
    test.until_status(&run, "succeeded").await;
    let node = test.node(&run).await;
    assert_eq!((&node["exit_code"], &node["status"]), (&json!(0), &json!("succeeded")));
    let setup = test.told(&node["setup_stream_url"]).await;
    assert!(setup.contains("-----> Compiling\n") && setup.ends_with("fixtures\n"), "{setup}");
    assert_eq!(test.told(&node["output_stream_url"]).await, "1 of 1\n");
    test.until_gone().await;
    let second = test.begin_run(Some(APP_JSON)).await;
    let spec = test.testing().await;
    test.play(&spec, 4);
    test.until_status(&second, "failed").await;
    assert_eq!(test.node(&second).await["exit_code"], 4);
    let listed = test.get(&format!("/pipelines/{id}/test-runs")).await;
    assert_eq!((&listed[0]["number"], &listed[1]["number"]), (&json!(1), &json!(2)));
    let by_number = test.get(&format!("/pipelines/{id}/test-runs/2")).await;
    assert_eq!(by_number["id"], second["id"]);
}

#[tokio::test]
async fn a_run_without_a_verdict_says_why() {
    let test = TestPlatform::new().await;
    test.pipeline().await;
    let run = test.begin_run(Some(r#"{ "env": { "KEY": { "description": "x" } } }"#)).await;
    test.until_status(&run, "errored").await;
    let node = test.node(&run).await;
    assert!(test.told(&node["setup_stream_url"]).await.contains("KEY needs a value"));
    assert_eq!((&node["error_status"], &node["exit_code"]), (&json!("building"), &json!(1)));
    *test.engine.script.lock().unwrap() = Script { build_status: 1, release_phase_status: 0 };
    let run = test.begin_run(None).await;
    test.until_status(&run, "errored").await;
    assert_eq!(test.run(&run).await["message"], "The build failed; its output says why.");
    let setup = test.told(&test.node(&run).await["setup_stream_url"]).await;
    assert!(setup.contains("No test was run."), "{setup}");
    test.until_gone().await;
    let body = json!({
        "pipeline": "books", "commit_branch": "main", "commit_message": "x", "commit_sha": "0",
        "source_blob_url": "https://elsewhere.example/source.tgz",
    });
    let (status, answer) = test.call("POST", "/test-runs", body).await;
    assert!(status.as_u16() == 422 && answer["message"].as_str().unwrap().contains("uploaded"));
}

#[tokio::test]
async fn a_run_is_canceled_in_its_build_and_in_its_tests() {
    let test = TestPlatform::new().await;
    test.pipeline().await;
    let cancel = json!({ "status": "cancelled", "message": "Not now." });
    *test.engine.builds_hang.lock().unwrap() = true;
    let run = test.begin_run(Some(APP_JSON)).await;
    test.until(async || test.engine.running.lock().unwrap().len() == 1).await;
    let path = format!("/test-runs/{}", run["id"].as_str().unwrap());
    let (status, _) = test.call("PATCH", &path, json!({ "status": "succeeded" })).await;
    assert_eq!(status.as_u16(), 422);
    assert_eq!(test.ok("PATCH", &path, cancel.clone()).await["status"], "cancelled");
    test.until_gone().await;
    *test.engine.builds_hang.lock().unwrap() = false;
    let run = test.begin_run(Some(APP_JSON)).await;
    test.testing().await;
    let path = format!("/test-runs/{}", run["id"].as_str().unwrap());
    test.ok("PATCH", &path, cancel.clone()).await;
    test.until_gone().await;
    let run = test.run(&run).await;
    assert_eq!((&run["status"], &run["message"]), (&json!("cancelled"), &json!("Not now.")));
    assert_eq!(test.call("PATCH", &path, cancel).await.0.as_u16(), 422);
}

#[tokio::test]
async fn runs_go_with_their_pipeline() {
    let test = TestPlatform::new().await;
    let id = test.pipeline().await;
    let run = test.begin_run(Some(APP_JSON)).await;
    test.testing().await;
    test.ok("DELETE", &format!("/pipelines/{id}"), json!({})).await;
    test.until_gone().await;
    let path = format!("/test-runs/{}", run["id"].as_str().unwrap());
    assert_eq!(test.call("GET", &path, json!({})).await.0.as_u16(), 404);
}

#[tokio::test]
async fn what_a_killed_server_was_testing_comes_to_no_verdict_and_leaves_no_app() {
    let test = TestPlatform::new().await;
    test.pipeline().await;
    let run = test.begin_run(Some(APP_JSON)).await;
    test.testing().await;
    let next = test.another_server().await;
    let told = next.run(&run).await;
    assert_eq!((&told["status"], &told["number"]), (&json!("errored"), &json!(1)));
    assert_eq!(told["message"], "The server was stopped meanwhile.");
    next.until_gone().await;
    let node = next.node(&run).await;
    assert_eq!(node["error_status"], "running");
    assert!(next.told(&node["output_stream_url"]).await.contains("was stopped meanwhile"));
}
