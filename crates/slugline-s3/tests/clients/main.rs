//! Real clients against real servers: this project's, and Ceph's gateway, by one and the same suite.
//! Each client puts, gets, comes in parts, lists ten thousand keys, signs addresses, and is refused
//! where it must be; then a browser uses the addresses that they signed. Each is installed from its
//! registry into the target directory.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

#[path = "../scene/radosgw.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod radosgw;
#[path = "../scene/mod.rs"]
mod scene;

mod browser;
mod javascript;
mod python;
mod rust;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Instant;

use radosgw::{Disk, OWNER, Radosgw, STRANGER};
use scene::{ALONE, BUCKET, OTHER, Place, Scene, run};
use slugline_s3::KeyPair;

/// Clients that run at once.
const AT_ONCE: usize = 2;

/// What a client does with a bucket, and with a directory of its own.
type Suite = fn(&Place, &Path);

/// All of them, the slowest first. What boto3 does to its bucket as a whole is no other's business.
const CLIENTS: [(&str, &str, Suite); 7] = [
    ("boto3", ALONE, python::boto3),
    ("aws", BUCKET, python::aws),
    ("django-storages", BUCKET, python::django_storages),
    ("s3cmd", BUCKET, python::s3cmd),
    ("multer-s3", BUCKET, javascript::multer_s3),
    ("sdk", BUCKET, javascript::sdk),
    ("object_store", BUCKET, rust::object_store),
];

#[test]
fn every_client_is_served_by_the_embedded_server() {
    let scene = Scene::new();
    all_are_served(&scene.shared, &scene.alone);
}

#[test]
fn every_client_is_served_by_cephs_gateway() {
    let ceph = Radosgw::start(Path::new(env!("CARGO_TARGET_TMPDIR")), Disk::Memory);
    ceph.add_user(STRANGER);
    ceph.make_bucket(STRANGER, OTHER);
    let place = |bucket: &str| {
        ceph.make_bucket(OWNER, bucket);
        ceph.open_to_browsers(OWNER, bucket);
        let keys = KeyPair { name: OWNER.key.to_owned(), secret: OWNER.secret.to_owned() };
        let (server, endpoint) = ("radosgw", ceph.endpoint());
        Place { server, endpoint, bucket: bucket.to_owned(), keys }
    };
    all_are_served(&place(BUCKET), &place(ALONE));
}

fn all_are_served(shared: &Place, alone: &Place) {
    let links = tempfile::tempdir().unwrap();
    rust::fill(shared);
    let (waiting, failed) = (Mutex::new(CLIENTS.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|threads| {
        for _ in 0..AT_ONCE {
            threads.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().next();
                    let Some((name, bucket, suite)) = next else { return };
                    let place = if *bucket == ALONE { alone } else { shared };
                    let (own, start) = (links.path().join(name), Instant::now());
                    std::fs::create_dir(&own).unwrap();
                    // The others are tried all the same; why it failed is in the test's output.
                    if catch_unwind(AssertUnwindSafe(|| suite(place, &own))).is_err() {
                        failed.lock().unwrap().push(*name);
                    }
                    eprintln!("{}: {name}: {:.1?}", place.server, start.elapsed());
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{}: {failed:?} failed, as told above", shared.server);
    let names: Vec<&str> = CLIENTS.iter().map(|(name, ..)| *name).collect();
    browser::uses_what_they_signed(links.path(), &names);
}

/// Runs a client's suite, which says in the end that all is well.
fn assert_well(command: &mut Command) {
    let printed = run(command);
    assert!(printed.ends_with("all is well\n"), "{printed}");
}

/// A suite of this directory.
fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}
