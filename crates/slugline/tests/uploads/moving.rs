//! `slugline storage:move`: the app's bucket goes to another server, Ceph's, while the app writes, and
//! whoever carries it is killed.

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::commands::{run, slugline};
use crate::radosgw::{Disk, OWNER, Radosgw};
use crate::shop::Signed;
use crate::support::account::Account;
use crate::support::http::Request;
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::wait_for;

/// Objects that are there before.
const BEFORE: usize = 300;

#[test]
fn a_bucket_moves_while_its_app_writes() {
    let ceph = Radosgw::start(Path::new(env!("CARGO_TARGET_TMPDIR")), Disk::Memory);
    ceph.make_bucket(OWNER, "attic");
    let account = Account::all().remove(0);
    let scene = Scene::new(&account, "shop");
    crate::shop::write_shop(&scene);
    configure(&scene, &ceph);
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let api = server.api();
    let old = api.json("POST", "/apps/shop/addons", &json!({ "plan": "s3:embedded" }));
    let vars = api.get("/apps/shop/config-vars");
    let bucket = vars["S3_BUCKET"].as_str().unwrap().to_owned();
    crate::wait_for_answer(&scene, "/bucket", &bucket);
    fill(&scene);
    grant(&scene, &vars, "before/3.txt");
    run(&scene, "shop", &["storage:serve", "/before/", "--public"]);
    assert_eq!(scene.get("/before/7.txt").body, content(7));

    // An app that writes all the time, each time something else.
    let stop = AtomicBool::new(false);
    let answered = std::thread::scope(|threads| {
        // Whatever fails, the writer ends.
        let _stop = Stop(&stop);
        let writer = threads.spawn(|| write_until(&scene, &stop));
        killed_in_the_middle(&scene);
        let told = run(&scene, "shop", &["storage:move"]);
        assert!(told.contains("shop uses the new bucket from v3 on"), "{told}");
        assert!(told.contains("heroku addons:destroy"), "{told}");
        crate::wait_for_answer(&scene, "/bucket", "attic");
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    assert!(answered.len() > 5, "only {} writes were answered", answered.len());

    let releases = api.get("/apps/shop/releases");
    assert_eq!(releases.as_array().unwrap().len(), 3, "one release for all: {releases}");
    let vars = api.get("/apps/shop/config-vars");
    assert_eq!(vars["S3_BUCKET"], "attic");
    assert_eq!(vars["S3_ENDPOINT_URL"], ceph.endpoint().as_str());
    run(&scene, "shop", &["storage:get", "before/", "moved"]);
    let moved = scene.data().with_file_name("moved");
    for number in 0..BEFORE {
        let file = std::fs::read(moved.join(format!("{number}.txt"))).unwrap();
        assert_eq!(file, content(number));
    }
    assert!(std::fs::read(moved.join("film.bin")).unwrap() == film());
    assert_eq!(scene.get("/before/7.txt").body, content(7), "by the router, out of the new one");
    run(&scene, "shop", &["storage:get", "live/", "live"]);
    for (name, last) in &answered {
        let file = std::fs::read(scene.data().with_file_name("live").join(name)).unwrap();
        let number: u64 = String::from_utf8(file).unwrap().parse().unwrap();
        assert_eq!(number, *last, "{name}");
    }
    // What anybody may read stays so, and nothing else becomes it.
    let plain = |key: &str| {
        let path = format!("/attic/{}{key}", vars["S3_PREFIX"].as_str().unwrap());
        let request = Request {
            port: ceph.port,
            host: "127.0.0.1",
            method: "GET",
            path: &path,
            headers: &[],
            body: &[],
        };
        request.send().unwrap()
    };
    assert_eq!(plain("before/3.txt").body, content(3));
    assert_eq!(plain("before/4.txt").status, 403);
    the_old_bucket_stays(&scene, &api, &old);
    assert_eq!(scene.get("/before/7.txt").body, content(7), "the old one is gone");
    drop(ceph);
    assert_eq!(scene.get("/before/7.txt").status, 503, "nobody knows whether it is there");
    assert_eq!(scene.get("/bucket").text(), "attic", "the app itself is well");
    drop(server.interrupt());
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn configure(scene: &Scene, ceph: &Radosgw) {
    // What holds secrets is closed to others.
    std::fs::DirBuilder::new().mode(0o700).create(scene.data()).unwrap();
    let (key, secret) = (OWNER.key, OWNER.secret);
    let lines = format!("aws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
    std::fs::write(scene.data().join("attic.credentials"), lines).unwrap();
    let table = format!(
        "[s3]\nbucket = \"s3://attic\"\nendpoint = \"{}\"\ncredentials = \"attic.credentials\"\n",
        ceph.endpoint()
    );
    std::fs::write(scene.data().join("slugline.toml"), table).unwrap();
}

fn content(number: usize) -> Vec<u8> {
    format!("picture {number}\n").repeat(number * 20).into_bytes()
}

/// Larger than what is carried in one piece.
fn film() -> Vec<u8> {
    (0..40 * 1024 * 1024_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn fill(scene: &Scene) {
    let before = scene.data().with_file_name("before");
    std::fs::create_dir(&before).unwrap();
    for number in 0..BEFORE {
        std::fs::write(before.join(format!("{number}.txt")), content(number)).unwrap();
    }
    std::fs::write(before.join("film.bin"), film()).unwrap();
    run(scene, "shop", &["storage:put", "before/"]);
}

/// Lets everybody read an object, as an app would.
fn grant(scene: &Scene, vars: &Value, key: &str) {
    let path = format!("/{}/{key}?acl", vars["S3_BUCKET"].as_str().unwrap());
    let signed =
        Signed::of(vars).address_for("PUT", &format!("s3.localhost:{}", scene.port), &path);
    let request = Request {
        port: scene.port,
        host: &format!("s3.localhost:{}", scene.port),
        method: "PUT",
        path: &signed,
        headers: &[("x-amz-acl", "public-read")],
        body: &[],
    };
    let done = request.send().unwrap();
    assert_eq!(done.status, 200, "{}", done.text());
}

/// The last number that was answered for, by key.
fn write_until(scene: &Scene, stop: &AtomicBool) -> BTreeMap<String, u64> {
    let mut answered = BTreeMap::new();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let name = format!("{number}.txt");
        let path = format!("/path/live%2F{name}");
        let put = scene.send("PUT", &path, &[], number.to_string().as_bytes());
        if put.is_ok_and(|answer| answer.status == 200 && answer.text() == "200") {
            answered.insert(name, number);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    answered
}

fn killed_in_the_middle(scene: &Scene) {
    let records = scene.data().with_file_name("cache").join("slugline/moves");
    let mut moving = slugline(scene, "shop", &["storage:move"]).spawn().unwrap();
    wait_for("objects that are carried", crate::SOON, || {
        let entry = std::fs::read_dir(&records).ok()?.next()?.unwrap();
        let lines = std::fs::read_to_string(entry.path()).unwrap().lines().count();
        let is_over = moving.try_wait().unwrap().is_some();
        (lines > 20 || is_over).then_some(())
    });
    moving.kill().unwrap();
    moving.wait().unwrap();
    // It is gone on with, and not another one begun.
    let other = slugline(scene, "shop", &["storage:move", "--to", "s3:embedded"]).output().unwrap();
    let told = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(!other.status.success() && told.contains("to s3:external is not over"), "{told}");
}

fn the_old_bucket_stays(scene: &Scene, api: &crate::support::api::Api, old: &Value) {
    let name = old["name"].as_str().unwrap();
    let addons = api.get("/apps/shop/addons");
    let names: Vec<&str> =
        addons.as_array().unwrap().iter().map(|addon| addon["name"].as_str().unwrap()).collect();
    assert!(names.len() == 2 && names.contains(&name), "{addons}");
    let path = format!("/apps/shop/addons/{name}");
    let refused = api.send("DELETE", &path, &Value::Null);
    assert!(refused.text().contains("files"), "it says what is in it: {}", refused.text());
    api.json("DELETE", &path, &json!({ "force": true }));
    let listed = run(scene, "shop", &["storage:ls", "before/"]);
    assert!(listed.contains("301 files"), "the new one has all: {listed}");
}
