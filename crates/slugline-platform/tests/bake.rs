//! Releases of the current slug and files of a dyno.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use serde_json::{Value, json};
use support::TestPlatform;

const BAKE: &str = "/apps/library/dynos/web.1/bake";

/// An app whose web dyno runs a slug.
async fn running() -> TestPlatform {
    let test = TestPlatform::with_app().await;
    let build = test.build().await;
    assert_eq!(build["status"], "succeeded", "{build}");
    test.started("web.1", 2).await;
    test
}

async fn refused(test: &TestPlatform, path: &str, body: Value) -> String {
    let before = test.get("/apps/library/releases").await;
    let (status, answer) = test.call("POST", path, body).await;
    assert!(status.is_client_error(), "{status}: {answer}");
    assert_eq!(test.get("/apps/library/releases").await, before, "nothing is released");
    answer["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn files_of_a_dyno_become_part_of_a_release() {
    let test = running().await;
    let baked = test.ok("POST", BAKE, json!({ "paths": ["static/CACHE"] })).await;
    assert_eq!(baked["release"]["version"], 3, "{baked}");
    assert_eq!(baked["release"]["description"], "Bake 1 file of web.1 (stopgap)");
    assert_eq!((&baked["files"], &baked["stopgap"]), (&json!(1), &json!(true)));
    assert_eq!(baked["properly"][0]["advice"]["paste"], "python manage.py compress");
    let slug = test
        .get(&format!("/apps/library/slugs/{}", baked["release"]["slug"]["id"].as_str().unwrap()))
        .await;
    assert_eq!(slug["size"], 15, "{slug}");
    test.started("web.1", 3).await;
}

#[tokio::test]
async fn what_cannot_be_baked_releases_nothing() {
    let test = running().await;
    let why = refused(&test, BAKE, json!({ "paths": ["media"] })).await;
    assert_eq!(why, "web.1 has written nothing at /app/media");
    let why = refused(&test, BAKE, json!({ "paths": ["/etc/passwd"] })).await;
    assert!(why.contains("is not below /app"), "{why}");
    let why = refused(&test, BAKE, json!({ "paths": [] })).await;
    assert!(why.contains("no path is named"), "{why}");
    let why = refused(&test, BAKE, json!({ "path": "a" })).await;
    assert!(why.contains("list of paths"), "{why}");
    let none = "/apps/library/dynos/web.9/bake";
    let why = refused(&test, none, json!({ "paths": ["a"] })).await;
    assert!(why.contains("find that dyno"), "{why}");
}
