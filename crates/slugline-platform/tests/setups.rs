//! Apps that are set up from a source, and review apps, in one process.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use serde_json::{Value, json};
use support::{Script, TestPlatform};

const APP_JSON: &str = r#"{
    "env": { "SECRET": { "generator": "secret" }, "PLAIN": "text" },
    "formation": { "worker": { "quantity": 2 } },
    "addons": [{ "plan": "postgres:big", "as": "MAIN" }],
    "scripts": { "postdeploy": "bin/seed" },
    "success_url": "/welcome",
    "environments": { "review": { "addons": [], "env": { "PLAIN": "review" } } }
}"#;

impl TestPlatform {
    async fn set_up(&self, app_json: &str, env: Value) -> Value {
        let body = json!({
            "source_blob": { "url": self.uploaded(Some(app_json)).await },
            "app": { "name": "owl" },
            "overrides": { "env": env },
        });
        let setup = self.ok("POST", "/app-setups", body).await;
        let path = format!("/app-setups/{}", setup["id"].as_str().unwrap());
        self.until(async || {
            self.end_script();
            self.get(&path).await["status"] != "pending"
        })
        .await;
        self.get(&path).await
    }

    /// Ends the postdeploy script, where one runs.
    fn end_script(&self) {
        let running = self.engine.running.lock().unwrap().clone();
        for spec in running.values().filter(|spec| spec.command == "bin/seed") {
            self.crash(spec.id, self.engine.script.lock().unwrap().release_phase_status);
        }
    }
}

#[tokio::test]
async fn an_app_is_set_up_as_its_source_says() {
    let test = TestPlatform::new().await;
    let setup = test.set_up(APP_JSON, json!({ "GIVEN": "1" })).await;
    assert_eq!((&setup["status"], &setup["failure_message"]), (&json!("succeeded"), &json!(null)));
    assert_eq!(setup["postdeploy"]["exit_code"], 0);
    assert_eq!(setup["build"]["status"], "succeeded");
    let success = setup["resolved_success_url"].as_str().unwrap();
    assert_eq!(success, "http://owl.localhost:5080/welcome");
    let vars = test.get("/apps/owl/config-vars").await;
    assert_eq!((&vars["PLAIN"], &vars["GIVEN"]), (&json!("text"), &json!("1")));
    assert_eq!(vars["SECRET"].as_str().unwrap().len(), 64);
    assert_eq!(vars["MAIN_URL"], "postgres://db.example/owl-big");
    assert_eq!(test.get("/apps/owl/formation/worker").await["quantity"], 2);
}

#[tokio::test]
async fn what_cannot_be_set_up_says_why() {
    let test = TestPlatform::new().await;
    let needs = r#"{ "env": { "KEY": { "description": "x" } } }"#;
    let setup = test.set_up(needs, json!({})).await;
    assert_eq!(setup["status"], "failed");
    assert!(setup["manifest_errors"][0].as_str().unwrap().contains("KEY needs a value"));
    test.ok("DELETE", "/apps/owl", json!({})).await;
    let setup = test.set_up(r#"{ "addons": ["redis"] }"#, json!({})).await;
    assert!(setup["failure_message"].as_str().unwrap().contains("no service is called `redis`"));
    test.ok("DELETE", "/apps/owl", json!({})).await;
    *test.engine.script.lock().unwrap() = Script { build_status: 0, release_phase_status: 3 };
    let setup = test.set_up(APP_JSON, json!({})).await;
    assert_eq!(setup["failure_message"], "The postdeploy script failed.");
    assert_eq!(setup["postdeploy"]["exit_code"], 3);
    test.ok("DELETE", "/apps/owl", json!({})).await;
    *test.engine.script.lock().unwrap() = Script { build_status: 1, release_phase_status: 0 };
    let setup = test.set_up(APP_JSON, json!({})).await;
    assert_eq!(setup["build"]["status"], "failed");
    assert!(setup["failure_message"].as_str().unwrap().contains("The build failed"));
}

#[tokio::test]
async fn a_review_app_has_the_pipelines_config_vars_and_goes_with_its_review() {
    let test = TestPlatform::new().await;
    let pipeline = test.ok("POST", "/pipelines", json!({ "name": "books" })).await;
    let id = pipeline["id"].as_str().unwrap();
    let mut body = json!({
        "branch": "shiny", "pipeline": id, "pr_number": 3,
        "source_blob": { "url": test.uploaded(Some(APP_JSON)).await },
    });
    let (status, answer) = test.call("POST", "/review-apps", body.clone()).await;
    assert_eq!((status.as_u16(), &answer["resource"]), (404, &json!("review_app_config")));
    let config = format!("/pipelines/{id}/review-app-config");
    test.ok("POST", &config, json!({ "repo": "x/y", "base_name": "reviews" })).await;
    let vars = format!("/pipelines/{id}/stage/review/config-vars");
    test.ok("PATCH", &vars, json!({ "KEY": "of the pipeline" })).await;
    let review = test.ok("POST", "/review-apps", body.clone()).await;
    assert_eq!(review["status"], "creating");
    let path = format!("/review-apps/{}", review["id"].as_str().unwrap());
    test.until(async || {
        test.end_script();
        test.get(&path).await["status"] == "created"
    })
    .await;
    let vars = test.get("/apps/reviews-pr-3/config-vars").await;
    assert_eq!((&vars["KEY"], &vars["PLAIN"]), (&json!("of the pipeline"), &json!("review")));
    assert_eq!(test.get("/apps/reviews-pr-3/pipeline-couplings").await["stage"], "review");
    assert_eq!(test.get("/apps/reviews-pr-3/addons").await, json!([]));
    test.ok("DELETE", &path, json!({})).await;
    assert_eq!(test.get(&path).await["status"], "deleted");
    assert_eq!(test.call("GET", "/apps/reviews-pr-3", json!({})).await.0.as_u16(), 404);
    body["source_blob"] = json!({ "url": "resolve" });
    let (status, answer) = test.call("POST", "/review-apps", body).await;
    assert!(status.as_u16() == 422 && answer["message"].as_str().unwrap().contains("Upload"));
}
