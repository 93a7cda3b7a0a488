//! Webhooks, in one process: what is told, signed, and told again.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use serde_json::{Value, json};
use support::TestPlatform;

const WEBHOOKS: &str = "/apps/library/webhooks";
const DELIVERIES: &str = "/apps/library/webhook-deliveries";

impl TestPlatform {
    async fn hear(&self, include: Value, level: &str) -> Value {
        let url = "https://hooks.example.test/in";
        let body = json!({
            "include": include, "level": level, "url": url, "secret": "s3", "authorization": "Bearer x",
        });
        self.ok("POST", WEBHOOKS, body).await
    }

    /// What was told so far: resource and action, and whether it was signed.
    fn told(&self) -> Vec<(String, String)> {
        let posted = self.posted.lock().unwrap();
        let bodies = posted.requests.iter().map(|request| {
            let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["Heroku-Webhook-Hmac-SHA256", "Authorization"]);
            let body: Value = serde_json::from_str(&request.body).unwrap();
            // What no request asked for, the server did itself.
            let actor = body["actor"]["email"].as_str().unwrap();
            assert!(["owner@localhost", "slugline"].contains(&actor), "{actor}");
            let text = |name: &str| body[name].as_str().unwrap().to_owned();
            (text("resource"), text("action"))
        });
        bodies.collect()
    }

    async fn delivery(&self) -> Value {
        self.get(DELIVERIES).await[0].clone()
    }

    /// What is to be sent later is to be sent now.
    fn hurry(&self) {
        let db = rusqlite::Connection::open(self.data.path().join("state.sqlite3")).unwrap();
        db.execute("UPDATE app_webhook_delivery SET next_at = 0 WHERE next_at IS NOT NULL", [])
            .unwrap();
    }
}

