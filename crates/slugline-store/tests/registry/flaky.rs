//! Connections that break: a proxy before a real registry, and a registry of ours that keeps what
//! has arrived of a piece, as the specification lets it.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256};

/// Passes connections on, and breaks them.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    sent: Arc<AtomicUsize>,
    cuts: Arc<Mutex<Vec<usize>>>,
}

impl Proxy {
    /// Each cut is how many bytes some connection may send before it breaks, the first one first.
    pub(crate) fn start(to: u16, cuts: &[usize]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = Arc::<AtomicUsize>::default();
        let cuts = Arc::new(Mutex::new(cuts.to_vec()));
        let (counted, shared) = (Arc::clone(&sent), Arc::clone(&cuts));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let (back, front) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || drop(pass(back, front)));
                let (counted, shared) = (Arc::clone(&counted), Arc::clone(&shared));
                std::thread::spawn(move || cut(client, server, &counted, &shared));
            }
        });
        Self { port, sent, cuts }
    }

    /// How much clients have sent (bytes).
    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    pub(crate) fn cuts_left(&self) -> usize {
        self.cuts.lock().unwrap().len()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) -> std::io::Result<()> {
    let copied = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    copied.map(drop)
}

fn cut(mut from: TcpStream, mut to: TcpStream, sent: &AtomicUsize, cuts: &Mutex<Vec<usize>>) {
    let (mut buffer, mut passed) = (vec![0; 1 << 14], 0);
    while let Ok(read) = from.read(&mut buffer) {
        if read == 0 || to.write_all(&buffer[..read]).is_err() {
            break;
        }
        sent.fetch_add(read, Ordering::SeqCst);
        passed += read;
        let mut cuts = cuts.lock().unwrap();
        if cuts.first().is_some_and(|cut| passed >= *cut) {
            cuts.remove(0);
            let _ = from.shutdown(Shutdown::Both);
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// What the registry of ours has.
#[derive(Default)]
struct Kept {
    blobs: HashMap<String, Vec<u8>>,
    manifests: HashMap<String, Vec<u8>>,
    uploads: Vec<Vec<u8>>,
    /// Bytes of pieces that came, and of blobs that went.
    taken: usize,
    given: usize,
    /// After so many bytes of pieces, or of blobs, in all, a connection breaks.
    upload_cuts: Vec<usize>,
    download_cuts: Vec<usize>,
}

/// A registry that keeps what has arrived of a piece, and knows ranges.
pub(crate) struct Flaky {
    pub(crate) port: u16,
    kept: Arc<Mutex<Kept>>,
}

impl Flaky {
    /// Each cut is how many bytes of pieces come before a connection breaks, from the cut before.
    pub(crate) fn start(cuts: &[usize]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = Kept { upload_cuts: cuts.to_vec(), ..Kept::default() };
        let kept = Arc::new(Mutex::new(kept));
        let shared = Arc::clone(&kept);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(client, &shared));
            }
        });
        Self { port, kept }
    }

    /// How many bytes of pieces were taken, and how many bytes the blobs have.
    pub(crate) fn taken(&self) -> (usize, usize) {
        let kept = self.kept.lock().unwrap();
        (kept.taken, kept.blobs.values().map(Vec::len).sum())
    }

    /// How many bytes of blobs were given.
    pub(crate) fn given(&self) -> usize {
        self.kept.lock().unwrap().given
    }

    pub(crate) fn cuts_left(&self) -> usize {
        let kept = self.kept.lock().unwrap();
        kept.upload_cuts.len() + kept.download_cuts.len()
    }

    pub(crate) fn cut_downloads(&self, cuts: &[usize]) {
        self.kept.lock().unwrap().download_cuts = cuts.to_vec();
    }

    /// Changes a byte of each blob.
    pub(crate) fn damage(&self) {
        self.kept.lock().unwrap().blobs.values_mut().for_each(|blob| blob[20] ^= 1);
    }
}

struct Request {
    method: String,
    path: String,
    query: String,
    length: usize,
    /// Where a range begins.
    from: usize,
    body: BufReader<TcpStream>,
}

fn read_request(stream: TcpStream) -> Option<Request> {
    let mut body = BufReader::new(stream);
    let mut line = String::new();
    body.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, url) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = url.split_once('?').unwrap_or((&url, ""));
    let (mut length, mut from) = (0, 0);
    loop {
        let mut header = String::new();
        body.read_line(&mut header).ok()?;
        let header = header.trim_end().to_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        if let Some(value) = header.strip_prefix("range: bytes=") {
            from = value.trim_end_matches('-').parse().unwrap();
        }
    }
    let (path, query) = (path.to_owned(), query.to_owned());
    Some(Request { method, path, query, length, from, body })
}

