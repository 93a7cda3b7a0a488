//! The example app, with django-storages: a cover is there after its dyno is gone.

use std::path::Path;

use serde_json::json;

use crate::cover::{PICTURE, upload};
use crate::restart;
use crate::support::account::Account;
use crate::support::http::Request;
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::wait_for;

#[test]
fn a_cover_of_the_example_outlives_its_dyno() {
    let account = Account::all().remove(0);
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/library");
    let scene = Scene::copy_of(&account, "library", &example);
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let api = server.api();
    api.json("POST", "/apps/library/addons", &json!({ "plan": "s3" }));
    wait_for("the release with the bucket", crate::SOON, || {
        let dynos = api.dynos("library");
        let is_new = |version: u64| dynos.iter().any(|dyno| dyno.release == version);
        (is_new(2) && !is_new(1) && dynos.iter().all(|dyno| dyno.state == "up")).then_some(())
    });
    let url = upload(&scene);
    assert!(url.starts_with("/media/covers/"), "{url}");
    assert!(picture(&scene, &url) == PICTURE);
    restart(&api, "library");
    assert!(picture(&scene, &url) == PICTURE, "after its dyno is gone");
    drop(server.interrupt());
}

/// As a browser gets it: the app sends it to a signed address.
fn picture(scene: &Scene, url: &str) -> Vec<u8> {
    let sent = scene.get(url);
    assert_eq!(sent.status, 302, "{}", sent.text());
    let location = sent.header("Location");
    let rest = location.strip_prefix("http://").expect("an address");
    let (host, path) = rest.split_at(rest.find('/').expect("a path"));
    let request = Request { port: scene.port, host, method: "GET", path, headers: &[], body: &[] };
    let got = request.send().unwrap();
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(got.header("Content-Type"), "image/gif");
    got.body
}
