//! Files that the dyno asked does not have.

use std::sync::{Arc, Mutex};

use slugline_model::code::Code;
use slugline_model::name::AppName;
use slugline_model::route::{Backend, Bridged, Elsewhere, Serving};

use crate::scene::{Scene, saying};

const NOT_HERE: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone";
const OLD: &str = "/js/main.3f2a91bc.js";

/// Has one file, and notes what it is told.
#[derive(Default)]
struct OneFile(Mutex<Vec<String>>);

impl Elsewhere for OneFile {
    fn bridged(&self, app: &AppName, path: &str) -> Option<Bridged> {
        self.0.lock().unwrap().push(format!("{app} asks for {path}"));
        let content_type = "text/javascript; charset=utf-8".to_owned();
        let body = b"old()".to_vec();
        (path == OLD).then_some(Bridged { release: 41, content_type, body })
    }

    fn missed(&self, app: &AppName, dyno: &Backend, path: &str) {
        self.0.lock().unwrap().push(format!("{app} misses {path} on {}", dyno.dyno));
    }
}

#[tokio::test]
async fn a_file_of_an_earlier_release_takes_the_place_of_a_404() {
    let elsewhere = Arc::new(OneFile::default());
    let mut scene = Scene::bridged(saying(NOT_HERE).await, elsewhere.clone()).await;
    let answer = scene.ask(&format!("GET {OLD} HTTP/1.1"), "").await;
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nold()"),
        "{answer}"
    );
    for header in [
        "content-type: text/javascript; charset=utf-8\r\n",
        "cache-control: public, max-age=31536000, immutable\r\n",
    ] {
        assert!(answer.contains(header), "{answer}");
    }
    let line = scene.line().await;
    let end = " dyno= connect= service= status=200 bytes=5 protocol=http bridge=v41";
    assert!(line.ends_with(end), "{line}");

    let head = scene.ask(&format!("HEAD {OLD} HTTP/1.1"), "").await;
    assert!(head.contains("content-length: 5\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(scene.line().await.contains(" status=200 bytes=0 "));

    for (request, status) in [
        ("GET /js/main.3f2a91bd.js HTTP/1.1", "404"),
        ("GET /about HTTP/1.1", "404"),
        (&format!("POST {OLD} HTTP/1.1"), "404"),
    ] {
        let answer = scene.ask(request, "").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
        assert!(scene.line().await.contains(" dyno=web.1 "));
    }
    let told = elsewhere.0.lock().unwrap().clone();
    assert_eq!(
        told[2..],
        [
            "owl asks for /js/main.3f2a91bd.js",
            "owl misses /js/main.3f2a91bd.js on web.1",
            "owl misses /about on web.1"
        ]
    );
}

#[tokio::test]
async fn without_a_dyno_it_is_answered_but_not_in_maintenance() {
    let scene = Scene::bridged(Serving::Nobody(Code::H14), Arc::new(OneFile::default())).await;
    let request = format!("GET {OLD} HTTP/1.1");
    assert!(scene.ask(&request, "").await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(scene.ask("GET / HTTP/1.1", "").await.starts_with("HTTP/1.1 503 "));
    scene.route(Serving::Nobody(Code::H80));
    assert!(scene.ask(&request, "").await.starts_with("HTTP/1.1 503 "));
}