/// One request a connection.
fn serve(stream: TcpStream, kept: &Mutex<Kept>) {
    let mut out = stream.try_clone().unwrap();
    let Some(mut request) = read_request(stream) else { return };
    let Some((head, body)) = answer(&mut request, kept) else {
        // As a broken connection.
        return drop(out.shutdown(Shutdown::Both));
    };
    let _ = out.write_all(format!("HTTP/1.1 {head}\r\nConnection: close\r\n").as_bytes());
    if !head.contains("Content-Length") {
        let _ = out.write_all(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    let _ = out.write_all(b"\r\n");
    if request.method != "HEAD" {
        let _ = out.write_all(&body);
    }
    let _ = out.shutdown(Shutdown::Both);
}

fn answer(request: &mut Request, kept: &Mutex<Kept>) -> Option<(String, Vec<u8>)> {
    let path = request.path.clone();
    let name = path.rsplit('/').next().unwrap().to_owned();
    let found = |bytes: Option<Vec<u8>>| match bytes {
        Some(bytes) => ("200 OK".to_owned(), bytes),
        None => ("404 Not Found".to_owned(), vec![]),
    };
    match (request.method.as_str(), path.contains("/uploads/"), path.contains("/manifests/")) {
        ("POST", true, _) => {
            let mut kept = kept.lock().unwrap();
            kept.uploads.push(vec![]);
            Some(accepted(kept.uploads.len() - 1, 0))
        }
        ("PATCH", true, _) => piece(request, name.parse().unwrap(), kept),
        ("GET", true, _) => {
            let number = name.parse().unwrap();
            Some(accepted(number, kept.lock().unwrap().uploads[number].len()))
        }
        ("PUT", true, _) => {
            let mut kept = kept.lock().unwrap();
            let blob = std::mem::take(&mut kept.uploads[name.parse::<usize>().unwrap()]);
            let hex = format!("{:x}", Sha256::digest(&blob));
            assert!(request.query.contains(&hex), "{} is {hex}", request.query);
            kept.blobs.insert(format!("sha256:{hex}"), blob);
            Some(("201 Created".to_owned(), vec![]))
        }
        ("PUT", false, true) => {
            let mut manifest = vec![0; request.length];
            request.body.read_exact(&mut manifest).ok()?;
            kept.lock().unwrap().manifests.insert(name, manifest);
            Some(("201 Created".to_owned(), vec![]))
        }
        ("GET", false, true) => Some(found(kept.lock().unwrap().manifests.get(&name).cloned())),
        ("GET", false, false) => Some(blob(request.from, &name, kept)),
        ("HEAD", false, false) => Some(found(kept.lock().unwrap().blobs.get(&name).cloned())),
        other => panic!("{other:?} {path}"),
    }
}

fn accepted(number: usize, arrived: usize) -> (String, Vec<u8>) {
    let range = format!("0-{}", arrived.max(1) - 1);
    let location = format!("/v2/library/blobs/uploads/{number}");
    (format!("202 Accepted\r\nLocation: {location}\r\nRange: {range}"), vec![])
}

/// Takes a piece, or as much of it as comes before the next cut.
fn piece(request: &mut Request, number: usize, kept: &Mutex<Kept>) -> Option<(String, Vec<u8>)> {
    let cut = kept.lock().unwrap().upload_cuts.first().copied();
    let most = cut.map_or(request.length, |cut| cut.min(request.length));
    let mut bytes = vec![0; most];
    request.body.read_exact(&mut bytes).unwrap();
    let mut kept = kept.lock().unwrap();
    kept.taken += bytes.len();
    kept.uploads[number].extend(&bytes);
    if let Some(cut) = kept.upload_cuts.first_mut() {
        *cut -= most;
        if *cut == 0 {
            kept.upload_cuts.remove(0);
            return None;
        }
    }
    Some(accepted(number, kept.uploads[number].len()))
}

/// Gives a blob from a byte on, or as much of it as goes before the next cut: the length that it
/// tells is that of all.
fn blob(from: usize, name: &str, kept: &Mutex<Kept>) -> (String, Vec<u8>) {
    let mut kept = kept.lock().unwrap();
    let Some(blob) = kept.blobs.get(name).cloned() else {
        return ("404 Not Found".to_owned(), vec![]);
    };
    let rest = &blob[from..];
    let cut = kept.download_cuts.first().copied();
    let most = cut.map_or(rest.len(), |cut| cut.min(rest.len()));
    kept.given += most;
    if let Some(cut) = kept.download_cuts.first_mut() {
        *cut -= most;
        if *cut == 0 {
            kept.download_cuts.remove(0);
        }
    }
    let range = format!("bytes {from}-{}/{}", blob.len() - 1, blob.len());
    let status = if from > 0 { "206 Partial Content" } else { "200 OK" };
    let head = format!("{status}\r\nContent-Length: {}\r\nContent-Range: {range}", rest.len());
    (head, rest[..most].to_vec())
}
