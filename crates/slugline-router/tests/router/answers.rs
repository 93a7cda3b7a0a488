//! Requests that a dyno answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::scene::{Scene, dead, dyno, expect, head, saying, soon};
use slugline_model::route::Serving;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};

const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, world!";

#[tokio::test]
async fn a_request_reaches_a_dyno_and_is_logged_once() {
    let mut scene = Scene::new(saying(HELLO).await).await;
    let answer = scene.ask("GET /a?b=c HTTP/1.1", "X-Request-Id: abcdefghijklmnopqrstuvwxyz\r\n");
    let answer = answer.await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("via: 1.1 slugline\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nHello, world!"), "{answer}");
    let line = scene.line().await;
    let (start, end) = line.split_once(" connect=").unwrap();
    assert_eq!(
        start,
        "at=info method=GET path=\"/a?b=c\" host=owl.localhost \
         request_id=abcdefghijklmnopqrstuvwxyz fwd=\"127.0.0.1\" dyno=web.1"
    );
    assert!(end.ends_with("ms status=200 bytes=13 protocol=http"), "{end}");
    assert!(!scene.more_lines());
}

#[tokio::test]
async fn a_dyno_sees_the_headers_of_the_contract() {
    let backend = dyno(|mut stream| async move {
        let head = head(&mut stream).await;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let scene = Scene::new(Serving::Dynos(vec![backend.await])).await;
    let seen = scene.ask("GET / HTTP/1.1", "X-Forwarded-For: 10.0.0.1\r\nTE: trailers\r\n").await;
    let port = scene.address.port();
    assert!(seen.contains("host: owl.localhost\r\n"), "{seen}");
    assert!(seen.contains("x-forwarded-for: 10.0.0.1, 127.0.0.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("x-forwarded-port: {port}\r\n")), "{seen}");
    assert!(!seen.contains("te: trailers"), "{seen}");
    let absolute =
        "GET http://owl.localhost/x HTTP/1.1\r\nHost: other\r\nConnection: close\r\n\r\n";
    let seen = scene.ask_raw(absolute).await;
    assert!(seen.contains("GET /x HTTP/1.1\r\nhost: owl.localhost\r\n"), "{seen}");
}

#[tokio::test]
async fn the_first_piece_of_an_answer_arrives_before_the_last_is_made() {
    let (go, gone) = oneshot::channel::<()>();
    let gone = Arc::new(std::sync::Mutex::new(Some(gone)));
    let backend = dyno(move |mut stream| {
        let gone = gone.lock().unwrap().take().unwrap();
        async move {
            head(&mut stream).await;
            let start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
            stream.write_all(start).await.unwrap();
            gone.await.unwrap();
            stream.write_all(b"4\r\nlast\r\n0\r\n\r\n").await.unwrap();
        }
    });
    let mut scene = Scene::new(Serving::Dynos(vec![backend.await])).await;
    let mut client = scene.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: owl.localhost\r\n\r\n").await.unwrap();
    assert!(head(&mut client).await.contains("transfer-encoding: chunked"));
    expect(&mut client, "5\r\nfirst\r\n").await;
    go.send(()).unwrap();
    expect(&mut client, "4\r\nlast\r\n0\r\n\r\n").await;
    assert!(scene.line().await.contains("status=200 bytes=9 "));
}

#[tokio::test]
async fn the_first_piece_of_a_request_arrives_before_the_last_is_sent() {
    let (told, mut tell) = mpsc::unbounded_channel();
    let backend = dyno(move |mut stream| {
        let told = told.clone();
        async move {
            head(&mut stream).await;
            expect(&mut stream, "5\r\nfirst\r\n").await;
            told.send(()).unwrap();
            expect(&mut stream, "4\r\nlast\r\n0\r\n\r\n").await;
            stream.write_all(HELLO.as_bytes()).await.unwrap();
        }
    });
    let scene = Scene::new(Serving::Dynos(vec![backend.await])).await;
    let mut client = scene.connect().await;
    let start = b"POST / HTTP/1.1\r\nHost: owl.localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    client.write_all(start).await.unwrap();
    soon(tell.recv()).await.unwrap();
    client.write_all(b"4\r\nlast\r\n0\r\n\r\n").await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_websocket_passes_both_ways_and_is_logged_at_its_end() {
    let backend = dyno(|mut stream| async move {
        let asked = head(&mut stream).await;
        assert!(asked.contains("connection: Upgrade\r\nupgrade: websocket"), "{asked}");
        let changed = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi";
        stream.write_all(changed).await.unwrap();
        let (mut from, mut to) = stream.split();
        tokio::io::copy(&mut from, &mut to).await.unwrap();
    });
    let mut scene = Scene::new(Serving::Dynos(vec![backend.await])).await;
    let mut client = scene.connect().await;
    let ask = "GET /ws HTTP/1.1\r\nHost: owl.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.write_all(ask.as_bytes()).await.unwrap();
    let answer = head(&mut client).await;
    assert!(
        answer.starts_with("HTTP/1.1 101 ") && answer.contains("upgrade: websocket"),
        "{answer}"
    );
    expect(&mut client, "hi").await;
    for word in ["ping", "pong"] {
        client.write_all(word.as_bytes()).await.unwrap();
        expect(&mut client, word).await;
    }
    client.shutdown().await.unwrap();
    assert!(scene.line().await.contains("status=101 bytes=10 "));
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let backend = dyno(move |mut stream| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            while !head(&mut stream).await.is_empty() {
                stream.write_all(HELLO.as_bytes()).await.unwrap();
            }
        }
    });
    let mut scene = Scene::new(Serving::Dynos(vec![backend.await])).await;
    let mut client = scene.connect().await;
    for _ in 0..20 {
        client.write_all(b"GET / HTTP/1.1\r\nHost: owl.localhost\r\n\r\n").await.unwrap();
        assert!(head(&mut client).await.starts_with("HTTP/1.1 200"));
        expect(&mut client, "Hello, world!").await;
        assert!(scene.line().await.contains("status=200 bytes=13 "));
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn another_dyno_answers_when_one_refuses() {
    let Serving::Dynos(mut dynos) = saying(HELLO).await else { panic!() };
    dynos.insert(0, dead().await);
    let mut scene = Scene::new(Serving::Dynos(dynos)).await;
    for _ in 0..10 {
        assert!(scene.ask("POST / HTTP/1.1", "Content-Length: 0\r\n").await.contains(" 200 OK"));
        assert!(scene.line().await.contains(" dyno=web.1 "));
    }
}

#[tokio::test]
async fn a_request_waits_for_the_app_to_boot() {
    let scene = Scene::new(Serving::Booting).await;
    let ready = saying(HELLO).await;
    let mut client = scene.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nHost: owl.localhost\r\n\r\n").await.unwrap();
    scene.route(ready);
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn fifty_megabytes_pass_without_being_held() {
    const SIZE: usize = 50 << 20;
    let (done, mut finished) = mpsc::unbounded_channel();
    let backend = dyno(move |mut stream| {
        let done = done.clone();
        async move {
            head(&mut stream).await;
            let mut body = vec![0; SIZE];
            stream.read_exact(&mut body).await.unwrap();
            let start = format!("HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n");
            stream.write_all(start.as_bytes()).await.unwrap();
            stream.write_all(&body).await.unwrap();
            done.send(()).unwrap();
        }
    });
    let mut scene = Scene::new(Serving::Dynos(vec![backend.await])).await;
    let mut client = scene.connect().await;
    let start = format!("POST / HTTP/1.1\r\nHost: owl.localhost\r\nContent-Length: {SIZE}\r\n\r\n");
    client.write_all(start.as_bytes()).await.unwrap();
    let sent: Vec<u8> = (0..251).cycle().take(SIZE).collect();
    client.write_all(&sent).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200"));
    // While the client takes nothing, the dyno cannot have got rid of it all.
    assert!(tokio::time::timeout(Duration::from_millis(200), finished.recv()).await.is_err());
    let mut received = vec![0; SIZE];
    soon(client.read_exact(&mut received)).await.unwrap();
    assert!(received == sent);
    assert!(scene.line().await.contains(&format!("status=200 bytes={SIZE} ")));
}

#[tokio::test]
async fn old_and_sparse_forms_of_http_pass() {
    let mut scene = Scene::new(saying(HELLO).await).await;
    let old = scene.ask_raw("GET / HTTP/1.0\r\nHost: owl.localhost\r\n\r\n").await;
    assert!(old.starts_with("HTTP/1.0 200 OK") && old.ends_with("Hello, world!"), "{old}");
    scene.line().await;
    let answers = [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n", "content-length: 13"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", "204 No Content"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n", "etag: \"x\""),
    ];
    for (method, answer, expected) in answers {
        scene.route(saying(answer).await);
        let got = scene.ask(&format!("{method} / HTTP/1.1"), "").await;
        assert!(got.contains(expected) && got.ends_with("\r\n\r\n"), "{got}");
        assert!(scene.line().await.contains(" bytes=0 "));
    }
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_to_go_on() {
    let backend = dyno(|mut stream| async move {
        assert!(!head(&mut stream).await.contains("expect"));
        expect(&mut stream, "body").await;
        stream.write_all(HELLO.as_bytes()).await.unwrap();
    });
    let scene = Scene::new(Serving::Dynos(vec![backend.await])).await;
    let mut client = scene.connect().await;
    let start = "PUT / HTTP/1.1\r\nHost: owl.localhost\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    client.write_all(start.as_bytes()).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 100 Continue"));
    client.write_all(b"body").await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_request_with_two_hosts_reaches_no_dyno() {
    let scene = Scene::new(saying(HELLO).await).await;
    let request =
        "GET / HTTP/1.1\r\nHost: owl.localhost\r\nHost: other\r\nConnection: close\r\n\r\n";
    let answer = scene.ask_raw(request).await;
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request"), "{answer}");
}
