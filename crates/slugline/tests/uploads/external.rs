//! The plan `external`: a part of somebody else's bucket, here of another server's.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::commands::run;
use crate::radosgw::{Disk, OWNER, Radosgw};
use crate::shop::Signed;
use crate::support::account::Account;
use crate::support::api::Api;
use crate::support::http::Request;
use crate::support::scene::Scene;
use crate::support::server::Server;

#[test]
fn an_external_bucket_is_checked_before_anything_is_released() {
    let account = Account::all().remove(0);
    let outside = Scene::new(&account, "attic");
    outside.write("Procfile", "web: sleep 100\n");
    let mut outside_server = Server::start(&outside);
    let outside_api = outside_server.api();
    let vars = bucket_of(&outside_api, "attic", "s3");

    let scene = Scene::new(&account, "shop");
    crate::shop::write_shop(&scene);
    let text = |name: &str| vars[name].as_str().unwrap().to_owned();
    // What holds secrets is closed to others.
    std::fs::DirBuilder::new().mode(0o700).create(scene.data()).unwrap();
    let credentials = |secret: &str| {
        let key = text("AWS_ACCESS_KEY_ID");
        let lines = format!("aws_access_key_id = {key}\naws_secret_access_key = {secret}\n");
        std::fs::write(scene.data().join("attic.credentials"), lines).unwrap();
    };
    credentials("wrong");
    let table = format!(
        "[s3]\nbucket = \"s3://{}/of-shop\"\nendpoint = \"{}\"\ncredentials = \"attic.credentials\"\n",
        text("S3_BUCKET"),
        text("S3_ENDPOINT_URL")
    );
    std::fs::write(scene.data().join("slugline.toml"), table).unwrap();
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let api = server.api();

    let refused = api.send("POST", "/apps/shop/addons", &json!({ "plan": "s3:external" }));
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("cannot write"), "{}", refused.text());
    assert_eq!(api.get("/apps/shop/releases").as_array().unwrap().len(), 1);
    assert_eq!(api.get("/apps/shop/addons"), json!([]));

    credentials(&text("AWS_SECRET_ACCESS_KEY"));
    let own = bucket_of(&api, "shop", "s3:external");
    assert_eq!(own["S3_BUCKET"], vars["S3_BUCKET"]);
    let prefix = own["S3_PREFIX"].as_str().unwrap();
    assert!(prefix.starts_with("of-shop/uploads-"), "{prefix}");
    std::fs::write(scene.data().with_file_name("a.txt"), "kept outside").unwrap();
    run(&scene, "shop", &["storage:put", "a.txt"]);
    let listed = run(&scene, "shop", &["storage:ls"]);
    assert!(listed.contains(&format!("{prefix}a.txt")), "{listed}");
    let there = run(&outside, "attic", &["storage:ls"]);
    assert!(there.contains("1 file,"), "what was checked with is gone: {there}");

    let addon = api.get("/apps/shop/addons")[0]["name"].as_str().unwrap().to_owned();
    let path = format!("/apps/shop/addons/{addon}");
    let refused = api.send("DELETE", &path, &Value::Null);
    assert!(refused.text().contains("1 file, 12B"), "{}", refused.text());
    api.json("DELETE", &path, &json!({ "force": true }));
    crate::support::wait_for("the files' end", crate::SOON, || {
        run(&outside, "attic", &["storage:ls"]).contains("0 files").then_some(())
    });
    drop(server.interrupt());
    drop(outside_server.interrupt());
}

fn bucket_of(api: &Api, app: &str, plan: &str) -> Value {
    crate::support::wait_for("the app", crate::SOON, || {
        (api.send("GET", &format!("/apps/{app}"), &Value::Null).status == 200).then_some(())
    });
    api.json("POST", &format!("/apps/{app}/addons"), &json!({ "plan": plan }));
    api.get(&format!("/apps/{app}/config-vars"))
}

/// Ceph's gateway makes a user for each add-on, whose key opens its bucket and nothing else.
#[test]
fn where_users_can_be_made_each_bucket_has_its_own() {
    let ceph = Radosgw::start(Path::new(env!("CARGO_TARGET_TMPDIR")), Disk::Memory);
    let account = Account::all().remove(0);
    let scene = Scene::new(&account, "shop");
    crate::shop::write_shop(&scene);
    std::fs::DirBuilder::new().mode(0o700).create(scene.data()).unwrap();
    let lines =
        format!("aws_access_key_id = {}\naws_secret_access_key = {}\n", OWNER.key, OWNER.secret);
    std::fs::write(scene.data().join("ceph.credentials"), lines).unwrap();
    let table = format!(
        "[s3]\nbucket = \"s3://house\"\nusers = \"radosgw\"\nendpoint = \"{}\"\n\
         credentials = \"ceph.credentials\"\n",
        ceph.endpoint()
    );
    std::fs::write(scene.data().join("slugline.toml"), table).unwrap();
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let api = server.api();
    let order = json!({ "plan": "s3:external" });
    let refused = api.send("POST", "/apps/shop/addons", &order);
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(refused.text().contains("caps add"), "{}", refused.text());

    ceph.let_make_users(OWNER);
    let first = api.json("POST", "/apps/shop/addons", &order);
    let told = first["provision_message"].as_str().unwrap();
    assert!(told.contains("Browsers may use signed addresses"), "{told}");
    let vars = api.get("/apps/shop/config-vars");
    let bucket = vars["S3_BUCKET"].as_str().unwrap();
    assert!(bucket.starts_with("house-uploads-") && vars.get("S3_PREFIX").is_none(), "{vars}");
    assert_ne!(vars["AWS_ACCESS_KEY_ID"], OWNER.key);
    std::fs::write(scene.data().with_file_name("a.txt"), "kept outside").unwrap();
    run(&scene, "shop", &["storage:put", "a.txt"]);

    // Another app's key does not open it.
    api.json("POST", "/apps", &json!({ "name": "other" }));
    let second = api.json("POST", "/apps/other/addons", &order);
    let get = |vars: &Value| {
        let (host, path) = (format!("127.0.0.1:{}", ceph.port), format!("/{bucket}/a.txt"));
        let path = Signed::of(vars).address(&host, &path);
        let (method, headers, body) = ("GET", &[][..], &[][..]);
        Request { port: ceph.port, host: &host, method, path: &path, headers, body }.send().unwrap()
    };
    assert_eq!(get(&vars).text(), "kept outside");
    let others = api.get("/apps/other/config-vars");
    assert_ne!(others["S3_BUCKET"], vars["S3_BUCKET"]);
    assert_eq!(get(&others).status, 403);

    let name = first["name"].as_str().unwrap();
    let rotate = format!("/addons/{name}/actions/rotate-credentials");
    let rotated = api.send("POST", &rotate, &Value::Null);
    assert!(rotated.status < 300, "{}", rotated.text());
    assert_eq!(get(&vars).status, 403, "the old key is good no more");
    assert_eq!(get(&api.get("/apps/shop/config-vars")).text(), "kept outside");

    let refused = api.send("DELETE", &format!("/apps/shop/addons/{name}"), &Value::Null);
    assert!(refused.text().contains("1 file, 12B"), "{}", refused.text());
    api.json("DELETE", &format!("/apps/shop/addons/{name}"), &json!({ "force": true }));
    let second = second["name"].as_str().unwrap();
    api.json("DELETE", &format!("/apps/other/addons/{second}"), &json!({ "force": true }));
    crate::support::wait_for("the users' end", crate::SOON, || {
        (!ceph.users_and_buckets().contains("house-uploads-")).then_some(())
    });
    drop(server.interrupt());
}
