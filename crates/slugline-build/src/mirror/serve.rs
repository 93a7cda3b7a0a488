//! Directories served by HTTP on loopback, for the program that our binary stands in for.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread;

/// The most bytes that a request's head may have.
const HEAD_LIMIT: u64 = 64 * 1024;

/// Starts serving, for as long as this process lives; gives the port. `/1/x` is the file `x` of the
/// second directory.
pub(super) fn start(directories: Vec<Option<PathBuf>>) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let directories = Arc::new(directories);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let directories = Arc::clone(&directories);
            // A client that went away is nobody's concern.
            thread::spawn(move || answer(&stream, &directories));
        }
    });
    Ok(port)
}

fn answer(stream: &TcpStream, directories: &[Option<PathBuf>]) -> io::Result<()> {
    let mut lines = BufReader::new(stream.take(HEAD_LIMIT)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut start = 0;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        start = range_start(&line).unwrap_or(start);
    }
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !matches!(method, "GET" | "HEAD") {
        return refuse(stream, "405 Method Not Allowed", method);
    }
    let Some(mut file) = find(target, directories).and_then(|path| File::open(path).ok()) else {
        return refuse(stream, "404 Not Found", method);
    };
    let length = file.metadata()?.len();
    if start > 0 && start >= length {
        return refuse(stream, "416 Range Not Satisfiable", method);
    }
    file.seek(SeekFrom::Start(start))?;
    let part = if start == 0 {
        "200 OK\r\n".to_owned()
    } else {
        format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{length}\r\n", length - 1)
    };
    let head = format!(
        "HTTP/1.1 {part}Content-Length: {}\r\nContent-Type: application/octet-stream\r\n\
         Accept-Ranges: bytes\r\nConnection: close\r\n\r\n",
        length - start
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    if method == "GET" {
        io::copy(&mut file, &mut stream)?;
    }
    Ok(())
}

/// Where `Range: bytes=12-` starts. Other ranges are answered whole, as a server may.
fn range_start(line: &str) -> Option<u64> {
    let (name, value) = line.split_once(':')?;
    let open = value.trim().strip_prefix("bytes=")?.strip_suffix('-')?;
    name.eq_ignore_ascii_case("range").then(|| open.parse().ok()).flatten()
}

fn refuse(mut stream: &TcpStream, status: &str, method: &str) -> io::Result<()> {
    let body = format!("{status}\n");
    let shown = if method == "HEAD" { "" } else { &body };
    let head = format!("Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(format!("HTTP/1.1 {status}\r\n{head}{shown}").as_bytes())
}

/// The regular file that a request asks for, which lies in its directory, links followed.
fn find(target: &str, directories: &[Option<PathBuf>]) -> Option<PathBuf> {
    let path = target.split(['?', '#']).next()?.strip_prefix('/')?;
    let (index, rest) = path.split_once('/')?;
    let root = directories.get(index.parse::<usize>().ok()?)?.as_ref()?.canonicalize().ok()?;
    let below = decoded(rest)?;
    let below = Path::new(&below);
    let plain = below.components().all(|part| matches!(part, Component::Normal(_)));
    let found = plain.then(|| root.join(below).canonicalize().ok()).flatten()?;
    (found.starts_with(&root) && found.is_file()).then_some(found)
}

/// `%20` and the like.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_a_directory_is_found() {
        let root = tempfile::tempdir().unwrap();
        let (inside, outside) = (root.path().join("in"), root.path().join("secret"));
        fs_err::create_dir_all(inside.join("a b")).unwrap();
        fs_err::write(inside.join("a b/x+y"), "").unwrap();
        fs_err::write(&outside, "").unwrap();
        fs_err::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        fs_err::os::unix::fs::symlink("a b/x+y", inside.join("near")).unwrap();
        let directories = [None, Some(inside)];
        let finds = |target| find(target, &directories).is_some();
        assert!(finds("/1/a%20b/x+y?query") && finds("/1/near"));
        for target in [
            "/1/../secret",
            "/1/%2e%2e/secret",
            "/1/link",
            "/1//etc/passwd",
            "/0/x",
            "/2/x",
            "/1/a%20b",
            "/1/",
            "/1",
            "/1/%zz",
        ] {
            assert!(!finds(target), "{target}");
        }
    }

    #[test]
    fn only_an_open_range_is_a_start() {
        assert_eq!(range_start("Range: bytes=12-"), Some(12));
        assert_eq!(range_start("range: bytes=1-5"), None);
        assert_eq!(range_start("Accept: */*"), None);
    }
}
