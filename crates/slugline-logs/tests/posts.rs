//! Requests to where users say: they reach whom they may, and nobody else by way of them.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::time::Duration;

use slugline_logs::Post;
use slugline_model::outbound::Outbound;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn post(url: &str, allow: &[&str]) -> Post {
    let allow = allow.iter().map(|net| net.parse().unwrap()).collect();
    Post {
        url: url.to_owned(),
        body: "{}".to_owned(),
        headers: Vec::new(),
        outbound: Outbound { allow },
    }
}

async fn nobody_came(listener: &TcpListener) {
    let met = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(met.is_err(), "somebody connected");
}

#[tokio::test]
async fn no_spelling_of_this_machine_is_reached() {
    let (listener, port) = listen().await;
    for host in [
        "localhost",
        "LOCALHOST",
        "localhost.",
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
    ] {
        let told = post(&format!("http://{host}:{port}/"), &[]).send().await.unwrap_err();
        // Some of these names are found nowhere, on some machines.
        assert!(told.contains("not reached for users") || told.contains("not found"), "{told}");
    }
    // Where one reads another host than who connects.
    let told = post(&format!(r"http://localhost:{port}\@192.0.2.1/"), &[]).send().await;
    assert!(told.unwrap_err().contains("localhost is an address that is not reached"));
    nobody_came(&listener).await;
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    let ((allowed, port), (own, other)) = (listen().await, listen().await);
    let answer = tokio::spawn(async move {
        let (mut stream, _) = allowed.accept().await.unwrap();
        let mut request = [0; 1024];
        assert_ne!(stream.read(&mut request).await.unwrap(), 0);
        let head = format!(
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:{other}/\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
    });
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(post(&url, &["127.0.0.1"]).send().await, Ok(307));
    answer.await.unwrap();
    nobody_came(&own).await;
}
