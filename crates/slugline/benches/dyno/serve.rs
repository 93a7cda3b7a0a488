//! From being asked for to the first byte of a Python server's answer.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use slugline_model::dyno::Event;
use slugline_model::port::Engine as _;
use slugline_model::slug::SlugView;

use crate::Failed;
use crate::host::{self, Host};
use crate::rows::{self, Row};

/// Answers by its own hands: what comes with Python looks its own name up first.
const SERVER: &str = "import os, socket\n\
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n\
    s.bind(('127.0.0.1', int(os.environ['PORT']))); s.listen()\n\
    while True:\n\
    \x20   c, _ = s.accept(); c.recv(999); c.sendall(b'HTTP/1.1 200 OK\\r\\n\\r\\nok'); c.close()\n";

const PAUSE: Duration = Duration::from_micros(300);

pub(crate) fn answer(directory: &Path) -> Result<(), Failed> {
    let slug = directory.join("server");
    std::fs::create_dir_all(slug.join("app"))?;
    std::fs::write(slug.join("app/server.py"), SERVER)?;
    let script = slug.join("app/server.py");
    let bare = Row::new("python3, and nothing around it", move || bare(&script));
    let host = Rc::new(Host::open(&directory.join("dynos-server"))?);
    let view = SlugView::Tree(slug);
    let beside = host::spec(&view, "exec sleep 3600")?;
    host.engine.start(&beside)?;
    host.wait(beside.id, |event| (*event == Event::Up).then_some(()))?;
    let measured = Rc::clone(&host);
    let dyno = Row::new("python3 in a dyno", move || in_a_dyno(&measured, &view));
    rows::measure("From the call to the first byte of an answer", 15, &mut [bare, dyno]);
    host.engine.stop(beside.id)?;
    host.wait_for_end(beside.id)
}

fn bare(script: &Path) -> Result<Duration, Failed> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let started = Instant::now();
    let mut server = Command::new("python3")
        .arg(script)
        .env_clear()
        // The dyno's: a shell's may lead to a script that looks for a Python first.
        .env("PATH", host::PATH)
        .env("PORT", port.to_string())
        .stdin(Stdio::null())
        .spawn()?;
    let answered = ask(|| Ok(TcpStream::connect(("127.0.0.1", port))?));
    let time = started.elapsed();
    server.kill()?;
    server.wait()?;
    answered.map(|()| time)
}

fn in_a_dyno(host: &Host, slug: &SlugView) -> Result<Duration, Failed> {
    let mut spec = host::spec(slug, "exec python3 server.py")?;
    spec.port = Some(8_765);
    let started = Instant::now();
    host.engine.start(&spec)?;
    let answered = ask(|| {
        let socket = host.engine.dial(spec.id)?;
        rustix::io::ioctl_fionbio(&socket, false)?;
        let place = std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 8_765);
        rustix::net::connect(&socket, &place)?;
        Ok(TcpStream::from(socket))
    });
    let time = started.elapsed();
    host.engine.stop(spec.id)?;
    host.wait_for_end(spec.id)?;
    answered.map(|()| time)
}

/// Asks until there is an answer, and reads its first byte.
fn ask(connect: impl Fn() -> Result<TcpStream, Failed>) -> Result<(), Failed> {
    let started = Instant::now();
    loop {
        match connect() {
            Ok(mut stream) => {
                stream.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
                return Ok(stream.read_exact(&mut [0])?);
            }
            Err(error) if started.elapsed() > Duration::from_secs(10) => return Err(error),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}
