//! Talking to commands in dynos, and reaching into their networks.

use std::time::Duration;

use slugline_model::dyno::{Event, ExecRequest, Streams, TerminalSize};
use slugline_model::port::{Engine as _, Session};

use crate::scene::Host;

fn read_all(session: &Session) -> String {
    let mut text = Vec::new();
    let mut buffer = [0; 4_096];
    // A terminal ends with EIO.
    while let Ok(length @ 1..) = rustix::io::read(&session.stream, &mut buffer) {
        text.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8(text).unwrap()
}

fn status(session: &Session) -> String {
    let mut buffer = [0; 16];
    let length = rustix::io::read(&session.end, &mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

#[test]
fn a_command_in_a_live_dyno_sees_its_files_and_gives_its_status() {
    let host = Host::new();
    let mut spec = host.spec("echo written > /app/file; exec sleep 600");
    spec.env.insert("A".into(), "own".into());
    host.engine.start(&spec).unwrap();
    let exec = |command: &str, terminal| {
        let env = [("HOME", "/app"), ("PATH", "/usr/bin:/bin"), ("TERM", "xterm")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let request = ExecRequest { command: command.to_owned(), env, terminal };
        host.engine.exec(spec.id, &request).unwrap()
    };
    let plain =
        exec("until [ -s file ]; do sleep 0.01; done; cat file; echo ${A:-none} >&2; exit 7", None);
    assert_eq!((read_all(&plain).as_str(), status(&plain).as_str()), ("written\nnone\n", "7\n"));
    let terminal = exec("tty; stty size", Some(TerminalSize { columns: 91, rows: 33 }));
    assert_eq!(read_all(&terminal), "/dev/pts/0\r\n33 91\r\n");
    assert_eq!(status(&terminal), "0\n");
    // Ctrl-C reaches the command alone.
    let cat = exec("cat", Some(TerminalSize { columns: 80, rows: 24 }));
    std::thread::sleep(Duration::from_millis(300));
    rustix::io::write(&cat.stream, b"\x03").unwrap();
    assert_eq!(status(&cat), "130\n");
    // Whoever leaves takes what he started with him.
    let left = exec("sleep 601", None);
    drop(left);
    let gone =
        exec("while pgrep -f 'sleep [6]01' >/dev/null; do sleep 0.05; done; echo gone", None);
    assert!(read_all(&gone).contains("gone"));
    host.engine.stop(spec.id).unwrap();
    host.outcome(spec.id);
}

#[test]
fn a_one_off_dyno_talks_to_whoever_attaches_and_to_nobody_else() {
    let host = Host::new();
    let mut spec = host.spec("read line; echo \"got $line\"; stty size; exit 3");
    spec.streams = Streams::Terminal(TerminalSize { columns: 100, rows: 40 });
    host.engine.start(&spec).unwrap();
    let session = host.engine.attach(spec.id).unwrap();
    assert!(host.engine.attach(spec.id).is_err(), "there is one terminal");
    rustix::io::write(&session.stream, b"hello\n").unwrap();
    let said = read_all(&session);
    assert_eq!(said, "hello\r\ngot hello\r\n40 100\r\n");
    assert_eq!(status(&session), "3\n");
    let outcome = host.outcome(spec.id);
    assert_eq!((outcome.status, outcome.lines), (Some(3), vec![]));
}

#[test]
fn a_command_that_has_ended_waits_for_whoever_is_to_attach() {
    let host = Host::new();
    for terminal in [None, Some(TerminalSize { columns: 80, rows: 24 })] {
        let mut spec = host.spec("echo quick; exit 5");
        spec.streams = terminal.map_or(Streams::Attached, Streams::Terminal);
        host.engine.start(&spec).unwrap();
        std::thread::sleep(Duration::from_millis(500));
        let session = host.engine.attach(spec.id).unwrap();
        assert_eq!(status(&session), "5\n");
        assert_eq!(read_all(&session).trim_end(), "quick");
        assert_eq!(host.outcome(spec.id).status, Some(5));
    }
}

#[test]
fn a_dyno_is_dialled_in_its_own_network() {
    let host = Host::new();
    let mut spec = host.spec("exec python3 -m http.server --bind 127.0.0.1 $PORT");
    spec.port = Some(8_765);
    spec.env.insert("PORT".into(), "8765".into());
    host.engine.start(&spec).unwrap();
    host.wait_for(&Event::Up);
    for _ in 0..20 {
        let socket = host.engine.dial(spec.id).unwrap();
        rustix::io::ioctl_fionbio(&socket, false).unwrap();
        let place = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 8_765);
        rustix::net::connect(&socket, &place).unwrap();
    }
    host.engine.stop(spec.id).unwrap();
    host.outcome(spec.id);
}
