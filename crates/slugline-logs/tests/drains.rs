//! Drains as those who receive their lines see them.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use slugline_logs::{Drain, Hub};
use slugline_model::limits::Limits;
use slugline_model::logline::{LogFilter, LogLine, LogSink as _, Source};
use slugline_model::outbound::Outbound;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

fn line(text: impl Into<String>) -> LogLine {
    LogLine { time: 1, source: Source::App, process: "web.1".into(), text: text.into() }
}

fn drain(url: &str) -> Drain {
    Drain {
        app: "owl".into(),
        url: url.parse().unwrap(),
        token: "d.9173".into(),
        after: None,
        outbound: Outbound { allow: vec!["127.0.0.1".parse().unwrap()] },
        arrived: Arc::new(AtomicU64::new(0)),
    }
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), work).await.unwrap()
}

async fn accept(listener: &TcpListener) -> BufReader<TcpStream> {
    BufReader::new(soon(listener.accept()).await.unwrap().0)
}

/// One frame: a count, a space, and as many bytes.
async fn frame(stream: &mut BufReader<TcpStream>) -> String {
    let mut count = Vec::new();
    soon(stream.read_until(b' ', &mut count)).await.unwrap();
    let count: usize = String::from_utf8(count).unwrap().trim().parse().unwrap();
    let mut frame = vec![0; count];
    soon(stream.read_exact(&mut frame)).await.unwrap();
    String::from_utf8(frame).unwrap()
}

/// The texts of a request's lines, and its headers in lower case.
async fn request(stream: &mut BufReader<TcpStream>) -> (Vec<String>, String) {
    let mut headers = String::new();
    while !headers.ends_with("\r\n\r\n") {
        assert_ne!(soon(stream.read_line(&mut headers)).await.unwrap(), 0, "{headers}");
    }
    let headers = headers.to_ascii_lowercase();
    let header = |name: &str| headers.lines().find_map(|h| h.strip_prefix(name)).unwrap().trim();
    let mut body = vec![0; header("content-length:").parse().unwrap()];
    soon(stream.read_exact(&mut body)).await.unwrap();
    let body = String::from_utf8(body).unwrap();
    let texts: Vec<_> =
        body.lines().map(|line| line.split_once(" web.1 - ").unwrap().1.to_owned()).collect();
    assert_eq!(header("logplex-msg-count:").parse(), Ok(texts.len()));
    assert_eq!(header("content-type:"), "application/logplex-1");
    assert_eq!(header("logplex-drain-token:"), "d.9173");
    (texts, headers)
}

async fn answer(stream: &mut BufReader<TcpStream>, status: &str) {
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.unwrap();
}

async fn next_of(hub: &Hub, process: &str) -> LogLine {
    let filter = LogFilter { process: Some(process.into()), source: None };
    let mut session = hub.session("owl", filter, 10, true);
    soon(session.next()).await.unwrap().1
}

