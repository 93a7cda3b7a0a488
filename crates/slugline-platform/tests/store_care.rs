//! Which slugs are kept, what the store is asked to remove, and reading what is in a slug.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};
use slugline_model::limits::Limits;
use slugline_model::retention::Policy;
use support::{CONTENT, TOKEN, TestPlatform};
use tower::ServiceExt as _;

impl TestPlatform {
    async fn with_releases(policy: Policy, releases: usize) -> Self {
        let test = Self::with(Limits::default(), policy).await;
        test.ok("POST", "/apps", json!({ "name": "library" })).await;
        for _ in 0..releases {
            assert_eq!(test.build().await["status"], "succeeded");
        }
        test
    }

    async fn statuses(&self) -> Vec<String> {
        let releases = self.get("/apps/library/releases").await;
        let status = |release: &Value| release["status"].as_str().unwrap().to_owned();
        releases.as_array().unwrap().iter().map(status).collect()
    }

    /// An answer as bytes, with one of its headers.
    async fn bytes(
        &self,
        method: &str,
        path: &str,
        body: Value,
        header: &str,
    ) -> (Vec<u8>, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Authorization", format!("Bearer {TOKEN}"))
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.platform.api().oneshot(request).await.unwrap();
        let header = response.headers().get(header).map(|value| value.to_str().unwrap().to_owned());
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (body.to_vec(), header.unwrap_or_default())
    }
}

fn keep(releases: usize, quota: Option<u64>) -> Policy {
    Policy { releases, days: None, quota }
}

#[tokio::test]
async fn releases_beyond_the_policy_expire_and_cannot_be_rolled_back_to() {
    let test = TestPlatform::with_releases(keep(1, None), 4).await;
    test.until(async || test.statuses().await[..2] == ["expired", "expired"]).await;
    assert_eq!(test.statuses().await, ["expired", "expired", "succeeded", "succeeded"]);
    assert!(test.logged("Release v1 expired: its slug is no longer kept"));
    let release = test.get("/apps/library/releases/1").await;
    assert_eq!(release["eligible_for_rollback"], false);
    let (status, body) =
        test.call("POST", "/apps/library/releases", json!({ "release": "v1" })).await;
    assert_eq!(status.as_u16(), 422);
    let message = body["message"].as_str().unwrap();
    assert!(message.starts_with("v1 cannot be rolled back to: its slug has expired"), "{message}");
    let slug = release["slug"]["id"].as_str().unwrap();
    let (status, _) = test.call("POST", "/apps/library/releases", json!({ "slug": slug })).await;
    assert_eq!(status.as_u16(), 422);
    let (status, _) = test.call("GET", "/apps/library/slugs/v1/tree", json!({})).await;
    assert_eq!(status.as_u16(), 410);
    test.ok("POST", "/apps/library/releases", json!({ "release": "v3" })).await;
}

#[tokio::test]
async fn a_quota_takes_the_oldest_and_says_what_it_cannot_take() {
    let test = TestPlatform::with_releases(keep(50, Some(40)), 3).await;
    test.until(async || test.statuses().await[0] == "expired").await;
    assert_eq!(test.statuses().await, ["expired", "succeeded", "succeeded"]);
    let usage = test.get("/store").await;
    assert_eq!([&usage["bytes"], &usage["quota"], &usage["over_quota"]], [100, 40, 60]);
    assert_eq!(usage["apps"][0]["app"], "library");
    assert_eq!([&usage["apps"][0]["unique"], &usage["apps"][0]["shared"]], [100, 0]);
    let collected = test.ok("POST", "/store/actions/gc", json!({})).await;
    assert_eq!((&collected["over_quota"], &collected["removed"]["slugs"]), (&json!(60), &json!(0)));
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_a_destroyed_app_leaves_nothing() {
    let test = TestPlatform::with_app().await;
    let dry = || test.ok("POST", "/store/actions/gc", json!({ "dry_run": true }));
    assert_eq!(dry().await["removed"]["slugs"], 0);
    test.ok("DELETE", "/apps/library", json!({})).await;
    test.until(async || dry().await["removed"]["slugs"] == 1).await;
    let collected = test.ok("POST", "/store/actions/gc", json!({})).await;
    assert_eq!(collected["removed"]["slugs"], 1);
    assert_eq!(test.store.0.lock().unwrap().last(), Some(&0));
}

#[tokio::test]
async fn what_a_build_stored_is_kept_before_it_is_released() {
    let test = TestPlatform::with_app().await;
    *test.engine.procfile.lock().unwrap() = "release: migrate\nweb: serve".into();
    test.build().await;
    test.ok("POST", "/store/actions/gc", json!({})).await;
    assert!(test.store.0.lock().unwrap().iter().skip(1).all(|kept| *kept == 1));
}

#[tokio::test]
async fn a_check_tells_its_progress_and_names_apps_and_releases() {
    let test = TestPlatform::with_app().await;
    let body = json!({ "repair": true });
    let (told, kind) = test.bytes("POST", "/store/actions/fsck", body, "content-type").await;
    assert_eq!(kind, "application/x-ndjson");
    let told = String::from_utf8(told).unwrap();
    let lines: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({ "objects": 1, "of": 1 }));
    let finding = &lines[1]["checked"]["findings"][0];
    assert_eq!(finding["slugs"][0]["known_as"], json!(["library v1"]));
    assert_eq!(finding["repaired"], "a copy");
}

