//! Slugs that come by the Platform API, as Heroku has it: announced, uploaded, released.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use support::TestPlatform;
use tower::ServiceExt as _;

/// What the URL of a slug's blob answers.
async fn blob(test: &TestPlatform, slug: &Value, method: &str, body: &str) -> (u16, String) {
    let url = slug["blob"]["url"].as_str().unwrap();
    let path = &url[url.find("/slugs").unwrap()..];
    let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned()));
    let response = test.platform.api().oneshot(request.unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn announced(test: &TestPlatform) -> Value {
    let body = json!({
        "process_types": { "web": "./serve", "worker": "./work" },
        "checksum": format!("SHA256:{}", "05".repeat(32)),
        "commit": "60883d9e8947a57e04dc9124f25df004866a2051",
        "commit_description": "fixed a bug",
        "stack": "heroku-24",
    });
    test.ok("POST", "/apps/library/slugs", body).await
}

#[tokio::test]
async fn a_slug_is_announced_uploaded_and_released() {
    let test = TestPlatform::with_app().await;
    let slug = announced(&test).await;
    assert_eq!(slug["blob"]["method"], "PUT");
    assert_eq!(slug["size"], Value::Null);
    let path = format!("/apps/library/slugs/{}", slug["id"].as_str().unwrap());
    assert_eq!(test.get(&path).await, slug);
    let release = json!({ "slug": slug["id"] });
    let (status, early) = test.call("POST", "/apps/library/releases", release.clone()).await;
    assert_eq!(status, 422, "{early}");
    assert!(early["message"].as_str().unwrap().contains("has not been uploaded yet"), "{early}");

    assert_eq!(blob(&test, &slug, "PUT", "an archive").await.0, 200);
    let stored = test.get(&path).await;
    assert_eq!(stored["blob"]["method"], "GET");
    assert_eq!(stored["checksum"], slug["checksum"]);
    assert_eq!(stored["size"], 3);
    assert_eq!(stored["process_types"], slug["process_types"]);
    assert_eq!(stored["commit_description"], "fixed a bug");
    assert_eq!(blob(&test, &slug, "GET", "").await, (200, "an archive".to_owned()));
    let (status, again) = blob(&test, &slug, "PUT", "another").await;
    assert_eq!(status, 410, "{again}");
    let release = test.ok("POST", "/apps/library/releases", release).await;
    assert_eq!(release["slug"]["id"], slug["id"]);
    test.started("web.1", 2).await;
}

#[tokio::test]
async fn what_is_refused_can_be_uploaded_again() {
    let test = TestPlatform::with_app().await;
    let slug = announced(&test).await;
    let (status, refusal) = blob(&test, &slug, "PUT", "hostile").await;
    assert_eq!((status, refusal.contains("it is hostile")), (422, true), "{refusal}");
    assert_eq!(blob(&test, &slug, "GET", "").await.0, 422);
    assert_eq!(blob(&test, &slug, "PUT", "an archive").await.0, 200);
    let unknown = json!({ "blob": { "url": "/slugs/01234567-89ab-cdef-0123-456789abcdef" } });
    for method in ["GET", "PUT"] {
        assert_eq!(blob(&test, &unknown, method, "").await.0, 404);
    }
    for bad in [
        json!({}),
        json!({ "process_types": [] }),
        json!({ "process_types": { "web": 1 } }),
        json!({ "process_types": { "web/../x": "x" } }),
        json!({ "process_types": {}, "checksum": "MD5:1" }),
    ] {
        let (status, body) = test.call("POST", "/apps/library/slugs", bad.clone()).await;
        assert_eq!(status, 422, "{bad}: {body}");
    }
}

#[tokio::test]
async fn a_built_slug_has_the_checksum_of_its_archive_once_it_was_exported() {
    let test = TestPlatform::with_app().await;
    let id = test.get("/apps/library/releases/1").await["slug"]["id"].as_str().unwrap().to_owned();
    let path = format!("/apps/library/slugs/{id}");
    let slug = test.get(&path).await;
    assert!(slug["checksum"].as_str().unwrap().starts_with("BLAKE3:"), "{slug}");
    assert_eq!(blob(&test, &slug, "GET", "").await, (200, "an archive".to_owned()));
    test.until(async || test.get(&path).await["checksum"] == format!("SHA256:{}", "07".repeat(32)))
        .await;
}

/// What an answer of lines says.
async fn lines(test: &TestPlatform, path: &str, body: Value) -> Vec<Value> {
    let request = Request::builder().method("POST").uri(path);
    let request = request.header("Authorization", format!("Bearer {}", support::TOKEN));
    let request = request.body(Body::from(body.to_string())).unwrap();
    let response = test.platform.api().oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let told = String::from_utf8(body.to_vec()).unwrap();
    told.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn pushes_and_pulls_are_told_line_by_line() {
    let test = TestPlatform::with_app().await;
    let id = test.get("/apps/library/releases/1").await["slug"]["id"].as_str().unwrap().to_owned();
    let push = format!("/apps/library/slugs/{id}/actions/push");
    let asked = json!({ "reference": "localhost/library", "username": "me", "password": "secret" });
    let told = lines(&test, &push, asked.clone()).await;
    assert_eq!(told[0], json!({ "line": "app: 1B of 1B" }));
    assert_eq!(told[1], json!({ "done": { "digest": "sha256 of localhost/library" } }));
    let told = lines(&test, &push, json!({ "reference": "localhost/library" })).await;
    assert_eq!(told[1], json!({ "error": "it wants a login" }));

    let told = lines(&test, "/apps/library/slugs/actions/pull", asked).await;
    let slug = &told[0]["done"];
    assert_eq!(slug["commit_description"], "Pulled from localhost/library");
    let release = test.ok("POST", "/apps/library/releases", json!({ "slug": slug["id"] })).await;
    assert_eq!(release["version"], 2);
}
