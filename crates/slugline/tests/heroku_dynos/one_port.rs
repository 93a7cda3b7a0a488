//! All that clients of the API want is at one port: the API, git, streams, and one-off dynos.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::scene;
use crate::support::account::Account;
use crate::support::server::Server;

/// What a one-off dyno says to whoever comes with its token.
fn met(port: u16, token: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    // As it may come: in pieces.
    let (first, rest) = token.split_at(1);
    stream.write_all(first.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    stream.write_all(format!("{rest}\r\n").as_bytes()).unwrap();
    let mut said = String::new();
    let _ = stream.read_to_string(&mut said);
    said
}

#[test]
fn a_one_off_dyno_is_met_at_the_port_of_the_api() {
    let scene = scene(&Account::all()[0]);
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let api = server.api();
    let asked = json!({ "command": "echo well met", "attach": true });
    let dyno = api.json("POST", "/apps/owl/dynos", &asked);
    let url = dyno["attach_url"].as_str().unwrap();
    let (host, token) = url.strip_prefix("rendezvous://").unwrap().split_once('/').unwrap();
    assert_eq!(host, format!("127.0.0.1:{}", scene.api_port), "where the client came from");
    let mut wrong = token.to_owned();
    wrong.replace_range(..1, if token.starts_with('0') { "1" } else { "0" });
    assert_eq!(met(scene.api_port, &wrong), "", "nobody is met by another token");
    let said = met(scene.api_port, token);
    assert!(said.starts_with("rendezvous\r\n") && said.contains("well met"), "{said:?}");
    assert_eq!(met(scene.api_port, token), "", "nor a second time");
    // A request that comes in pieces is one, too.
    let mut stream = TcpStream::connect(("127.0.0.1", scene.api_port)).unwrap();
    for part in ["G", "ET /regions HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n\r\n"] {
        stream.write_all(part.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    assert_ne!(api.get("/apps/owl"), Value::Null);
}
