//! Where the disk sets the limit.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::path::Path;
use std::process::Command;

use slugline_store::{IngestRequest, Store, StoreError};

const ON_TMPFS: &str = "STORE_TEST_ON_TMPFS";

/// Runs itself again in mount namespaces of its own, where the store lies on a tmpfs of 1 MB.
#[test]
fn a_full_disk_is_said_and_leaves_nothing_half_made() {
    if let Some(mount) = std::env::var_os(ON_TMPFS) {
        return fill(Path::new(&mount));
    }
    let mount = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=1m tmpfs "$0" && exec "$1" --exact "$2""#;
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(mount.path())
        .arg(std::env::current_exe().unwrap())
        .arg("a_full_disk_is_said_and_leaves_nothing_half_made")
        .env(ON_TMPFS, mount.path())
        .status()
        .expect("this test needs `unshare`");
    assert!(status.success(), "this test needs user and mount namespaces: {status}");
}

fn fill(mount: &Path) {
    let store = Store::open(mount.join("store")).unwrap();
    let tree = tempfile::tempdir().unwrap();
    fs_err::write(tree.path().join("small"), "x").unwrap();
    let ingest = || store.ingest(tree.path(), &IngestRequest::default(), &mut |_| {});
    let whole = ingest().unwrap().id;
    for number in 0..100 {
        fs_err::write(tree.path().join(number.to_string()), vec![number; 100_000]).unwrap();
    }
    let error = ingest().unwrap_err();
    assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
    assert_eq!(store.slugs().unwrap(), std::slice::from_ref(&whole));
    assert_eq!(fs_err::read_dir(mount.join("store/staging")).unwrap().count(), 0);
    assert!(store.verify(&whole).is_ok());
}

#[test]
fn an_object_may_have_more_names_than_one_inode_can() {
    let directory = tempfile::tempdir().unwrap();
    let (tree, names) = (directory.path().join("tree"), directory.path().join("names"));
    fs_err::create_dir_all(&tree).unwrap();
    fs_err::create_dir_all(&names).unwrap();
    for file in ["a", "b", "c"] {
        fs_err::write(tree.join(file), "").unwrap();
    }
    let store = Store::open(directory.path().join("store")).unwrap();
    let summary = store.ingest(&tree, &IngestRequest::default(), &mut |_| {}).unwrap();
    assert_eq!((summary.files, summary.new_files), (3, 1));
    let hash = blake3::hash(b"").to_hex();
    let object = directory.path().join("store/objects").join(&hash[..2]).join(hash.as_str());
    // Up to the limit of ext4; other file systems allow more names.
    (1..64_999).for_each(|name| fs_err::hard_link(&object, names.join(name.to_string())).unwrap());
    let app = store.checkout(&summary.id).unwrap();
    assert!(["a", "b", "c"].iter().all(|file| app.join(file).exists()));
}
