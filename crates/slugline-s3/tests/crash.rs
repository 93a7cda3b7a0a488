//! A server that is killed in the middle of uploads: what it answered for is there, byte for byte, and
//! what it did not answer for is there whole or not at all.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod scene;

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use object_store::aws::AmazonS3;
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt as _, PutPayload};
use slugline_s3::{KeyPair, Storage};

use scene::{BUCKET, Place, listen, serve};

/// Tells a child, which is this program again, what to serve, and where.
const ROOT: &str = "S3_TEST_CHILD_ROOT";
const PORT: &str = "S3_TEST_CHILD_PORT";

/// How often the server is killed.
const KILLS: u64 = 200;
/// Uploads that go on at once.
const AT_ONCE: usize = 6;
/// Small ones lie in the index, others in a file each, and one kind comes in parts.
const SIZES: [usize; 4] = [100, 60_000, 300_000, 11 * 1024 * 1024];

/// The part of a child. False in the parent.
fn is_child() -> bool {
    let (Ok(root), Ok(port)) = (std::env::var(ROOT), std::env::var(PORT)) else { return false };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let storage = Storage::open(Path::new(&root)).unwrap();
        serve(storage, listen(port.parse().unwrap())).await;
    });
    true
}

struct Server(Child);

impl Server {
    fn start(root: &Path, port: u16) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "what_was_answered_for_survives_every_kill"])
            .env(ROOT, root)
            .env(PORT, port.to_string())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "the server does not get up");
            std::thread::sleep(Duration::from_millis(3));
        }
        Self(child)
    }
}

/// SIGKILL.
impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Bytes that tell which upload they are of.
fn content(number: u64) -> Vec<u8> {
    let size = SIZES[usize::try_from(number % 9).unwrap().min(3)];
    let mut reader = blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof();
    let mut bytes = vec![0; size];
    reader.fill(&mut bytes);
    bytes
}

/// Many uploads share a key: then one of them is there.
fn key(number: u64) -> Key {
    Key::from(if number.is_multiple_of(5) {
        format!("shared/{}", number % 3)
    } else {
        format!("own/{number}")
    })
}

async fn upload(s3: &AmazonS3, number: u64) -> object_store::Result<()> {
    let bytes = content(number);
    if bytes.len() < 5 * 1024 * 1024 {
        return s3.put(&key(number), PutPayload::from(bytes)).await.map(drop);
    }
    let mut parts = s3.put_multipart(&key(number)).await?;
    for part in bytes.chunks(5 * 1024 * 1024) {
        parts.put_part(PutPayload::from(part.to_vec())).await?;
    }
    parts.complete().await.map(drop)
}

/// What became of every upload so far.
#[derive(Default)]
struct Journal {
    /// By key: what was answered for last, and what was begun since.
    keys: HashMap<Key, (Option<u64>, Vec<u64>)>,
    answered: u64,
}

#[test]
fn what_was_answered_for_survives_every_kill() {
    if is_child() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let keys: KeyPair = runtime.block_on(async {
        let storage = Storage::open(directory.path()).unwrap();
        storage.create_bucket(BUCKET).await.unwrap()
    });
    let port = listen(0).local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let place = Place { server: "slugline", endpoint, bucket: BUCKET.to_owned(), keys };
    let s3 = Arc::new(place.store());
    let journal = Arc::new(Mutex::new(Journal::default()));
    let mut next = 0;
    for round in 0..KILLS {
        let server = Server::start(directory.path(), port);
        runtime.block_on(check(&s3, &journal, round));
        let uploads = (0..AT_ONCE).map(|_| {
            let (s3, journal, first) = (Arc::clone(&s3), Arc::clone(&journal), next);
            next += 1_000;
            runtime.spawn(async move {
                for number in first.. {
                    let begin = |journal: &mut Journal| {
                        journal.keys.entry(key(number)).or_default().1.push(number);
                    };
                    begin(&mut journal.lock().unwrap());
                    if upload(&s3, number).await.is_err() {
                        return;
                    }
                    answered(&mut journal.lock().unwrap(), number);
                }
            })
        });
        let uploads: Vec<_> = uploads.collect();
        // Anywhere in what goes on; a prime, so that no rhythm is met again and again.
        std::thread::sleep(Duration::from_millis(5 + round * 37 % 120));
        drop(server);
        runtime.block_on(join_all(uploads));
    }
    let server = Server::start(directory.path(), port);
    runtime.block_on(check_all(&s3, &journal));
    drop(server);
    nothing_is_left_over(directory.path(), &runtime);
    let answered = journal.lock().unwrap().answered;
    assert!(answered > KILLS, "only {answered} uploads were answered in {KILLS} rounds");
    eprintln!("{answered} uploads answered for in {KILLS} rounds, all of them there");
}

/// Uploads to a shared key that overlap may have come in either order.
fn answered(journal: &mut Journal, number: u64) {
    journal.answered += 1;
    let (last, begun) = journal.keys.entry(key(number)).or_default();
    if key(number).as_ref().starts_with("own/") {
        begun.retain(|one| *one != number);
    }
    *last = Some(number);
}

async fn check(s3: &AmazonS3, journal: &Mutex<Journal>, round: u64) {
    let some: Vec<Key> = {
        let journal = journal.lock().unwrap();
        let all = journal.keys.keys().cloned();
        all.enumerate().filter(|(n, _)| *n as u64 % 20 == round % 20).map(|(_, key)| key).collect()
    };
    for key in some {
        check_key(s3, journal, &key).await;
    }
}

async fn check_all(s3: &AmazonS3, journal: &Mutex<Journal>) {
    let all: Vec<Key> = journal.lock().unwrap().keys.keys().cloned().collect();
    for key in all {
        check_key(s3, journal, &key).await;
    }
}

async fn check_key(s3: &AmazonS3, journal: &Mutex<Journal>, key: &Key) {
    let (last, begun) = journal.lock().unwrap().keys[key].clone();
    let got = match s3.get(key).await {
        Ok(got) => got.bytes().await.unwrap(),
        Err(object_store::Error::NotFound { .. }) => {
            assert!(last.is_none(), "{key}: {last:?} was answered for, and is gone");
            return;
        }
        Err(error) => panic!("{key}: {error}"),
    };
    let is_one = last.into_iter().chain(begun).any(|number| content(number) == got);
    assert!(is_one, "{key} is {} bytes that nobody put there", got.len());
}

/// The index and the disk agree, and nothing lies about that no object needs.
fn nothing_is_left_over(root: &Path, runtime: &tokio::runtime::Runtime) {
    let count = runtime.block_on(async {
        let storage = Storage::open(root).unwrap();
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            let count = storage.files().await.unwrap();
            if count.on_disk == count.known || Instant::now() > end {
                return count;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert_eq!(count.on_disk, count.known);
    assert_eq!(std::fs::read_dir(root.join("incoming")).unwrap().count(), 0);
}