#[tokio::test]
async fn who_wants_to_hear_of_it_is_told_what_happens() {
    let test = TestPlatform::with_app().await;
    test.hear(json!(["api:release", "api:formation", "api:domain"]), "notify").await;
    test.ok("PATCH", "/apps/library/config-vars", json!({ "A": "1" })).await;
    test.ok("PATCH", "/apps/library/formation/worker", json!({ "quantity": 1 })).await;
    test.ok("POST", "/apps/library/domains", json!({ "hostname": "www.example.test" })).await;
    test.ok("PATCH", "/apps/library", json!({ "maintenance": true })).await;
    test.until(async || test.told().len() == 3).await;
    let told = |resource: &str, action: &str| (resource.to_owned(), action.to_owned());
    let mut all = test.told();
    all.sort();
    let expected =
        [told("domain", "create"), told("formation", "update"), told("release", "create")];
    assert_eq!(all, expected);
    let posted = test.posted.lock().unwrap().requests.clone();
    let release = posted.iter().find(|request| request.body.contains("\"resource\":\"release\""));
    let body: Value = serde_json::from_str(&release.unwrap().body).unwrap();
    assert_eq!(body["data"]["description"], "Set A config vars");
    assert_eq!(body["webhook_metadata"]["event"]["include"], "api:release");
    let events = test.get("/apps/library/webhook-events").await;
    assert_eq!(events.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn dynos_and_builds_are_told_from_their_begin_to_their_end() {
    let test = TestPlatform::with_app().await;
    test.hear(json!(["api:dyno", "api:build"]), "notify").await;
    assert_eq!(test.build().await["status"], "succeeded");
    let old = test.started("web.1", 1).await;
    let new = test.started_beside("web.1", old).await;
    test.engine.emit(new, slugline_model::dyno::Event::Up);
    let has = |resource: &str, action: &str| {
        test.told().contains(&(resource.to_owned(), action.to_owned()))
    };
    for (resource, action) in [
        ("build", "create"),
        ("build", "update"),
        ("dyno", "create"),
        ("dyno", "update"),
        ("dyno", "destroy"),
    ] {
        test.until(async || has(resource, action)).await;
    }
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_where_that_is_wanted_also_by_the_next_server() {
    let test = TestPlatform::with_app().await;
    test.hear(json!(["api:release"]), "sync").await;
    test.posted.lock().unwrap().answers = vec![Ok(500), Err("it is not connected".into())];
    test.ok("PATCH", "/apps/library/config-vars", json!({ "A": "1" })).await;
    test.until(async || test.delivery().await["num_attempts"] == 1).await;
    let delivery = test.delivery().await;
    assert_eq!(
        (&delivery["status"], &delivery["last_attempt"]["code"]),
        (&json!("retrying"), &json!(500))
    );
    assert!(delivery["next_attempt_at"].is_string());
    test.hurry();
    let next = test.another_server().await;
    next.until(async || next.delivery().await["status"] == "succeeded").await;
    assert_eq!(next.delivery().await["num_attempts"], 2);
}

#[tokio::test]
async fn a_clock_that_is_put_back_keeps_no_webhook_waiting() {
    let test = TestPlatform::with_app().await;
    test.hear(json!(["api:release"]), "sync").await;
    test.posted.lock().unwrap().answers = vec![Ok(500)];
    test.ok("PATCH", "/apps/library/config-vars", json!({ "A": "1" })).await;
    test.until(async || test.delivery().await["num_attempts"] == 1).await;
    // As it stands where the clock was two days ahead.
    let db = rusqlite::Connection::open(test.data.path().join("state.sqlite3")).unwrap();
    let ahead = "next_at = next_at + 172800000000, updated_at = updated_at + 172800000000";
    assert_eq!(db.execute(&format!("UPDATE app_webhook_delivery SET {ahead}"), []), Ok(1));
    let next = test.another_server().await;
    next.until(async || next.delivery().await["status"] == "succeeded").await;
    assert_eq!(next.delivery().await["num_attempts"], 2);
}

#[tokio::test]
async fn what_is_only_notified_is_sent_once() {
    let test = TestPlatform::with_app().await;
    test.hear(json!(["api:release"]), "notify").await;
    test.posted.lock().unwrap().answers = vec![Err("it is not connected".into())];
    test.ok("PATCH", "/apps/library/config-vars", json!({ "A": "1" })).await;
    test.until(async || test.delivery().await["status"] == "failed").await;
    let delivery = test.delivery().await;
    assert_eq!(delivery["last_attempt"]["error_class"], "it is not connected");
    assert_eq!(delivery["next_attempt_at"], json!(null));
    let failed = test.get(&format!("{DELIVERIES}?eq[status]=failed")).await;
    assert_eq!(failed.as_array().unwrap().len(), 1);
    let succeeded = test.get(&format!("{DELIVERIES}?eq[status]=succeeded")).await;
    assert_eq!(succeeded, json!([]));
}

#[tokio::test]
async fn webhooks_that_cannot_be_are_refused() {
    let test = TestPlatform::with_app().await;
    let url = "https://hooks.example.test/";
    for (body, says) in [
        (json!({ "include": ["api:moon"], "level": "sync", "url": url }), "`api:moon`"),
        (json!({ "include": [], "level": "sync", "url": url }), "names nothing"),
        (json!({ "include": ["api:app"], "level": "often", "url": url }), "`often`"),
        (json!({ "include": ["api:app"], "level": "sync", "url": "ftp://x" }), "`ftp://x`"),
        (
            json!({ "include": ["api:app"], "level": "sync", "url": "http://0x7f.1/" }),
            "`http://0x7f.1/`",
        ),
    ] {
        let (status, answer) = test.call("POST", WEBHOOKS, body).await;
        let message = answer["message"].as_str().unwrap();
        assert!(status.as_u16() == 422 && message.contains(says), "{message}");
    }
    for _ in 0..10 {
        test.hear(json!(["api:app"]), "notify").await;
    }
    let more = json!({ "include": ["api:app"], "level": "notify", "url": url });
    assert_eq!(test.call("POST", WEBHOOKS, more).await.0.as_u16(), 422);
}
