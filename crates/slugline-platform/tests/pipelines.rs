//! Pipelines, in one process: the same slug from app to app, with config vars of each one's own.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use serde_json::{Value, json};
use support::{Script, TestPlatform};

impl TestPlatform {
    /// A pipeline of the app that was built, and of one behind it.
    async fn pipeline(&self) -> String {
        self.ok("POST", "/apps", json!({ "name": "shelf" })).await;
        let pipeline = self.ok("POST", "/pipelines", json!({ "name": "books" })).await;
        let id = pipeline["id"].as_str().unwrap().to_owned();
        for (app, stage) in [("library", "staging"), ("shelf", "production")] {
            let coupling = json!({ "app": { "name": app }, "pipeline": id, "stage": stage });
            self.ok("POST", "/pipeline-couplings", coupling).await;
        }
        id
    }

    async fn promote(&self, pipeline: &str) -> (u16, Value) {
        let source = self.get("/apps/library").await["id"].clone();
        let target = self.get("/apps/shelf").await["id"].clone();
        let body = json!({
            "pipeline": { "id": pipeline },
            "source": { "app": { "id": source } },
            "targets": [{ "app": { "id": target } }],
        });
        let (status, body) = self.call("POST", "/pipeline-promotions", body).await;
        (status.as_u16(), body)
    }

    async fn target(&self, promotion: &Value) -> Value {
        let id = promotion["id"].as_str().unwrap();
        self.get(&format!("/pipeline-promotions/{id}/promotion-targets")).await[0].clone()
    }
}

#[tokio::test]
async fn a_promotion_releases_the_same_slug_with_the_targets_own_config_vars() {
    let test = TestPlatform::with_app().await;
    let pipeline = test.pipeline().await;
    test.ok("PATCH", "/apps/library/config-vars", json!({ "A": "staging" })).await;
    test.ok("PATCH", "/apps/shelf/config-vars", json!({ "A": "production" })).await;
    let (status, promotion) = test.promote(&pipeline).await;
    assert_eq!((status, &promotion["status"]), (201, &json!("completed")));
    let target = test.target(&promotion).await;
    assert_eq!((&target["status"], &target["error_message"]), (&json!("succeeded"), &json!(null)));
    let release = test.get("/apps/shelf/releases/2").await;
    assert_eq!(release["id"], target["release"]["id"]);
    assert_eq!(release["description"], "Promote library v2 01234567");
    let slug = async |app: &str, release: &Value| {
        let id = release["slug"]["id"].as_str().unwrap();
        test.get(&format!("/apps/{app}/slugs/{id}")).await
    };
    let theirs = slug("library", &test.get("/apps/library/releases/2").await).await;
    let ours = slug("shelf", &release).await;
    for same in ["checksum", "commit", "process_types"] {
        assert_eq!(ours[same], theirs[same], "{same}");
    }
    test.until(async || {
        let running = test.engine.running.lock().unwrap();
        running.values().any(|spec| spec.app.as_str() == "shelf" && spec.env["A"] == "production")
    })
    .await;
    // The one goes without the other.
    test.ok("DELETE", "/apps/library", json!({})).await;
    assert_eq!(test.get("/apps/shelf/releases/2").await["status"], "succeeded");
    let couplings = test.get(&format!("/pipelines/{pipeline}/pipeline-couplings")).await;
    assert_eq!(couplings.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_promotion_whose_release_phase_fails_leaves_the_target_as_it_was() {
    let test = TestPlatform::with_app().await;
    *test.engine.procfile.lock().unwrap() = "web: serve\nrelease: migrate".into();
    assert_eq!(test.build().await["status"], "succeeded");
    let pipeline = test.pipeline().await;
    *test.engine.script.lock().unwrap() = Script { build_status: 0, release_phase_status: 1 };
    let (_, promotion) = test.promote(&pipeline).await;
    test.until(async || test.target(&promotion).await["status"] == "failed").await;
    let target = test.target(&promotion).await;
    assert_eq!(target["error_message"], "The release command failed.");
    assert_eq!(test.get("/apps/shelf/dynos").await, json!([]));
}

#[tokio::test]
async fn what_cannot_be_promoted_is_said() {
    let test = TestPlatform::with_app().await;
    let pipeline = test.pipeline().await;
    let taken = json!({ "app": "library", "pipeline": pipeline, "stage": "review" });
    let (status, body) = test.call("POST", "/pipeline-couplings", taken).await;
    assert_eq!(status.as_u16(), 422, "{body}");
    for bad in [json!({ "name": "books" }), json!({ "name": "Books" }), json!({})] {
        assert_eq!(test.call("POST", "/pipelines", bad).await.0.as_u16(), 422);
    }
    let coupling = test.get("/apps/library/pipeline-couplings").await;
    let path = format!("/pipeline-couplings/{}", coupling["id"].as_str().unwrap());
    let stage = json!({ "stage": "live" });
    assert_eq!(test.call("PATCH", &path, stage).await.0.as_u16(), 422);
    test.ok("DELETE", &path, json!({})).await;
    let (status, body) = test.promote(&pipeline).await;
    assert_eq!(status, 422);
    assert!(body["message"].as_str().unwrap().contains("library is not in the pipeline books"));
    let (status, _) = test.call("GET", "/apps/library/pipeline-couplings", json!({})).await;
    assert_eq!(status.as_u16(), 404);
    let vars = format!("/pipelines/{pipeline}/stage/production/config-vars");
    assert_eq!(test.call("GET", &vars, json!({})).await.0.as_u16(), 422);
    let found = test.get("/pipelines?eq[name]=books").await;
    assert_eq!(found[0]["id"], pipeline.as_str());
    assert_eq!(test.get("/pipelines?eq[name]=other").await, json!([]));
}
