//! A bucket, and a disk, that have no more room: clients are told, what was there stays, nothing
//! half-written shows, and when there is room again all goes on.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod scene;

use std::path::Path;
use std::process::Command;

use futures_util::TryStreamExt as _;
use object_store::aws::AmazonS3;
use object_store::path::Path as Key;
use object_store::{Error, ObjectStore as _, ObjectStoreExt as _, PutPayload};
use slugline_s3::{BucketChange, Setting, Storage};

use scene::{BUCKET, Place, listen, serve};

/// A server on a directory, and its bucket.
async fn start(root: &Path) -> (Storage, AmazonS3) {
    let storage = Storage::open(root).unwrap();
    let keys = storage.create_bucket(BUCKET).await.unwrap();
    let listener = listen(0);
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(storage.clone(), listener));
    let place = Place { server: "slugline", endpoint, bucket: BUCKET.to_owned(), keys };
    (storage, place.store())
}

fn bytes(kind: u8, size: usize) -> PutPayload {
    PutPayload::from(vec![kind; size])
}

async fn body(s3: &AmazonS3, key: &str) -> Vec<u8> {
    s3.get(&Key::from(key)).await.unwrap().bytes().await.unwrap().to_vec()
}

async fn keys(s3: &AmazonS3) -> Vec<String> {
    let listed: Vec<_> = s3.list(None).try_collect().await.unwrap();
    let mut keys: Vec<_> = listed.into_iter().map(|one| one.location.to_string()).collect();
    keys.sort();
    keys
}

#[track_caller]
fn assert_told<T: std::fmt::Debug>(answer: object_store::Result<T>, code: &str) {
    let told = format!("{:?}", answer.unwrap_err());
    assert!(told.contains(code), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_has_used_up_its_quota_says_so_and_takes_more_when_something_goes() {
    let directory = tempfile::tempdir().unwrap();
    let (storage, s3) = start(directory.path()).await;
    let mut change = BucketChange::default();
    change.quota = Some(Setting::To(1_000_000));
    storage.change_bucket(BUCKET, change).await.unwrap();
    let key = |name: &str| Key::from(name);
    s3.put(&key("a"), bytes(1, 600_000)).await.unwrap();
    assert_told(s3.put(&key("b"), bytes(2, 600_000)).await, "QuotaExceeded");
    assert_eq!(keys(&s3).await, ["a"]);
    // One in the place of another counts once.
    s3.put(&key("a"), bytes(3, 900_000)).await.unwrap();
    assert_told(s3.put(&key("a"), bytes(4, 1_000_001)).await, "QuotaExceeded");
    assert_eq!(body(&s3, "a").await, vec![3; 900_000]);
    assert_told(s3.copy(&key("a"), &key("b")).await, "QuotaExceeded");
    let used = storage.bucket(BUCKET).await.unwrap();
    assert_eq!((used.objects, used.bytes, used.quota), (1, 900_000, Some(1_000_000)));
    // Parts count, too, before they are an object.
    s3.delete(&key("a")).await.unwrap();
    let mut upload = s3.put_multipart(&key("c")).await.unwrap();
    upload.put_part(bytes(5, 800_000)).await.unwrap();
    let over = match upload.put_part(bytes(6, 800_000)).await {
        Ok(()) => upload.complete().await.map(drop),
        refused => refused,
    };
    assert_told(over, "QuotaExceeded");
    upload.abort().await.unwrap();
    s3.put(&key("d"), bytes(7, 1_000_000)).await.unwrap();
    assert_eq!(keys(&s3).await, ["d"]);
}

/// Runs a test again in mount namespaces of its own, where the server's directory is a small tmpfs.
fn on_tmpfs(test: &str, size: &str, scene: fn(&Path)) {
    if let Some(root) = std::env::var_os("S3_TEST_TMPFS") {
        return scene(Path::new(&root));
    }
    let directory = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size="$3" tmpfs "$0" && exec "$1" --exact "$2""#;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    command.arg(directory.path()).arg(std::env::current_exe().unwrap()).args([test, size]);
    let output = command.env("S3_TEST_TMPFS", directory.path()).output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_full_disk_is_told_of_and_shows_nothing_half_written() {
    on_tmpfs("a_full_disk_is_told_of_and_shows_nothing_half_written", "120m", |root| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(fill(root));
    });
}

/// Large objects are files, small ones lie in the index.
async fn fill(root: &Path) {
    let (storage, s3) = start(root).await;
    let mut there = Vec::new();
    for size in [6_000_000, 700_000, 60_000, 5_000] {
        let refused = loop {
            let name = format!("{size}/{:04}", there.len());
            match s3.put(&Key::from(name.as_str()), bytes(1, size)).await {
                Ok(_) => there.push((name, size)),
                Err(error) => break (name, error),
            }
            assert!(there.len() < 20_000, "the disk does not fill");
        };
        let told = format!("{:?}", refused.1);
        assert!(told.contains("InsufficientStorage") && told.contains("507"), "{told}");
        assert!(matches!(s3.head(&Key::from(refused.0)).await, Err(Error::NotFound { .. })));
        // What has this key already stays as it is.
        if let Some((name, old)) = there.iter().rev().find(|(_, old)| *old == size) {
            assert_told(s3.put(&Key::from(name.as_str()), bytes(2, 6_000_000)).await, "507");
            assert_eq!(body(&s3, name).await, vec![1; *old]);
        }
    }
    let mut names: Vec<_> = there.iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    assert_eq!(keys(&s3).await, names);
    assert_eq!(std::fs::read_dir(root.join("incoming")).unwrap().count(), 0);

    // Removing takes no room, and gives some.
    for (name, _) in there.iter().filter(|(_, size)| *size >= 700_000) {
        s3.delete(&Key::from(name.as_str())).await.unwrap();
    }
    let begun = std::time::Instant::now();
    while s3.put(&Key::from("again"), bytes(3, 6_000_000)).await.is_err() {
        // Files go after the answer.
        assert!(begun.elapsed().as_secs() < 20, "there is room again");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(body(&s3, "again").await, vec![3; 6_000_000]);
    for (name, size) in there.iter().filter(|(_, size)| *size < 700_000) {
        assert_eq!(body(&s3, name).await, vec![1; *size]);
    }
    let used = storage.bucket(BUCKET).await.unwrap();
    let small = there.iter().filter(|(_, size)| *size < 700_000).map(|(_, size)| *size as u64);
    assert_eq!(used.bytes, small.sum::<u64>() + 6_000_000);
}
