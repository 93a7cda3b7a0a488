//! Uploads that outlive every dyno: an app, its bucket, a restart.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod commands;
#[path = "../library/cover.rs"]
mod cover;
mod external;
mod library;
mod media;
mod moving;
#[path = "../../../slugline-s3/tests/scene/radosgw.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod radosgw;
mod shop;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::time::Duration;

use serde_json::{Value, json};

use shop::{PICTURE, Signed, write_shop};
use support::account::Account;
use support::api::Api;
use support::http::{Request, Response};
use support::scene::Scene;
use support::server::Server;
use support::wait_for;

/// A dyno is replaced, or an add-on's release gets up.
const SOON: Duration = Duration::from_mins(1);

#[test]
fn a_picture_is_there_after_its_dyno_is_gone() {
    for account in Account::all() {
        let scene = Scene::new(&account, "shop");
        write_shop(&scene);
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        let api = server.api();

        let addon = api.json("POST", "/apps/shop/addons", &json!({ "plan": "s3" }));
        assert_eq!(addon["plan"]["name"], "s3:embedded", "{addon}");
        let vars = api.get("/apps/shop/config-vars");
        let endpoint = format!("http://s3.localhost:{}", scene.port);
        assert_eq!(vars["S3_ENDPOINT_URL"], endpoint.as_str(), "{vars}");
        wait_for_answer(&scene, "/bucket", vars["S3_BUCKET"].as_str().unwrap_or_default());

        // From a dyno, by both ways to name a bucket.
        for style in ["path", "host"] {
            let put = scene.send("PUT", &format!("/{style}/cover.png"), &[], PICTURE).unwrap();
            assert_eq!((put.status, put.text().as_str()), (200, "200"), "{style}: as {account}");
            restart(&api, "shop");
            let got = scene.get(&format!("/{style}/cover.png"));
            assert!(got.body == PICTURE, "{style}: as {account}: {}", got.text());
        }

        through_the_router(&scene, &vars);
        rotation_shuts_the_old_key_out(&api, &scene, &addon, &vars);
        destruction_is_meant(&api, &addon);
        drop(server.interrupt());
    }
}

fn wait_for_answer(scene: &Scene, path: &str, answer: &str) {
    wait_for("the release with the bucket", SOON, || {
        scene.try_get(path).ok().filter(|got| got.status == 200 && got.text() == answer)
    });
}

fn restart(api: &Api, app: &str) {
    let before = api.dynos(app);
    api.send("DELETE", &format!("/apps/{app}/dynos"), &Value::Null);
    wait_for("another dyno", SOON, || {
        let now = api.dynos(app);
        let is_new = |id: &str| before.iter().all(|dyno| dyno.id != id);
        now.iter().all(|dyno| dyno.state == "up" && is_new(&dyno.id)).then_some(())
    });
}

/// Whoever has a signed address gets the picture under the bucket's own host; nobody else does.
fn through_the_router(scene: &Scene, vars: &Value) {
    let signed = Signed::of(vars);
    let get = |host: &str, path: &str| -> Response {
        let host = format!("{host}:{}", scene.port);
        Request { port: scene.port, host: &host, method: "GET", path, headers: &[], body: &[] }
            .send()
            .unwrap()
    };
    let bucket = &signed.bucket;
    let own_host = format!("{bucket}.s3.localhost");
    let address = signed.address(&format!("{own_host}:{}", scene.port), "/cover.png");
    assert!(get(&own_host, &address).body == PICTURE);
    assert_eq!(get(&own_host, "/cover.png").status, 403);
    let path = format!("/{bucket}/cover.png");
    let address = signed.address(&format!("s3.localhost:{}", scene.port), &path);
    assert!(get("s3.localhost", &address).body == PICTURE);
    assert_eq!(get("s3.localhost", &address.replace("cover", "covers")).status, 403);
    assert_eq!(get("shop.localhost", "/bucket").text(), *bucket, "apps are where they were");
}

fn rotation_shuts_the_old_key_out(api: &Api, scene: &Scene, addon: &Value, vars: &Value) {
    let id = addon["id"].as_str().unwrap();
    let path = format!("/addons/{id}/actions/rotate-credentials");
    let rotated = api.send("POST", &path, &Value::Null);
    if rotated.status == 404 {
        return;
    }
    assert!(rotated.status < 300, "{rotated:?}");
    let old = Signed::of(vars);
    let path = format!("/{}/cover.png", old.bucket);
    let host = format!("s3.localhost:{}", scene.port);
    let path = old.address(&host, &path);
    let request = Request {
        port: scene.port,
        host: &host,
        method: "GET",
        path: &path,
        headers: &[],
        body: &[],
    };
    assert_eq!(request.send().unwrap().status, 403);
    let new = api.get("/apps/shop/config-vars");
    assert_ne!(new["AWS_ACCESS_KEY_ID"], vars["AWS_ACCESS_KEY_ID"]);
    wait_for("the dynos with the new key", SOON, || {
        scene.try_get("/path/cover.png").ok().filter(|got| got.body == PICTURE)
    });
}

/// Never without saying how much is in it.
fn destruction_is_meant(api: &Api, addon: &Value) {
    let path = format!("/apps/shop/addons/{}", addon["name"].as_str().unwrap());
    let refused = api.send("DELETE", &path, &Value::Null);
    assert!(refused.status >= 400, "{refused:?}");
    assert!(refused.text().contains("1 file"), "{}", refused.text());
    api.json("DELETE", &path, &json!({ "force": true }));
    let vars = api.get("/apps/shop/config-vars");
    assert!(vars.get("S3_BUCKET").is_none(), "{vars}");
}
