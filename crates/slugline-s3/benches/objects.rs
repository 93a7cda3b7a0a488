//! Objects in and out over HTTP, synced: 64 KB and 1 MB, one client and several, beside what the disk
//! does without a server (a file written, synced, and renamed), and beside Ceph's radosgw, whose OSD
//! keeps them in a file on the same disk.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail anywhere")]

#[path = "../tests/scene/radosgw.rs"]
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod radosgw;

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt as _, PutPayload};
use slugline_s3::{Server, Storage};

use radosgw::{Disk, OWNER, Radosgw};

/// How long each number is measured.
const TIME: Duration = Duration::from_secs(4);
const CLIENTS: [usize; 2] = [1, 8];
const SIZES: [(usize, &str); 2] = [(64 * 1024, "64 KB"), (1024 * 1024, "1 MB")];

fn main() {
    // Another part of the program may have chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::Builder::new().tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ours = runtime.block_on(ours(directory.path()));
    let cluster = Radosgw::start(Path::new(env!("CARGO_TARGET_TMPDIR")), Disk::File);
    cluster.make_bucket(OWNER, "bench");
    let other = client(&cluster.endpoint(), "bench", OWNER.key, OWNER.secret);
    for (size, name) in SIZES {
        println!(
            "{name}: a file, synced and renamed: {:.0} a second",
            files(directory.path(), size)
        );
        for clients in CLIENTS {
            for (server, s3) in [("slugline", &ours), ("radosgw", &other)] {
                let put = runtime.block_on(each(s3, clients, size, true));
                let get = runtime.block_on(each(s3, clients, size, false));
                println!(
                    "{name}, {clients} clients, {server}: {put:.0} puts, {get:.0} gets a second"
                );
            }
        }
    }
}

async fn ours(directory: &Path) -> Arc<AmazonS3> {
    let storage = Storage::open(&directory.join("s3")).unwrap();
    let keys = storage.create_bucket("bench").await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::new(storage, vec![], "us-east-1");
    tokio::spawn(server.serve(vec![listener], std::future::pending()));
    client(&endpoint, "bench", &keys.name, &keys.secret)
}

fn client(endpoint: &str, bucket: &str, key: &str, secret: &str) -> Arc<AmazonS3> {
    let builder = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_bucket_name(bucket)
        .with_access_key_id(key)
        .with_secret_access_key(secret);
    Arc::new(builder.build().unwrap())
}

/// Objects a second.
async fn each(s3: &Arc<AmazonS3>, clients: usize, size: usize, puts: bool) -> f64 {
    let start = Instant::now();
    let work = (0..clients).map(|client| {
        let s3 = Arc::clone(s3);
        tokio::spawn(async move {
            let bytes = bytes::Bytes::from(vec![u8::try_from(client).unwrap(); size]);
            let mut count = 0_u32;
            while start.elapsed() < TIME {
                let key = Key::from(format!("{size}/{client}/{}", count % 50));
                if puts {
                    s3.put(&key, PutPayload::from(bytes.clone())).await.unwrap();
                } else {
                    assert_eq!(s3.get(&key).await.unwrap().bytes().await.unwrap().len(), size);
                }
                count += 1;
            }
            count
        })
    });
    let counts = join_all(work).await;
    let total: u32 = counts.into_iter().map(Result::unwrap).sum();
    f64::from(total) / start.elapsed().as_secs_f64()
}

/// What the disk can do, one after another.
fn files(directory: &Path, size: usize) -> f64 {
    let (start, bytes) = (Instant::now(), vec![1; size]);
    let mut count = 0_u32;
    while start.elapsed() < TIME {
        let (new, path) = (directory.join("new"), directory.join((count % 50).to_string()));
        let mut file = std::fs::File::create(&new).unwrap();
        file.write_all(&bytes).unwrap();
        file.sync_data().unwrap();
        std::fs::rename(new, path).unwrap();
        std::fs::File::open(directory).unwrap().sync_all().unwrap();
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}
