//! What every answer of the API has: an id, an entity tag, parts of lists, and errors in JSON.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use axum::body::Body;
use http::{HeaderMap, Request};
use serde_json::{Value, json};
use support::{TOKEN, TestPlatform};
use tower::ServiceExt as _;

impl TestPlatform {
    async fn asked(&self, request: http::request::Builder, body: Body) -> (u16, HeaderMap, Value) {
        let request = request.header("Authorization", format!("Bearer {TOKEN}"));
        let request: Request<Body> = request.body(body).unwrap();
        let response = self.platform.api().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, headers, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn got(&self, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, Value) {
        let request = Request::builder().uri(path);
        let request = headers.iter().fold(request, |request, (n, v)| request.header(*n, *v));
        self.asked(request, Body::empty()).await
    }
}

#[tokio::test]
async fn an_answer_that_the_client_has_is_not_sent_again() {
    let test = TestPlatform::with_app().await;
    let (status, headers, _) = test.got("/apps/library", &[]).await;
    let tag = headers["etag"].to_str().unwrap();
    assert_eq!(status, 200);
    let known = format!("\"other\", {tag}");
    let (status, headers, body) = test.got("/apps/library", &[("If-None-Match", &known)]).await;
    assert_eq!((status, body), (304, Value::Null));
    assert_eq!(headers["etag"], tag);
    test.ok("PATCH", "/apps/library", json!({ "maintenance": true })).await;
    let (status, ..) = test.got("/apps/library", &[("If-None-Match", tag)]).await;
    assert_eq!(status, 200, "it has changed");
}

#[tokio::test]
async fn every_answer_has_an_id_which_the_client_may_choose() {
    let test = TestPlatform::new().await;
    let (_, headers, _) = test.got("/apps", &[("Request-Id", "mine-1,mine-2")]).await;
    assert_eq!(headers["request-id"], "mine-1,mine-2");
    let (status, headers, _) = test.got("/nothing/here", &[]).await;
    assert_eq!((status, headers["request-id"].len()), (404, 36));
}

#[tokio::test]
async fn lists_have_pages_that_fit() {
    let test = TestPlatform::new().await;
    for name in ["owl", "cat", "ant", "bee"] {
        test.ok("POST", "/apps", json!({ "name": name })).await;
    }
    let mut names = Vec::new();
    let mut range = "name ..; max=3".to_owned();
    loop {
        let (status, headers, body) = test.got("/apps", &[("Range", &range)]).await;
        names.extend(body.as_array().unwrap().iter().map(|app| app["name"].clone()));
        let Some(next) = headers.get("next-range") else {
            assert_eq!(status, 200);
            break;
        };
        assert_eq!(status, 206);
        next.to_str().unwrap().clone_into(&mut range);
    }
    assert_eq!(names, ["ant", "bee", "cat", "owl"]);
    let (_, _, body) = test.got("/apps", &[("Range", "name ]bee..; order=asc,max=1")]).await;
    assert_eq!(body[0]["name"], "cat");
    let (status, _, body) = test.got("/apps", &[("Range", "name ..; max=9999")]).await;
    assert_eq!((status, &body["id"]), (416, &json!("requested_range_not_satisfiable")));
    let (status, ..) = test.got("/apps", &[("Range", "colour ..; max=1000;")]).await;
    assert_eq!(status, 200, "a field that there is not is fine");
}

#[tokio::test]
async fn whatever_is_wrong_is_said_in_json() {
    let test = TestPlatform::with_app().await;
    let json_of = |status: u16, body: &Value| {
        let told = body["message"].as_str().is_some_and(|message| !message.is_empty());
        assert!(told && body["id"].is_string(), "{status}: {body}");
        status
    };
    let of = async |method: &str, path: &str, body: Body| {
        let request = Request::builder().method(method).uri(path);
        let (status, _, body) = test.asked(request, body).await;
        json_of(status, &body)
    };
    assert_eq!(of("GET", "/nothing", Body::empty()).await, 404);
    assert_eq!(of("GET", "/apps/library/releases/x/y/z", Body::empty()).await, 404);
    assert_eq!(of("PUT", "/apps/library", Body::empty()).await, 405);
    assert_eq!(of("POST", "/apps", Body::from(vec![b'x'; 3 << 20])).await, 413);
    assert_eq!(of("POST", "/apps", Body::from(vec![0xff, 0xfe])).await, 400);
    assert_eq!(of("POST", "/apps", Body::from("{")).await, 400);
    assert_eq!(of("GET", "/sources/nothing", Body::empty()).await, 400);
    assert_eq!(of("POST", "/teams", Body::empty()).await, 501);
    assert_eq!(of("POST", "/apps/library/oci-images", Body::empty()).await, 501);
    let other = [("Accept", "application/vnd.heroku+json; version=2")];
    let (status, _, body) = test.got("/apps", &other).await;
    assert_eq!((json_of(status, &body), &body["id"]), (406, &json!("not_acceptable")));
}
