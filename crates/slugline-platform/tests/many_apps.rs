//! A server with ten thousand apps does what one with a single app does. How long that takes is printed
//! (`--nocapture`), and asserted nowhere: machines differ.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use http::{HeaderMap, Request};
use serde_json::{Value, json};
use slugline_model::dyno::Event;
use tower::ServiceExt as _;

use support::TestPlatform;

const MANY: usize = 10_000;

/// Copies an app's row, as many times as it takes: made through the API, each would wait for the disk.
fn multiply(data: &Path) {
    let db = rusqlite::Connection::open(data.join("state.sqlite3")).unwrap();
    let columns: Vec<String> = db
        .prepare("SELECT name FROM pragma_table_info('app')")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let value = |column: &String| match column.as_str() {
        "id" => "printf('%08x-0000-4000-8000-%012x', n, n)".to_owned(),
        "name" => "'many-' || n".to_owned(),
        other => other.to_owned(),
    };
    let values: Vec<String> = columns.iter().map(value).collect();
    let sql = format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MANY})
         INSERT INTO app ({}) SELECT {} FROM app, numbers WHERE name = 'library'",
        columns.join(", "),
        values.join(", "),
    );
    assert_eq!(db.execute(&sql, []).unwrap(), MANY);
}

/// A part of a list; where the next one begins.
async fn part(test: &TestPlatform, range: Option<&str>) -> (Vec<Value>, Option<String>) {
    let mut request =
        Request::get("/apps").header("Authorization", format!("Bearer {}", support::TOKEN));
    if let Some(range) = range {
        request = request.header("Range", range);
    }
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = test.platform.api().oneshot(request).await.unwrap();
    let header = |headers: &HeaderMap| Some(headers.get("next-range")?.to_str().ok()?.to_owned());
    let next = header(response.headers());
    let body = axum::body::to_bytes(response.into_body(), 16 << 20).await.unwrap();
    (serde_json::from_slice(&body).unwrap(), next)
}

#[tokio::test]
async fn ten_thousand_apps_are_listed_and_one_of_them_is_built_served_and_changed() {
    let first = TestPlatform::with_app().await;
    worked(&first, "of 1 app").await;
    multiply(first.data.path());
    let start = Instant::now();
    let test = first.another_server().await;
    println!("started with {MANY} apps: {:?}", start.elapsed());

    let start = Instant::now();
    let (mut names, mut range, mut parts) = (BTreeSet::new(), None, 0);
    loop {
        let (apps, next) = part(&test, range.as_deref()).await;
        names.extend(apps.iter().map(|app| app["name"].as_str().unwrap().to_owned()));
        parts += 1;
        match next {
            Some(next) => range = Some(next),
            None => break,
        }
    }
    println!("listed in {parts} parts: {:?}", start.elapsed());
    assert_eq!(names.len(), MANY + 1);

    worked(&test, "of 10,001 apps").await;
    for (app, is_there) in [("many-1", true), ("many-10000", true), ("many-10001", false)] {
        let table = test.platform.routes().borrow().clone();
        assert_eq!(
            table.find(&format!("{app}.localhost")).is_some(),
            is_there,
            "{app} has a route"
        );
    }
    test.ok("DELETE", "/apps/many-5000", json!({})).await;
    let (status, _) = test.call("GET", "/apps/many-5000", json!({})).await;
    assert_eq!(status.as_u16(), 404);
}

/// A build, a release, a dyno that gets up and is routed to, a change of config vars.
async fn worked(test: &TestPlatform, what: &str) {
    let version = async || {
        let releases = test.get("/apps/library/releases").await;
        releases.as_array().unwrap().last().unwrap()["version"].as_u64().unwrap()
    };
    let (before, start) = (version().await, Instant::now());
    assert_eq!(test.build().await["status"], "succeeded");
    assert_eq!(version().await, before + 1);
    let web = test.started("web.1", before + 1).await;
    test.engine.emit(web, Event::Up);
    test.until(async || test.dyno("web.1").await["release"]["version"] == before + 1).await;
    test.until(async || test.serving().is_some()).await;
    println!("{what}: built and released, with its dyno routed to, in {:?}", start.elapsed());
    let start = Instant::now();
    test.ok("PATCH", "/apps/library/config-vars", json!({ "AT": what })).await;
    println!("{what}: config vars changed in {:?}", start.elapsed());
    let start = Instant::now();
    assert_eq!(test.get("/apps/library").await["name"], "library");
    println!("{what}: told of one app in {:?}", start.elapsed());
}
