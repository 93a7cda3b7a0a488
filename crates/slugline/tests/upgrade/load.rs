//! Clients that ask all the time: some over a new connection each time, some over one that they
//! keep for as long as the router lets them.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::scene::Scene;

#[derive(Default)]
pub(crate) struct Load {
    over: AtomicBool,
    answered: AtomicUsize,
    lost: Mutex<Vec<String>>,
}

impl Load {
    /// Asks while something else goes on; not one request may be lost.
    pub(crate) fn while_doing(scene: &Scene, work: impl FnOnce()) {
        let load = Self::default();
        std::thread::scope(|scope| {
            for path in ["/", "/slow"] {
                scope.spawn(|| load.ask(|| ask_once(scene, path)));
                scope.spawn(|| {
                    let mut kept = None;
                    load.ask(|| ask_again(scene, path, &mut kept));
                });
            }
            let over = Over(&load.over);
            work();
            drop(over);
        });
        let lost = load.lost.lock().unwrap();
        let answered = load.answered.load(Ordering::Relaxed);
        assert!(lost.is_empty(), "{} of {answered} were lost: {lost:?}", lost.len());
        assert!(answered > 30, "{answered} are no load");
    }

    fn ask(&self, mut once: impl FnMut() -> io::Result<()>) {
        while !self.over.load(Ordering::Relaxed) {
            match once() {
                Ok(()) => drop(self.answered.fetch_add(1, Ordering::Relaxed)),
                Err(error) => self.lost.lock().unwrap().push(error.to_string()),
            }
        }
    }
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn ask_once(scene: &Scene, path: &str) -> io::Result<()> {
    let answer = scene.try_get(path)?;
    if answer.status == 200 { Ok(()) } else { Err(io::Error::other(answer.text())) }
}

/// Keeps its connection until an answer says that it was the last one.
fn ask_again(scene: &Scene, path: &str, kept: &mut Option<TcpStream>) -> io::Result<()> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => TcpStream::connect(("127.0.0.1", scene.port))?,
    };
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    let port = scene.port;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: owl.localhost:{port}\r\n\r\n")?;
    let mut answer = Vec::new();
    let mut buffer = [0; 1_024];
    // All bodies are as short as `web.1`.
    while !answer.ends_with(b"web.1") && !answer.ends_with(b"web.2") {
        match stream.read(&mut buffer)? {
            0 => return Err(io::Error::other(String::from_utf8_lossy(&answer).into_owned())),
            length => answer.extend(&buffer[..length]),
        }
    }
    let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    if !text.starts_with("http/1.1 200") {
        return Err(io::Error::other(text));
    }
    if !text.contains("connection: close") {
        *kept = Some(stream);
    }
    Ok(())
}
