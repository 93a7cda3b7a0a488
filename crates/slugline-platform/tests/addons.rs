//! Add-ons, in one process: what is attached where, and what of it stays.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use serde_json::{Value, json};
use support::TestPlatform;

impl TestPlatform {
    async fn newest(&self) -> Value {
        let releases = self.get("/apps/library/releases").await;
        releases.as_array().unwrap().last().cloned().unwrap()
    }

    async fn refused(&self, method: &str, path: &str, body: Value) -> (u16, String, String) {
        let (status, body) = self.call(method, path, body).await;
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (status.as_u16(), text("id"), text("message"))
    }

    async fn add(&self, plan: &str) -> Value {
        self.ok("POST", "/apps/library/addons", json!({ "plan": { "name": plan } })).await
    }

    fn boxes(&self) -> usize {
        std::fs::read_dir(self.data.path().join("boxes")).unwrap().count()
    }

    /// Puts something into every box.
    fn fill_boxes(&self, with: &str) {
        for entry in std::fs::read_dir(self.data.path().join("boxes")).unwrap() {
            std::fs::write(entry.unwrap().path(), with).unwrap();
        }
    }
}

#[tokio::test]
async fn an_add_on_gives_config_vars_in_a_release_and_takes_them_back() {
    let test = TestPlatform::with_app().await;
    let addon = test.add("postgres").await;
    assert_eq!(addon["state"], "provisioned");
    assert_eq!(addon["plan"]["name"], "postgres:dev");
    assert_eq!(addon["config_vars"], json!(["DATABASE_URL"]));
    let name = addon["name"].as_str().unwrap();
    let release = test.newest().await;
    assert_eq!(release["description"], format!("Attach DATABASE (@ref:{name})"));
    assert_eq!(release["addon_plan_names"], json!(["postgres:dev"]));
    let web = test.started("web.1", 2).await;
    let env = test.engine.running.lock().unwrap()[&web].env.clone();
    assert_eq!(env["DATABASE_URL"], "postgres://db.example/library-dev");
    let vars = "/apps/library/config-vars";
    let (status, _, message) = test.refused("PATCH", vars, json!({ "DATABASE_URL": "x" })).await;
    assert!(status == 422 && message.contains("Cannot overwrite attachment values DATABASE_URL"));
    // What is sent along unchanged is fine.
    let same = json!({ "DATABASE_URL": "postgres://db.example/library-dev", "A": "1" });
    test.ok("PATCH", vars, same).await;
    let gone = test.ok("DELETE", &format!("/apps/library/addons/{name}"), json!({})).await;
    assert_eq!(gone["state"], "deprovisioned");
    assert_eq!(test.get(vars).await, json!({ "A": "1" }));
    let release = test.newest().await;
    assert_eq!(release["description"], format!("Detach DATABASE (@ref:{name})"));
    assert_eq!(release["addon_plan_names"], json!([]));
    assert_eq!(test.get("/apps/library/addons").await, json!([]));
    assert_eq!(test.refused("GET", &format!("/addons/{name}"), json!({})).await.0, 404);
}

