//! Requests over TLS, on the same port as those without.

use std::time::Duration;

use crate::scene::{Scene, dyno, head, saying, soon};
use slugline_model::route::Serving;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: owl.localhost\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn each_port_speaks_both_and_a_dyno_is_told_which() {
    let backend = dyno(|mut stream| async move {
        let head = head(&mut stream).await;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let mut scene = Scene::new(Serving::Dynos(vec![backend.await])).await;
    for at in [scene.address, scene.tls_address] {
        let seen = scene.ask_tls(at, "owl.localhost", REQUEST).await.unwrap();
        assert!(seen.contains("x-forwarded-proto: https\r\n"), "{seen}");
        assert!(seen.contains(&format!("x-forwarded-port: {}\r\n", at.port())), "{seen}");
        let line = scene.line().await;
        assert!(line.ends_with(" protocol=https"), "{line}");
    }
    let seen = scene.ask_raw(REQUEST).await;
    assert!(seen.contains("x-forwarded-proto: http\r\n"), "{seen}");
    assert!(scene.line().await.ends_with(" protocol=http"));
}

#[tokio::test]
async fn a_host_without_a_certificate_is_not_greeted() {
    let scene = Scene::new(saying("HTTP/1.1 204 No Content\r\n\r\n").await).await;
    let refused = scene.ask_tls(scene.address, "dog.localhost", REQUEST).await;
    refused.unwrap_err();
}

#[tokio::test]
async fn a_connection_to_one_app_is_not_another_apps() {
    let mut scene = Scene::new(saying("HTTP/1.1 204 No Content\r\n\r\n").await).await;
    let answer = scene.ask_tls(scene.address, "fox.localhost", REQUEST).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 421 Misdirected Request\r\n"), "{answer}");
    let line = scene.line().await;
    assert!(line.starts_with("at=error code=H31 desc=\"Misdirected Request\" "), "{line}");
}

/// What begins as TLS and goes on as nothing holds nobody up, and a client that says nothing either.
#[tokio::test]
async fn who_does_not_finish_its_greeting_is_left() {
    let limits = slugline_model::limits::Limits {
        idle: Duration::from_millis(200),
        ..slugline_model::limits::Limits::default()
    };
    let serving = saying("HTTP/1.1 204 No Content\r\n\r\n").await;
    let scene = Scene::with(serving, limits).await;
    for start in [&[0x16, 3, 1][..], &[]] {
        let mut stream = scene.connect().await;
        stream.write_all(start).await.unwrap();
        let mut rest = Vec::new();
        // Closed, with or without an alert.
        let _ = soon(stream.read_to_end(&mut rest)).await;
    }
    let answer = scene.ask_tls(scene.address, "owl.localhost", REQUEST).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
}
