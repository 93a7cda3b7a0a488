//! Uploads that are answered for out of a bucket.

use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use http::Response;
use http_body_util::{BodyExt as _, Full};
use slugline_model::media::MediaRule;
use slugline_router::{Found, MediaSource, Wanted};

use crate::scene::{Scene, saying};

const OF_THE_APP: &str = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nthe app";

/// Has one object, no second one, and knows nothing of a third. Notes what it is asked.
fn source(asked: Arc<Mutex<Vec<String>>>) -> MediaSource {
    Arc::new(move |wanted: Wanted| {
        let said = format!("{} {} of {}", wanted.method, wanted.key, wanted.app);
        asked.lock().unwrap().push(said);
        let body = Full::from("a picture").map_err(|none| match none {}).boxed_unsync();
        let mut answer = Response::new(body);
        answer.headers_mut().insert("content-length", "9".parse().unwrap());
        let found = match wanted.key.as_str() {
            "media/a.png" => Found::Answer(answer),
            "media/none.png" => Found::NotThere,
            _ => Found::Unreachable,
        };
        async move { found }.boxed()
    })
}

#[tokio::test]
async fn what_is_in_the_bucket_is_answered_without_a_dyno() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let rule = MediaRule::new("/media/", None, None, true).unwrap();
    let mut scene =
        Scene::with_media(saying(OF_THE_APP).await, rule, source(Arc::clone(&asked))).await;
    let answer = scene.ask("GET /media/a.png HTTP/1.1", "").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("a picture"), "{answer}");
    let line = scene.line().await;
    assert!(line.ends_with(" dyno= connect= service= status=200 bytes=9 protocol=http"), "{line}");
    let head = scene.ask("HEAD /media/a.png HTTP/1.1", "").await;
    assert!(head.contains("content-length: 9\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(scene.line().await.contains(" status=200 bytes=0 "));

    // Nobody but the app has anything to say of these.
    for request in [
        "GET /media/none.png HTTP/1.1",
        "POST /media/a.png HTTP/1.1",
        "GET /media/../a.png HTTP/1.1",
        "GET /other/a.png HTTP/1.1",
    ] {
        let answer = scene.ask(request, "").await;
        assert!(answer.ends_with("the app"), "{request}: {answer}");
        assert!(scene.line().await.contains(" dyno=web.1 "), "{request}");
    }

    let answer = scene.ask("GET /media/away.png HTTP/1.1", "").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Code H99"), "{answer}");
    let line = scene.line().await;
    assert!(line.starts_with("at=error code=H99 desc=\"Platform error\" method=GET"), "{line}");
    let asked = asked.lock().unwrap().join(", ");
    assert_eq!(
        asked,
        "GET media/a.png of owl, HEAD media/a.png of owl, GET media/none.png of owl, \
         GET media/away.png of owl"
    );
}
