//! `slugline storage:serve`: addresses of uploads that were on a dyno's disk answer out of the bucket.

use serde_json::json;

use crate::commands::{run, slugline};
use crate::shop::{PICTURE, write_shop};
use crate::support::account::Account;
use crate::support::api::{Api, parted};
use crate::support::http::{Request, Response};
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::wait_for;

#[test]
fn the_same_addresses_answer_after_uploads_were_adopted() {
    let account = Account::all().remove(0);
    let scene = Scene::new(&account, "shop");
    write_shop(&scene);
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let api = server.api();
    for (name, bytes) in [("a.png", PICTURE), ("50%.png", b"half"), ("x.html", b"<script>")] {
        assert_eq!(scene.send("PUT", &format!("/disk/{name}"), &[], bytes).unwrap().status, 200);
    }
    assert_eq!(scene.get("/media/a.png").body, PICTURE, "from the dyno's disk");
    let none = slugline(&scene, "shop", &["storage:serve", "/media/"]).output().unwrap();
    assert!(!none.status.success(), "there is no bucket yet");

    api.json("POST", "/apps/shop/addons", &json!({ "plan": "s3" }));
    let vars = api.get("/apps/shop/config-vars");
    crate::wait_for_answer(&scene, "/bucket", vars["S3_BUCKET"].as_str().unwrap());
    let gone = scene.get("/media/a.png");
    assert_eq!((gone.status, gone.text().as_str()), (404, "not on this disk"));
    wait_for("the layer", crate::SOON, || {
        let receipts = api.get("/apps/shop/receipts?since=0");
        receipts.as_array()?.iter().any(|one| one["layer"]["state"] == "kept").then_some(())
    });
    run(&scene, "shop", &["storage:adopt", "media/"]);
    let told = run(&scene, "shop", &["storage:serve", "media", "--public"]);
    assert!(told.contains("/media/ of shop") && told.contains("below media/"), "{told}");
    public_ones_are_answered(&scene);
    let logged = log(&api);
    let line = logged
        .lines()
        .find(|line| line.contains("path=\"/media/a.png\"") && line.contains("status=206"));
    let line = line.unwrap_or_else(|| panic!("{logged}"));
    assert!(line.contains(" dyno= ") && line.contains(" bytes=3 "), "{line}");

    let told = run(&scene, "shop", &["storage:serve", "/media/"]);
    assert!(told.contains("signed addresses"), "{told}");
    private_ones_are_at_signed_addresses(&scene);

    // No dyno has a part in it.
    run(&scene, "shop", &["storage:serve", "/media/", "--public"]);
    api.json("PATCH", "/apps/shop/formation/web", &json!({ "quantity": 0 }));
    wait_for("the dyno's end", crate::SOON, || (scene.get("/bucket").status == 503).then_some(()));
    assert_eq!(scene.get("/media/a.png").body, PICTURE);
    run(&scene, "shop", &["storage:serve", "--off"]);
    assert_eq!(scene.get("/media/a.png").status, 503, "it is the app's business again");
    drop(server.interrupt());
}

fn log(api: &Api) -> String {
    let session = api.json("POST", "/apps/shop/log-sessions", &json!({ "lines": 1_500 }));
    let (port, path) = parted(session["logplex_url"].as_str().unwrap());
    let host = "127.0.0.1";
    Request { port, host, method: "GET", path, headers: &[], body: &[] }.send().unwrap().text()
}

fn ask(scene: &Scene, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let all = scene.send(method, path, headers, b"");
    all.unwrap()
}

fn public_ones_are_answered(scene: &Scene) {
    let get = |headers: &[(&str, &str)]| ask(scene, "GET", "/media/a.png", headers);
    let whole = get(&[]);
    assert_eq!((whole.status, whole.body.as_slice()), (200, PICTURE));
    assert_eq!(whole.header("Content-Type"), "image/png");
    assert_eq!(whole.header("Cache-Control"), "public, max-age=300");
    assert_eq!(whole.header("Accept-Ranges"), "bytes");
    let (tag, time) = (whole.header("ETag").to_owned(), whole.header("Last-Modified").to_owned());
    for condition in [("If-None-Match", tag.as_str()), ("If-Modified-Since", &time)] {
        let same = get(&[condition]);
        assert_eq!((same.status, same.body.len()), (304, 0), "{condition:?}");
        assert_eq!(same.header("ETag"), tag);
    }
    assert_eq!(get(&[("If-None-Match", "\"other\"")]).status, 200);
    let part = get(&[("Range", "bytes=1-3")]);
    assert_eq!((part.status, part.body.as_slice()), (206, &PICTURE[1..4]));
    assert_eq!(part.header("Content-Range"), format!("bytes 1-3/{}", PICTURE.len()));
    let part = get(&[("Range", "bytes=-4"), ("If-Range", &tag)]);
    assert_eq!((part.status, part.body.len()), (206, 4));
    let changed = get(&[("Range", "bytes=1-3"), ("If-Range", "\"other\"")]);
    assert_eq!((changed.status, changed.body.as_slice()), (200, PICTURE));
    assert_eq!(get(&[("Range", "bytes=9999-")]).status, 416);
    let head = ask(scene, "HEAD", "/media/a.png", &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("Content-Length"), PICTURE.len().to_string());
    assert_eq!(scene.get("/media/50%25.png").text(), "half");
    // What somebody has uploaded does not run as the app.
    let page = scene.get("/media/x.html");
    assert_eq!(page.header("Content-Security-Policy"), "sandbox");
    assert_eq!(page.header("X-Content-Type-Options"), "nosniff");
    for not_there in ["/media/none.png", "/media/..%2Fx"] {
        let answer = scene.get(not_there);
        assert_eq!(answer.status, 404, "{not_there}: {}", answer.text());
        assert_eq!(answer.text(), "not on this disk", "the app is asked");
    }
    let put = ask(scene, "PUT", "/disk/b.png", &[]);
    assert_eq!(put.status, 200, "what changes something is the app's");
}

fn private_ones_are_at_signed_addresses(scene: &Scene) {
    let sent = scene.get("/media/a.png");
    assert_eq!((sent.status, sent.body.len()), (302, 0), "{}", sent.text());
    assert_eq!(sent.header("Cache-Control"), "private, max-age=30");
    let location = sent.header("Location");
    assert!(location.contains("X-Amz-Expires=60&"), "{location}");
    let there = |url: &str| {
        let rest = url.strip_prefix("http://").expect("an address");
        let (host, path) = rest.split_at(rest.find('/').expect("a path"));
        let request =
            Request { port: scene.port, host, method: "GET", path, headers: &[], body: &[] };
        request.send().unwrap()
    };
    assert_eq!(there(location).body, PICTURE);
    assert_eq!(there(location.split('?').next().unwrap()).status, 403, "the bucket is private");
    assert_eq!(scene.get("/media/none.png").text(), "not on this disk");
}
