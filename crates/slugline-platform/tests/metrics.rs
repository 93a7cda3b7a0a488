//! What dynos use, as the API and the log tell it, of an engine whose dynos keep a processor busy.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use http::{Request, StatusCode};
use serde_json::json;
use slugline_model::dyno::Event;
use slugline_model::resources::{Excess, Resource};
use support::{TOKEN, TestPlatform};
use tower::ServiceExt as _;

async fn exposition(test: &TestPlatform) -> String {
    let request = Request::get("/metrics").header("Authorization", format!("Bearer {TOKEN}"));
    let request = request.body(axum::body::Body::empty()).unwrap();
    let answer = test.platform.api().oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn what_dynos_use_is_told_to_those_who_have_the_token() {
    let test = TestPlatform::with_app().await;
    for path in ["/dynos/usage", "/metrics"] {
        let (status, _) = test.call_as("wrong", "GET", path, json!({})).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    test.get("/dynos/usage").await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    let found = test.get("/dynos/usage").await;
    let web = &found["dynos"][0];
    assert_eq!(
        (&web["app"], &web["dyno"], &web["title"]),
        (&json!("library"), &json!("web.1"), &json!("library/web.1"))
    );
    let cores = web["rates"]["cores"].as_f64().unwrap();
    assert!((cores - 1.0).abs() < 0.01, "{web}");
    assert_eq!(found["slowed"], json!([]));
}

#[tokio::test]
async fn prometheus_finds_each_dyno_once_under_each_name() {
    let test = TestPlatform::with_app().await;
    let told = exposition(&test).await;
    let labels = r#"{app="library",dyno="web.1",type="web"}"#;
    assert!(
        told.contains(&format!("slugline_dyno_memory_rss_bytes{labels} 104857600\n")),
        "{told}"
    );
    let mut series: Vec<&str> = told
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect();
    let count = series.len();
    series.sort_unstable();
    series.dedup();
    assert_eq!(series.len(), count, "{told}");
    let network = format!("slugline_dyno_network_sent_bytes_total{labels}");
    assert!(!told.contains(&network), "it has no network of its own: {told}");
}

#[tokio::test]
async fn memory_above_the_quota_is_told_in_herokus_words() {
    let test = TestPlatform::with_app().await;
    let id = test.started("web.1", 1).await;
    test.engine.emit(id, Event::MemoryQuota { used: 529 << 20, allowed: 512 << 20 });
    let excess = Excess { resource: Resource::Memory, found: 1 << 30, allowed: 512 << 20 };
    test.engine.emit(id, Event::LimitExceeded { excess, biggest: vec![] });
    test.engine.emit(id, Event::Exited { status: 137 });
    for line in [
        "heroku[web.1]: Process running mem=529M(103.3%)",
        "heroku[web.1]: Error R14 (Memory quota exceeded)",
        "heroku[web.1]: Process running mem=1024M(200.0%)",
        "heroku[web.1]: Error R15 (Memory quota vastly exceeded)",
        "heroku[web.1]: Stopping process with SIGKILL",
        "heroku[web.1]: Process exited with status 137",
    ] {
        test.until(async || test.logged(line)).await;
    }
}
