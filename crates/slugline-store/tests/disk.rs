//! Where the disk sets the limit.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::path::Path;
use std::process::Command;

use slugline_store::{FsckRequest, IngestRequest, Progress, Store, StoreError};

const ON_TMPFS: &str = "STORE_TEST_ON_TMPFS";

/// Runs a test again in mount namespaces of its own, where the store lies on a small tmpfs.
fn on_tmpfs(test: &str, size: &str, scene: fn(&Path)) {
    if let Some(mount) = std::env::var_os(ON_TMPFS) {
        return scene(Path::new(&mount));
    }
    let mount = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size="$3" tmpfs "$0" && exec "$1" --exact "$2""#;
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(mount.path())
        .arg(std::env::current_exe().unwrap())
        .args([test, size])
        .env(ON_TMPFS, mount.path())
        .status()
        .expect("this test needs `unshare`");
    assert!(status.success(), "this test needs user and mount namespaces: {status}");
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing_half_made() {
    on_tmpfs("a_full_disk_is_said_and_leaves_nothing_half_made", "1m", fill);
}

#[test]
fn a_disk_that_is_full_at_any_step_leaves_a_whole_slug_or_nothing() {
    on_tmpfs("a_disk_that_is_full_at_any_step_leaves_a_whole_slug_or_nothing", "2m", run_out);
}

#[test]
fn a_disk_that_becomes_read_only_leaves_what_was_there() {
    on_tmpfs("a_disk_that_becomes_read_only_leaves_what_was_there", "8m", remount);
}

/// Leaves a page more of room each time, so that it ends during objects, pages, sizes and head.
fn run_out(mount: &Path) {
    const PAGE: usize = 4096;
    let store = Store::open(mount.join("store")).unwrap();
    let tree = tempfile::tempdir().unwrap();
    for number in 0..10 {
        fs_err::write(tree.path().join(number.to_string()), format!("content {number}")).unwrap();
    }
    let ingest = || store.ingest(tree.path(), &IngestRequest::default(), &mut |_| {});
    let (mut full, mut whole) = (0, 0);
    for pages in 0..30 {
        let filler = mount.join("filler");
        let room = rustix::fs::statfs(mount).unwrap().f_bfree;
        let taken = usize::try_from(room).unwrap().saturating_sub(pages) * PAGE;
        fs_err::write(&filler, vec![0; taken]).unwrap();
        match ingest() {
            Ok(summary) => {
                assert!(store.verify(&summary.id).is_ok());
                whole += 1;
            }
            Err(error) => {
                assert!(matches!(error, StoreError::DiskFull { .. }), "{error:?}");
                assert!(store.slugs().unwrap().is_empty());
                full += 1;
            }
        }
        fs_err::remove_file(&filler).unwrap();
        store.sweep(&[]).unwrap();
        let checked = store.fsck(&FsckRequest::default(), &mut |_| {}).unwrap();
        assert_eq!((checked.objects, checked.pages, checked.findings.len()), (0, 0, 0));
    }
    assert!(full > 5 && whole > 5, "{full} {whole}");
}

/// The disk becomes read-only once all is packed and nothing is committed.
fn remount(mount: &Path) {
    let store = Store::open(mount.join("store")).unwrap();
    let tree = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let store = mount.join("store");
        let mut command = Command::new(program);
        assert!(command.args(arguments).arg(&store).status().unwrap().success());
    };
    fs_err::write(tree.path().join("old"), "old").unwrap();
    let first = store.ingest(tree.path(), &IngestRequest::default(), &mut |_| {}).unwrap().id;
    fs_err::write(tree.path().join("new"), "new").unwrap();
    let error = store.ingest(tree.path(), &IngestRequest::default(), &mut |progress| {
        if matches!(progress, Progress::Packed { files, of } if files == of) {
            // Over itself: files that are open, the lock for one, keep a disk from more.
            let store = mount.join("store");
            run("mount", &["-o", "bind,ro", store.to_str().unwrap()]);
        }
    });
    let error = error.unwrap_err();
    assert!(matches!(error, StoreError::Write { .. }), "{error:?}");
    assert_eq!(store.slugs().unwrap(), std::slice::from_ref(&first));
    run("umount", &[]);
    assert!(store.verify(&first).is_ok());
    store.sweep(std::slice::from_ref(&first)).unwrap();
    let second = store.ingest(tree.path(), &IngestRequest::default(), &mut |_| {}).unwrap().id;
    assert!(store.verify(&second).is_ok());
    let checked = store.fsck(&FsckRequest::default(), &mut |_| {}).unwrap();
    assert!(checked.findings.is_empty() && checked.stray_count == 0, "{checked:?}");
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
