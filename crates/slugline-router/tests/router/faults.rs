//! Requests that are not answered, or not to the end: each has its code, its line and its page.

use std::time::Duration;

use crate::scene::{Scene, dead, dyno, expect, head, saying, soon};
use slugline_model::code::Code;
use slugline_model::limits::Limits;
use slugline_model::route::Serving;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

const SHORT: Duration = Duration::from_millis(50);

/// Asks once, and checks the start of the line, its end, and the page.
async fn check(serving: Serving, limits: Limits, start: &str, end: &str) {
    let mut scene = Scene::with(serving, limits).await;
    let page = scene.ask("GET / HTTP/1.1", "").await;
    let line = scene.line().await;
    assert!(line.starts_with(start), "{line}");
    assert!(line.ends_with(end), "{line}");
    assert!(page.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{page}");
    let code = start.split("code=").nth(1).unwrap().split(' ').next().unwrap();
    let id = line.split("request_id=").nth(1).unwrap().split(' ').next().unwrap();
    assert!(page.contains(&format!("Code {code} (")), "{page}");
    assert!(page.contains(&format!("request {id}")), "{page}");
    assert!(page.contains("heroku logs --tail -a owl"), "{page}");
}

#[tokio::test]
async fn nobody_there_is_the_code_that_the_platform_gives() {
    check(
        Serving::Nobody(Code::H14),
        Limits::default(),
        "at=error code=H14 desc=\"No web processes running\" method=GET",
        " dyno= connect= service= status=503 bytes= protocol=http",
    )
    .await;
}

#[tokio::test]
async fn an_app_that_does_not_boot_is_h20() {
    check(
        Serving::Booting,
        Limits { boot: SHORT, ..Limits::default() },
        "at=error code=H20 desc=\"App boot timeout\"",
        " dyno= connect= service= status=503 bytes= protocol=http",
    )
    .await;
}

#[tokio::test]
async fn dynos_that_all_refuse_are_h21() {
    let dynos = vec![dead().await, dead().await];
    let start = "at=error code=H21 desc=\"Backend connection refused\"";
    let end = "ms service= status=503 bytes= protocol=http";
    check(Serving::Dynos(dynos), Limits::default(), start, end).await;
}

#[tokio::test]
async fn a_connection_closed_without_an_answer_is_h13() {
    let backend = dyno(|mut stream| async move { drop(head(&mut stream).await) });
    let start = "at=error code=H13 desc=\"Connection closed without response\"";
    let dynos = Serving::Dynos(vec![backend.await]);
    check(dynos, Limits::default(), start, "ms status=503 bytes= protocol=http").await;
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_h17() {
    let start = "at=error code=H17 desc=\"Poorly formatted HTTP response\"";
    let end = "ms status=503 bytes= protocol=http";
    check(saying("SSH-2.0-owl\r\n\r\n").await, Limits::default(), start, end).await;
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_h12() {
    let limits = Limits { first_byte: SHORT, ..Limits::default() };
    let start = "at=error code=H12 desc=\"Request timeout\"";
    check(saying("").await, limits, start, "ms status=503 bytes= protocol=http").await;
}

#[tokio::test]
async fn an_answer_that_stops_is_h15_and_one_that_breaks_is_h18() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf";
    let limits = Limits { idle: SHORT, ..Limits::default() };
    let mut scene = Scene::with(saying(half).await, limits).await;
    assert!(scene.ask("GET / HTTP/1.1", "").await.ends_with("half"));
    let line = scene.line().await;
    assert!(line.starts_with("at=error code=H15 desc=\"Idle connection\""), "{line}");
    assert!(line.contains(" bytes=4 "), "{line}");
    let backend = dyno(move |mut stream| async move {
        head(&mut stream).await;
        stream.write_all(half.as_bytes()).await.unwrap();
    });
    let mut scene = Scene::new(Serving::Dynos(vec![backend.await])).await;
    assert!(scene.ask("GET / HTTP/1.1", "").await.ends_with("half"));
    let line = scene.line().await;
    assert!(line.starts_with("sock=backend at=error code=H18 desc="), "{line}");
    assert!(line.ends_with("status=503 bytes=4 protocol=http"), "{line}");
}

#[tokio::test]
async fn a_client_that_leaves_is_h27_and_its_dyno_learns_it() {
    let (told, mut tell) = mpsc::unbounded_channel();
    let backend = dyno(move |mut stream| {
        let told = told.clone();
        async move {
            head(&mut stream).await;
            told.send("asked").unwrap();
            let _ = stream.read_u8().await;
            told.send("closed").unwrap();
        }
    });
    let mut scene = Scene::new(Serving::Dynos(vec![backend.await])).await;
    let mut client = scene.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: owl.localhost\r\n\r\n").await.unwrap();
    assert_eq!(soon(tell.recv()).await, Some("asked"));
    drop(client);
    assert_eq!(soon(tell.recv()).await, Some("closed"));
    let line = scene.line().await;
    assert!(line.starts_with("sock=client at=warning code=H27 "), "{line}");
    assert!(line.ends_with("status=499 bytes= protocol=http"), "{line}");
}

#[tokio::test]
async fn a_client_that_leaves_during_the_answer_or_takes_none_of_it_is_told_apart() {
    let endless = || {
        dyno(|mut stream| async move {
            head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 8_192]).await.is_ok() {}
        })
    };
    let ask = b"GET / HTTP/1.1\r\nHost: owl.localhost\r\n\r\n";
    let mut scene = Scene::new(Serving::Dynos(vec![endless().await])).await;
    let mut client = scene.connect().await;
    client.write_all(ask).await.unwrap();
    head(&mut client).await;
    drop(client);
    let line = scene.line().await;
    assert!(line.starts_with("sock=client at=warning code=H27 "), "{line}");
    let limits = Limits { idle: Duration::from_millis(200), ..Limits::default() };
    let mut scene = Scene::with(Serving::Dynos(vec![endless().await]), limits).await;
    let mut client = scene.connect().await;
    client.write_all(ask).await.unwrap();
    let line = scene.line().await;
    assert!(line.starts_with("at=warning code=H28 desc=\"Client Connection Idle\""), "{line}");
}

#[tokio::test]
async fn a_host_of_no_app_is_a_page_and_no_line() {
    let mut scene = Scene::new(Serving::Nobody(Code::H14)).await;
    let ask =
        "GET / HTTP/1.1\r\nHost: cat.localhost\r\nConnection: close\r\nAccept: text/html\r\n\r\n";
    let page = scene.ask_raw(ask).await;
    assert!(page.starts_with("HTTP/1.1 404 Not Found\r\n"), "{page}");
    assert!(page.contains("content-type: text/html") && page.contains("cat.localhost"), "{page}");
    assert!(!page.contains("owl"), "{page}");
    assert!(!scene.more_lines());
}

#[tokio::test]
async fn a_shutdown_lets_requests_finish() {
    let (told, mut tell) = mpsc::unbounded_channel();
    let backend = dyno(move |mut stream| {
        let told = told.clone();
        async move {
            head(&mut stream).await;
            let (go, gone) = tokio::sync::oneshot::channel::<()>();
            told.send(go).unwrap();
            gone.await.unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        }
    });
    let mut scene = Scene::new(Serving::Dynos(vec![backend.await])).await;
    let _idle = scene.connect().await;
    let mut client = scene.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: owl.localhost\r\n\r\n").await.unwrap();
    let go = soon(tell.recv()).await.unwrap();
    scene.stop.take().unwrap().send(()).unwrap();
    go.send(()).unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200"));
    expect(&mut client, "ok").await;
    soon(scene.served).await.unwrap();
}