#[tokio::test]
async fn a_second_one_gets_a_name_of_its_own_and_a_taken_name_is_confirmed() {
    let test = TestPlatform::with_app().await;
    test.add("postgres:dev").await;
    let second = test.add("postgres:big").await;
    assert_eq!(second["config_vars"], json!(["DATABASE_AMBER_URL"]));
    let body = json!({ "plan": "postgres:big", "attachment": { "name": "DATABASE" } });
    let addons = "/apps/library/addons";
    let (status, id, message) = test.refused("POST", addons, body.clone()).await;
    assert_eq!((status, id.as_str()), (422, "confirmation_required"), "{message}");
    assert_eq!(test.get(addons).await.as_array().unwrap().len(), 2, "nothing was made");
    let mut confirmed = body;
    confirmed["confirm"] = "library".into();
    test.ok("POST", addons, confirmed).await;
    let vars = test.get("/apps/library/config-vars").await;
    assert_eq!(vars["DATABASE_URL"], "postgres://db.example/library-big");
    let ambiguous = json!({ "addon": "postgres", "app": "library" });
    let resolved = test.ok("POST", "/actions/addons/resolve", ambiguous).await;
    assert_eq!(resolved.as_array().unwrap().len(), 3);
    let attached = test.get("/apps/library/addon-attachments").await;
    assert_eq!(attached.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_app_may_use_what_another_one_owns_until_that_is_destroyed_by_force() {
    let test = TestPlatform::with_app().await;
    test.ok("POST", "/apps", json!({ "name": "shelf" })).await;
    let addon = test.add("postgres:dev").await["name"].as_str().unwrap().to_owned();
    let attach = json!({ "addon": { "name": addon }, "app": { "name": "shelf" }, "name": "books" });
    let attachment = test.ok("POST", "/addon-attachments", attach).await;
    assert_eq!(
        (&attachment["name"], &attachment["app"]["name"]),
        (&json!("BOOKS"), &json!("shelf"))
    );
    assert_eq!(attachment["addon"]["app"]["name"], "library");
    let vars = test.get("/apps/shelf/config-vars").await;
    assert_eq!(vars, json!({ "BOOKS_URL": "postgres://db.example/library-dev" }));
    // The stock command line looks for it in these ways.
    for body in [
        json!({ "addon_attachment": "BOOKS", "app": "shelf" }),
        json!({ "addon_attachment": "shelf::BOOKS", "app": null }),
    ] {
        let found = test.ok("POST", "/actions/addon-attachments/resolve", body).await;
        assert_eq!(found[0]["id"], attachment["id"]);
    }
    let by_name = json!({ "addon": "BOOKS", "app": "shelf" });
    assert_eq!(test.ok("POST", "/actions/addons/resolve", by_name).await[0]["name"], addon);
    let miss = json!({ "addon": "nothing", "app": "shelf" });
    let (status, body) = test.call("POST", "/actions/addons/resolve", miss).await;
    assert_eq!((status.as_u16(), &body["resource"]), (404, &json!("add_on")));
    let path = format!("/apps/library/addons/{addon}");
    let (_, _, message) = test.refused("DELETE", &path, json!({})).await;
    assert!(message.contains("attached to other apps too: shelf"), "{message}");
    let (_, _, message) = test.refused("DELETE", "/apps/library", json!({})).await;
    assert!(message.contains("attached to other apps too: shelf"), "{message}");
    let foreign = format!("/apps/shelf/addons/{addon}");
    assert!(test.refused("DELETE", &foreign, json!({})).await.2.contains("belongs to another app"));
    test.ok("DELETE", &path, json!({ "force": true })).await;
    assert_eq!(test.get("/apps/shelf/config-vars").await, json!({}));
    assert_eq!(test.get("/addon-attachments").await, json!([]));
}

#[tokio::test]
async fn the_last_attachment_goes_with_its_add_on_alone() {
    let test = TestPlatform::with_app().await;
    test.add("postgres:dev").await;
    let attachment = test.get("/apps/library/addon-attachments/DATABASE").await;
    let path = format!("/addon-attachments/{}", attachment["id"].as_str().unwrap());
    let (status, _, message) = test.refused("DELETE", &path, json!({})).await;
    assert!(status == 422 && message.contains("heroku addons:destroy postgres-"), "{message}");
    let again = json!({ "addon": attachment["addon"], "app": "library", "name": "AGAIN" });
    test.ok("POST", "/addon-attachments", again).await;
    test.ok("DELETE", &path, json!({})).await;
    let vars = test.get("/apps/library/config-vars").await;
    assert_eq!(vars, json!({ "AGAIN_URL": "postgres://db.example/library-dev" }));
}

#[tokio::test]
async fn what_holds_something_is_not_destroyed_unasked() {
    let test = TestPlatform::with_app().await;
    let addon = test.add("box").await;
    assert_eq!(addon["provision_message"], "It is open.");
    assert_eq!(addon["config_vars"], json!(["BOX_KEY", "REGION"]));
    test.fill_boxes("312 objects, 2.1GB");
    let path = format!("/apps/library/addons/{}", addon["id"].as_str().unwrap());
    for path in [path.as_str(), "/apps/library"] {
        let (status, _, message) = test.refused("DELETE", path, json!({})).await;
        assert!(status == 422 && message.contains("312 objects, 2.1GB"), "{message}");
    }
    assert_eq!(test.boxes(), 1);
    test.ok("DELETE", &path, json!({ "force": true })).await;
    assert_eq!(test.boxes(), 0);
    test.add("box").await;
    test.ok("DELETE", "/apps/library", json!({})).await;
    test.until(async || test.boxes() == 0).await;
    assert_eq!(test.get("/addons").await, json!([]));
}

#[tokio::test]
async fn a_plan_and_credentials_change_in_a_release_without_a_release_phase() {
    let test = TestPlatform::with_app().await;
    *test.engine.procfile.lock().unwrap() = "web: serve\nrelease: migrate".into();
    test.build().await;
    let addon = test.add("box").await["name"].as_str().unwrap().to_owned();
    test.until(async || test.newest().await["status"] == "succeeded").await;
    test.ok("POST", &format!("/addons/{addon}/actions/rotate-credentials"), json!({})).await;
    let release = test.newest().await;
    assert_eq!(release["description"], "Update BOX by box");
    assert_eq!(
        (&release["status"], &release["output_stream_url"]),
        (&json!("succeeded"), &json!(null))
    );
    assert_eq!(test.get("/apps/library/config-vars").await["BOX_KEY"], "second");
    // A rollback brings the app's own vars back, and keeps the credentials that are good.
    test.ok("PATCH", "/apps/library/config-vars", json!({ "A": "1" })).await;
    test.ok("POST", "/apps/library/releases", json!({ "release": "3" })).await;
    test.until(async || test.newest().await["status"] == "succeeded").await;
    let vars = test.get("/apps/library/config-vars").await;
    assert_eq!(vars, json!({ "BOX_KEY": "second", "REGION": "small" }));
    let database = test.add("postgres:dev").await["name"].as_str().unwrap().to_owned();
    let plan = json!({ "plan": { "name": "postgres:big" } });
    let changed = test.ok("PATCH", &format!("/apps/library/addons/{database}"), plan).await;
    assert_eq!(changed["plan"]["name"], "postgres:big");
    let vars = test.get("/apps/library/config-vars").await;
    assert_eq!(vars["DATABASE_URL"], "postgres://db.example/library-big");
    let renamed = json!({ "name": "books-db" });
    test.ok("PATCH", &format!("/apps/library/addons/{database}"), renamed).await;
    assert_eq!(test.get("/addons/books-db").await["plan"]["name"], "postgres:big");
    let values = json!({ "config": [{ "name": "DATABASE_URL", "value": "postgres://new" }] });
    test.ok("PATCH", "/addons/books-db/config", values).await;
    assert_eq!(test.get("/apps/library/config-vars").await["DATABASE_URL"], "postgres://new");
}

#[tokio::test]
async fn what_cannot_be_had_is_said_and_leaves_nothing() {
    let test = TestPlatform::with_app().await;
    let addons = "/apps/library/addons";
    for (plan, says) in
        [("redis", "no service is called `redis`"), ("postgres:huge", "it has dev, big")]
    {
        let (status, _, message) = test.refused("POST", addons, json!({ "plan": plan })).await;
        assert!(status == 422 && message.starts_with("Couldn't find either the add-on"));
        assert!(message.contains(says), "{message}");
    }
    let broken = json!({ "plan": "box", "config": { "broken": true } });
    let (status, _, message) = test.refused("POST", addons, broken).await;
    assert!(status == 422 && message.contains("No box is left"), "{message}");
    test.ok("PATCH", "/apps/library/config-vars", json!({ "MINE_REGION": "x" })).await;
    let taken = json!({ "plan": "box", "attachment": { "name": "MINE" } });
    let (_, _, message) = test.refused("POST", addons, taken).await;
    assert!(message.contains("the MINE_REGION config var is already set"), "{message}");
    test.until(async || test.boxes() == 0).await;
    let shared = test.add("box").await;
    test.ok("POST", "/apps", json!({ "name": "shelf" })).await;
    let attach = json!({ "addon": shared["id"], "app": "shelf" });
    let (_, _, message) = test.refused("POST", "/addon-attachments", attach).await;
    assert!(message.contains("cannot be shared"), "{message}");
    let name = json!({ "plan": "box", "name": shared["name"] });
    assert!(test.refused("POST", addons, name).await.2.contains("is called"));
    assert_eq!(test.get("/addons").await.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_killed_server_was_making_is_removed_by_the_next_one() {
    let test = TestPlatform::with_app().await;
    test.add("box").await;
    let half = "UPDATE add_on SET state = 'provisioning'";
    let db = rusqlite::Connection::open(test.data.path().join("state.sqlite3")).unwrap();
    db.execute(half, []).unwrap();
    let next = test.another_server().await;
    next.until(async || next.boxes() == 0).await;
    assert_eq!(next.get("/addons").await, json!([]));
}

#[tokio::test]
async fn what_is_offered_is_listed() {
    let test = TestPlatform::new().await;
    let services = test.get("/addon-services").await;
    let names: Vec<&str> =
        services.as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["box", "postgres"]);
    let plans = test.get("/addon-services/postgres/plans").await;
    assert_eq!((&plans[0]["name"], &plans[0]["default"]), (&json!("postgres:dev"), &json!(true)));
    let by_id = format!("/plans/{}", plans[1]["id"].as_str().unwrap());
    assert_eq!(test.get(&by_id).await["name"], "postgres:big");
    assert_eq!(test.get("/addon-services/postgres/plans/big").await["id"], plans[1]["id"]);
    assert_eq!(test.refused("GET", "/addon-services/redis", json!({})).await.0, 404);
}