#[tokio::test]
async fn lines_go_over_syslog_counted_and_with_the_drains_token() {
    let (listener, port) = listen().await;
    let hub = Arc::new(Hub::in_memory(&Limits::default()));
    let drain = drain(&format!("syslog://127.0.0.1:{port}"));
    let arrived = Arc::clone(&drain.arrived);
    hub.write("owl", line("before the drain"));
    let task = tokio::spawn(Arc::clone(&hub).drain(drain));
    tokio::task::yield_now().await;
    hub.write("owl", line("Grüezi"));
    hub.write("cat", line("of another app"));
    hub.write("owl", line("two"));
    let mut stream = accept(&listener).await;
    let time = "1970-01-01T00:00:00.000001+00:00";
    assert_eq!(frame(&mut stream).await, format!("<190>1 {time} d.9173 app web.1 - - Grüezi\n"));
    assert_eq!(frame(&mut stream).await, format!("<190>1 {time} d.9173 app web.1 - - two\n"));
    // The other side goes away, and comes back.
    drop(stream);
    soon(async {
        while arrived.load(Ordering::Relaxed) != 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    hub.write("owl", line("three"));
    let mut stream = accept(&listener).await;
    assert!(frame(&mut stream).await.ends_with(" three\n"));
    task.abort();
}

#[tokio::test]
async fn a_batch_is_sent_until_it_is_taken_and_no_line_is_lost_or_doubled() {
    let (listener, port) = listen().await;
    let hub = Arc::new(Hub::in_memory(&Limits::default()));
    let drain = drain(&format!("http://me:secret@127.0.0.1:{port}/in?key=1"));
    let task = tokio::spawn(Arc::clone(&hub).drain(drain));
    tokio::task::yield_now().await;
    for number in 0..3 {
        hub.write("owl", line(number.to_string()));
    }
    let mut stream = accept(&listener).await;
    let (texts, headers) = request(&mut stream).await;
    assert_eq!(texts, ["0", "1", "2"]);
    assert!(headers.starts_with("post /in?key=1 http/1.1\r\n"), "{headers}");
    assert!(headers.contains("authorization: basic bwu6c2vjcmv0"), "{headers}");
    let id = |headers: &str| {
        headers.lines().find(|line| line.starts_with("logplex-frame-id")).unwrap().to_owned()
    };
    answer(&mut stream, "503 Busy").await;
    let told = next_of(&hub, "logplex").await.text;
    let place = format!("The drain http://127.0.0.1:{port} takes no lines: it answers 503.");
    assert!(told.starts_with(&place), "{told}");
    assert!(!told.contains("secret") && !told.contains("key=1"), "{told}");
    hub.write("owl", line("3"));
    // The same again, and only then what came meanwhile.
    let (again, headers_again) = request(&mut stream).await;
    assert_eq!((again, id(&headers_again)), (texts, id(&headers)));
    answer(&mut stream, "204 No Content").await;
    let mut body = String::new();
    while !body.contains(" web.1 - 3\n") {
        let mut headers = String::new();
        while !headers.ends_with("\r\n\r\n") {
            assert_ne!(soon(stream.read_line(&mut headers)).await.unwrap(), 0);
        }
        let headers = headers.to_ascii_lowercase();
        let length = headers.lines().find_map(|h| h.strip_prefix("content-length: ")).unwrap();
        let mut more = vec![0; length.parse().unwrap()];
        soon(stream.read_exact(&mut more)).await.unwrap();
        body += &String::from_utf8(more).unwrap();
        answer(&mut stream, "200 OK").await;
    }
    assert_eq!(body.matches(" web.1 - ").count(), 1, "{body}");
    task.abort();
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_sent_again() {
    let (listener, port) = listen().await;
    let hub = Arc::new(Hub::in_memory(&Limits::default()));
    let task = tokio::spawn(Arc::clone(&hub).drain(drain(&format!("http://127.0.0.1:{port}/"))));
    tokio::task::yield_now().await;
    hub.write("owl", line("refused"));
    let mut stream = accept(&listener).await;
    assert_eq!(request(&mut stream).await.0, ["refused"]);
    answer(&mut stream, "400 Bad Request").await;
    hub.write("owl", line("next"));
    assert_eq!(request(&mut stream).await.0, ["next"]);
    task.abort();
}

#[tokio::test]
async fn of_a_drain_that_stays_closed_the_oldest_lines_go_and_are_counted() {
    let (listener, port) = listen().await;
    let limits = Limits { log_history: 10, ..Limits::default() };
    let hub = Arc::new(Hub::in_memory(&limits));
    for number in 1..=30 {
        hub.write("owl", line(number.to_string()));
    }
    let drain = Drain { after: Some(5), ..drain(&format!("syslog://127.0.0.1:{port}")) };
    let task = tokio::spawn(Arc::clone(&hub).drain(drain));
    let mut stream = accept(&listener).await;
    let first = frame(&mut stream).await;
    assert!(first.starts_with("<172>1 ") && first.contains(" d.9173 heroku logplex - - "));
    let told = "Error L10 (output buffer overflow): 15 messages dropped since ";
    assert!(first.contains(told), "{first}");
    for number in 21..=30 {
        assert!(frame(&mut stream).await.ends_with(&format!(" {number}\n")));
    }
    task.abort();
}

#[tokio::test]
async fn the_servers_own_addresses_are_not_reached_for_users() {
    let (listener, port) = listen().await;
    let hub = Arc::new(Hub::in_memory(&Limits::default()));
    for url in [format!("http://localhost:{port}/"), format!("syslog://127.0.0.1:{port}")] {
        let drain = Drain { outbound: Outbound::default(), ..drain(&url) };
        let task = tokio::spawn(Arc::clone(&hub).drain(drain));
        tokio::task::yield_now().await;
        hub.write("owl", line("secret"));
        let told = next_of(&hub, "logplex").await.text;
        assert!(told.contains("is an address that is not reached for users"), "{told}");
        task.abort();
    }
    let met = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(met.is_err(), "nobody connected");
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_an_l14() {
    let (listener, port) = listen().await;
    let named = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key =
        rustls::pki_types::PrivateKeyDer::try_from(named.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![named.cert.der().clone()], key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    for scheme in ["https", "syslog+tls"] {
        let hub = Arc::new(Hub::in_memory(&Limits::default()));
        let drain = drain(&format!("{scheme}://localhost:{port}"));
        let allow = ["127.0.0.1", "::1"].map(|net| net.parse().unwrap()).into();
        let drain = Drain { outbound: Outbound { allow }, ..drain };
        let task = tokio::spawn(Arc::clone(&hub).drain(drain));
        tokio::task::yield_now().await;
        hub.write("owl", line("for whom?"));
        let told = next_of(&hub, "logplex").await.text;
        assert!(told.starts_with("Error L14 (certificate error): error="), "{scheme}: {told}");
        assert!(told.ends_with(&format!("uri=\"{scheme}://localhost:{port}\"")), "{told}");
        task.abort();
    }
    server.abort();
}
