//! `slugline storage:…`: uploads that were on dynos' disks go into the bucket, and files go there and
//! back.

use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::shop::{PICTURE, write_shop};
use crate::support::account::Account;
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::wait_for;

const SOON: Duration = Duration::from_mins(1);

pub(crate) fn slugline(scene: &Scene, app: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(scene.program());
    command
        .args(arguments)
        .args(["-a", app, "--api-port", &scene.api_port.to_string(), "--data-dir"])
        .arg(scene.data())
        .env("XDG_CACHE_HOME", scene.data().with_file_name("cache"))
        .current_dir(scene.data().parent().unwrap());
    command
}

pub(crate) fn run(scene: &Scene, app: &str, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } = slugline(scene, app, arguments).output().unwrap();
    let (told, wrong) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{arguments:?}: {status}\n{told}{wrong}");
    told.into_owned()
}

#[test]
fn uploads_on_dynos_disks_are_adopted() {
    let account = Account::all().remove(0);
    let scene = Scene::new(&account, "shop");
    write_shop(&scene);
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let api = server.api();
    let upload = |name: &str, bytes: &[u8]| {
        let put = scene.send("PUT", &format!("/disk/{name}"), &[], bytes).unwrap();
        assert_eq!(put.status, 200);
    };

    // The first is in a kept layer then, the others on a disk that lives.
    upload("old.png", PICTURE);
    upload("both.png", b"as it was");
    let none = slugline(&scene, "shop", &["storage:ls"]).output().unwrap();
    assert!(!none.status.success());
    let told = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(told.contains("heroku addons:create s3 -a shop"), "{told}");
    api.json("POST", "/apps/shop/addons", &json!({ "plan": "s3" }));
    let vars = api.get("/apps/shop/config-vars");
    wait_for("the release with the bucket", SOON, || {
        let got = scene.try_get("/bucket").ok()?;
        (got.text() == vars["S3_BUCKET"]).then_some(())
    });
    wait_for("the layer", SOON, || {
        let receipts = api.get("/apps/shop/receipts?since=0");
        receipts.as_array()?.iter().any(|one| one["layer"]["state"] == "kept").then_some(())
    });
    upload("new.png", b"another picture");
    upload("both.png", b"as it is now");

    let told = run(&scene, "shop", &["storage:adopt", "media/"]);
    assert!(told.contains("Copied 3 files"), "{told}");
    assert!(told.contains("S3_BUCKET"), "how the app finds them: {told}");
    let told = run(&scene, "shop", &["storage:adopt", "media/"]);
    assert!(told.contains("Copied 0 files") && told.contains("left as it is: 4 files"), "{told}");
    assert_eq!(scene.get("/path/media%2Fold.png").body, PICTURE, "the app reads it there");

    let listed = run(&scene, "shop", &["storage:ls", "media/"]);
    assert!(listed.contains("media/both.png") && listed.contains("3 files"), "{listed}");
    let json: Value =
        serde_json::from_str(&run(&scene, "shop", &["storage:ls", "--json"])).unwrap();
    assert_eq!(json["objects"].as_array().unwrap().len(), 3);
    run(&scene, "shop", &["storage:get", "media/", "copies"]);
    let copies = scene.data().with_file_name("copies");
    let copy = |name: &str| std::fs::read(copies.join(name)).unwrap();
    assert_eq!(
        (copy("old.png").as_slice(), copy("both.png").as_slice()),
        (PICTURE, &b"as it is now"[..])
    );
    let told = run(&scene, "shop", &["storage:usage"]);
    assert!(told.ends_with(": 3 files, 49B\n"), "{told}");
    restored(&scene, &api);
    large_files_are_gone_on_with(&scene);
    drop(server.interrupt());
}

/// The app is told by S3's own error, the owner by the add-on.
#[test]
fn a_bucket_that_is_full_says_so_to_everybody() {
    let scene = Scene::new(&Account::all().remove(0), "shop");
    write_shop(&scene);
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let api = server.api();
    let config = json!({ "quota": "1kB" });
    let addon = api.json("POST", "/apps/shop/addons", &json!({ "plan": "s3", "config": config }));
    let vars = api.get("/apps/shop/config-vars");
    crate::wait_for_answer(&scene, "/bucket", vars["S3_BUCKET"].as_str().unwrap());
    let put = |name: &str, size: usize| {
        scene.send("PUT", &format!("/path/{name}"), &[], &vec![b'x'; size]).unwrap().text()
    };
    assert_eq!(put("a", 900), "200");
    let usage = run(&scene, "shop", &["storage:usage"]);
    assert!(usage.ends_with(": 1 file, 900B of 1kB\n"), "{usage}");
    let refused = put("b", 101);
    assert!(refused.contains("<Code>QuotaExceeded</Code>"), "{refused}");
    assert_eq!(put("b", 100), "200");
    let name = addon["name"].as_str().unwrap();
    for path in [format!("/addons/{name}"), format!("/apps/shop/addons/{name}")] {
        let told = api.get(&path)["provision_message"].as_str().unwrap().to_owned();
        assert!(told.ends_with("In it: 2 files, 1kB of 1kB: it is full"), "{told}");
    }
    let usage = run(&scene, "shop", &["storage:usage", "--json"]);
    let usage: Value = serde_json::from_str(&usage).unwrap();
    assert_eq!((&usage["bytes"], &usage["quota"]), (&json!(1_000), &json!(1_000)));
    drop(server.interrupt());
}

/// What a dyno that is gone had written goes into the bucket, too.
fn restored(scene: &Scene, api: &crate::support::api::Api) {
    let receipts = api.get("/apps/shop/receipts?since=0");
    let kept = receipts.as_array().unwrap().iter().find(|one| one["layer"]["state"] == "kept");
    let run_name = kept.unwrap()["name"].as_str().unwrap().to_owned();
    let told = run(scene, "shop", &["restore", &run_name, "media/old.png", "--to-s3"]);
    assert!(told.contains("left as it is: 1 file"), "{told}");
}

/// An upload that is cut off sends what lacks, and no more.
fn large_files_are_gone_on_with(scene: &Scene) {
    let mut state = 1_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(100 * 1024 * 1024)
    .collect();
    let film = scene.data().with_file_name("film.bin");
    std::fs::write(&film, &bytes).unwrap();
    let records = scene.data().with_file_name("cache").join("slugline/uploads");
    let mut begun =
        slugline(scene, "shop", &["storage:put", "film.bin", "films/"]).spawn().unwrap();
    wait_for("a part that is there", SOON, || {
        let mut entries = std::fs::read_dir(&records).ok()?;
        let ended = begun.try_wait().unwrap().is_some();
        (ended || entries.next().is_some()).then_some(())
    });
    begun.kill().unwrap();
    begun.wait().unwrap();
    let told = run(scene, "shop", &["storage:put", "film.bin", "films/"]);
    assert!(told.contains("Put 1 file"), "{told}");
    run(scene, "shop", &["storage:get", "films/film.bin", "copy.bin"]);
    assert!(std::fs::read(scene.data().with_file_name("copy.bin")).unwrap() == bytes);
    assert_eq!(std::fs::read_dir(&records).unwrap().count(), 0, "nothing is left to go on with");
}
