//! A way to the S3 server that counts, and that breaks as a test wants it to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What is done to a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// It is passed on, and so is its answer.
    None,
    /// Nobody sees it; this is answered: the status, and the body.
    Answer(u16, &'static str),
    /// The answer's body ends after so many bytes.
    Cut(usize),
    /// The lowest bit of the answer's last byte is turned over.
    Flip,
    /// It is never answered.
    Hang,
    /// The connection is closed at once.
    Close,
}

/// A request that came by.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `PUT`.
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    /// Of the request's body (bytes).
    pub(crate) sent: usize,
    /// Of the answer, with its head (bytes).
    pub(crate) received: usize,
    /// Whether it was passed on as it was, and so was its answer.
    pub(crate) whole: bool,
}

type Rule = Box<dyn FnMut(&Seen) -> Fault + Send>;

#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    rule: Arc<Mutex<Rule>>,
}

impl Proxy {
    /// On a port of its own, before a server on another. It serves until the process ends.
    pub(crate) fn new(to: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let rule: Rule = Box::new(|_| Fault::None);
        let proxy = Self { port, seen: Arc::default(), rule: Arc::new(Mutex::new(rule)) };
        let serving = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let proxy = serving.clone();
                // A client that goes away takes its answer with it.
                thread::spawn(move || proxy.serve(client, to).ok());
            }
        });
        proxy
    }

    /// From now on, requests fare so.
    pub(crate) fn break_by(&self, rule: impl FnMut(&Seen) -> Fault + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    pub(crate) fn heal(&self) {
        self.break_by(|_| Fault::None);
    }

    /// The requests since the last call.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// One request for each connection: then nothing has to be parsed but the request's head.
    fn serve(&self, mut client: TcpStream, to: u16) -> std::io::Result<()> {
        let (head, body) = read_request(&mut client)?;
        let mut words = head.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut seen = Seen { method, path, sent: body.len(), received: 0, whole: false };
        let fault = (self.rule.lock().unwrap())(&seen);
        let mut answer = match fault {
            Fault::Close => Vec::new(),
            Fault::Hang => {
                self.seen.lock().unwrap().push(seen);
                // Until the client gives up.
                let _ = client.read(&mut [0])?;
                return Ok(());
            }
            Fault::Answer(status, body) => format!(
                "HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            )
            .into_bytes(),
            Fault::None | Fault::Cut(_) | Fault::Flip => pass_on(&head, &body, to)?,
        };
        let start = answer.windows(4).position(|w| w == b"\r\n\r\n").map_or(0, |at| at + 4);
        match fault {
            Fault::Cut(after) => answer.truncate(start + after),
            Fault::Flip if answer.len() > start => *answer.last_mut().unwrap() ^= 1,
            _ => {}
        }
        seen.received = answer.len();
        seen.whole = matches!(fault, Fault::None);
        self.seen.lock().unwrap().push(seen);
        client.write_all(&answer)?;
        client.shutdown(Shutdown::Both)
    }
}

fn read_request(client: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        let read = client.read(&mut buffer)?;
        bytes.extend_from_slice(&buffer[..read]);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
            let length = header(&head, "content-length").and_then(|l| l.parse().ok()).unwrap_or(0);
            let mut body = bytes.split_off(end + 4);
            let have = body.len();
            body.resize(length, 0);
            client.read_exact(&mut body[have..])?;
            return Ok((head, body));
        }
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The whole answer, whose connection ends with it.
fn pass_on(head: &str, body: &[u8], to: u16) -> std::io::Result<Vec<u8>> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, to))?;
    let is_connection = |line: &&str| line.to_ascii_lowercase().starts_with("connection:");
    let lines: Vec<&str> = head.lines().filter(|line| !is_connection(line)).collect();
    write!(server, "{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"))?;
    server.write_all(body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    Ok(answer)
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
