//! The plan `external`: a part of somebody else's bucket, here of another server's.

use std::os::unix::fs::DirBuilderExt as _;

use serde_json::{Value, json};

use crate::commands::run;
use crate::support::account::Account;
use crate::support::api::Api;
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