#[tokio::test]
async fn a_slug_is_read_by_version_id_or_as_the_current_one() {
    let test = TestPlatform::with_app().await;
    let id = test.get("/apps/library/releases/1").await["slug"]["id"].as_str().unwrap().to_owned();
    for slug in ["v1", "1", "current", &id] {
        let tree = test.get(&format!("/apps/library/slugs/{slug}/tree?path=bin&depth=1")).await;
        assert_eq!(tree["children"][0]["path"], "bin/run", "{slug}");
        let diff = test.get(&format!("/apps/library/slugs/{slug}/diff?from=v1")).await;
        assert_eq!((&diff["added"], &diff["after"]["files"]), (&json!([]), &json!(2)));
    }
    for slug in ["v9", "nonsense", "00000000-0000-4000-8000-000000000000"] {
        let path = format!("/apps/library/slugs/{slug}/tree");
        assert_eq!(test.call("GET", &path, json!({})).await.0.as_u16(), 404, "{slug}");
    }
    let (status, body) = test.call("GET", "/apps/library/slugs/v1/tree?depth=x", json!({})).await;
    assert_eq!((status.as_u16(), &body["id"]), (422, &json!("invalid_params")));
}

#[tokio::test]
async fn files_links_and_directories_are_handed_out() {
    let test = TestPlatform::with_app().await;
    let get = async |path: &str, header: &str| {
        test.bytes("GET", &format!("/apps/library/slugs/v1/files/{path}"), json!({}), header).await
    };
    assert_eq!(get("bin/run", "x-slug-mode").await, (CONTENT.to_vec(), "755".into()));
    assert_eq!(get("caf%E9", "x-slug-kind").await, (CONTENT.to_vec(), "file".into()));
    assert_eq!(get("link", "x-slug-kind").await, (b"bin/run".to_vec(), "symlink".into()));
    assert_eq!(get("bin/", "x-slug-kind").await, (b"bin".to_vec(), "directory".into()));
    assert_eq!(get("", "content-type").await, (b"".to_vec(), "application/x-tar".into()));
    for path in ["nothing", "../x", "bin/../link"] {
        assert!(String::from_utf8(get(path, "x").await.0).unwrap().contains("not_found"), "{path}");
    }
}

#[tokio::test]
async fn a_bill_of_materials_provenance_and_damage_are_told() {
    let test = TestPlatform::with_app().await;
    test.ok("PATCH", "/apps/library/config-vars", json!({ "SECRET_KEY": "hush" })).await;
    test.build().await;
    let bill = test.get("/apps/library/slugs/v3/sbom").await;
    assert_eq!(bill["metadata"]["component"]["version"], "v3");
    assert_eq!(bill, test.get("/apps/library/slugs/current/sbom").await, "the same each time");
    let statement = test.get("/apps/library/slugs/v3/provenance").await;
    assert_eq!(statement["subject"][0]["name"], "library@v3");
    let parameters = &statement["predicate"]["buildDefinition"]["externalParameters"];
    assert_eq!(parameters["configVars"], json!(["SECRET_KEY"]));
    assert!(!statement.to_string().contains("hush"));
    assert_eq!(parameters["source"]["version"], "0123456789");
    let (status, body) =
        test.call("POST", "/apps/library/slugs/v3/actions/verify", json!({})).await;
    assert_eq!(status.as_u16(), 422);
    assert!(body["message"].as_str().unwrap().contains("object 12 is damaged"), "{body}");
}
