//! Every link that there is, called once on a platform that has one of everything.

use http::StatusCode;
use serde_json::{Value, json};
use slugline_model::dyno::Event;

use crate::support::TestPlatform;

/// What was asked, and answered.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

/// Lists that hold nothing here, ever.
pub(crate) fn may_be_empty(path: &str) -> bool {
    path.ends_with("region-capabilities") || path == "/test-runs/{}/test-cases"
}

/// Notes what it asks.
struct Caller {
    test: TestPlatform,
    calls: Vec<Call>,
}

impl Caller {
    async fn call(&mut self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.test.call(method, path, body).await;
        let call = Call { method: method.into(), path: path.into(), status, body: answer.clone() };
        self.calls.push(call);
        answer
    }

    async fn get(&mut self, path: &str) -> Value {
        self.call("GET", path, json!({})).await
    }

    /// A list, and what one of it is called in paths.
    async fn both(&mut self, path: &str, key: &str) -> String {
        let list = self.get(path).await;
        let one = text(&list[0][key]);
        self.get(&format!("{path}/{one}")).await;
        one
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(crate) async fn all() -> Vec<Call> {
    let test = TestPlatform::with_app().await;
    let mut caller = Caller { test, calls: vec![] };
    apps(&mut caller).await;
    builds(&mut caller).await;
    dynos(&mut caller).await;
    edge(&mut caller).await;
    webhooks(&mut caller).await;
    addons(&mut caller).await;
    pipelines(&mut caller).await;
    fixed(&mut caller).await;
    caller.calls
}

async fn apps(caller: &mut Caller) {
    caller.call("POST", "/apps", json!({ "name": "shelf" })).await;
    caller.get("/apps").await;
    caller.get("/users/~/apps").await;
    caller.get("/apps/library").await;
    caller.call("PATCH", "/apps/library", json!({ "maintenance": false })).await;
    caller.call("PATCH", "/apps/library/config-vars", json!({ "A": "1" })).await;
    caller.get("/apps/library/config-vars").await;
    caller.both("/apps/library/features", "name").await;
    caller.call("PATCH", "/apps/library/features/preboot", json!({ "enabled": true })).await;
    caller.both("/account/features", "name").await;
    let repositories = "/account/features/dashboard-repositories-api";
    caller.call("PATCH", repositories, json!({ "enabled": true })).await;
    let filter = json!({ "in": { "id": [caller.test.get("/apps/library").await["id"]] } });
    caller.call("POST", "/filters/apps", filter).await;
}

async fn builds(caller: &mut Caller) {
    caller.call("POST", "/sources", json!({})).await;
    caller.call("POST", "/apps/library/sources", json!({})).await;
    let source = caller.test.ok("POST", "/sources", json!({})).await;
    let url = text(&source["source_blob"]["put_url"]);
    let path = &url[url.find("/sources").unwrap()..];
    caller.test.ok("PUT", path, json!("tgz")).await;
    *caller.test.engine.builds_hang.lock().unwrap() = true;
    let blob = json!({ "source_blob": { "url": url } });
    let build = caller.call("POST", "/apps/library/builds", blob).await;
    caller.test.is_compiling().await;
    caller.call("DELETE", &format!("/apps/library/builds/{}", text(&build["id"])), json!({})).await;
    *caller.test.engine.builds_hang.lock().unwrap() = false;
    caller.both("/apps/library/builds", "id").await;
    caller.call("DELETE", "/apps/library/build-cache", json!({})).await;
    let python = json!({ "updates": [{ "buildpack": "heroku/python" }] });
    caller.call("PUT", "/apps/library/buildpack-installations", python).await;
    caller.get("/apps/library/buildpack-installations").await;
    let types = json!({ "process_types": { "web": "serve" } });
    caller.call("POST", "/apps/library/slugs", types).await;
    let release = caller.both("/apps/library/releases", "version").await;
    caller.get(&format!("/apps/library/releases/{release}/config-vars")).await;
    let slug = text(&caller.test.get("/apps/library/releases/1").await["slug"]["id"]);
    caller.get(&format!("/apps/library/slugs/{slug}")).await;
    caller.call("POST", "/apps/library/releases", json!({ "slug": slug })).await;
}

async fn dynos(caller: &mut Caller) {
    caller.both("/dyno-sizes", "name").await;
    caller.get("/apps/library/available-dyno-sizes").await;
    caller.both("/apps/library/formation", "type").await;
    let web = json!({ "quantity": "1" });
    caller.call("PATCH", "/apps/library/formation/web", web).await;
    let updates = json!({ "updates": [{ "type": "web", "quantity": 1, "size": "basic" }] });
    caller.call("PATCH", "/apps/library/formation", updates).await;
    let run = json!({ "command": "bash", "attach": false });
    caller.call("POST", "/apps/library/dynos", run).await;
    caller.both("/apps/library/dynos", "name").await;
    caller.call("DELETE", "/apps/library/dynos/web.1", json!({})).await;
    caller.call("DELETE", "/apps/library/formations/web", json!({})).await;
    caller.call("DELETE", "/apps/library/dynos", json!({})).await;
    let test = &caller.test;
    test.until(async || test.dyno("web.1").await["state"] == "starting").await;
    let running: Vec<_> = test.engine.running.lock().unwrap().keys().copied().collect();
    for id in running {
        test.engine.emit(id, Event::Up);
    }
    caller.call("POST", "/apps/library/dynos/web.1/actions/stop", json!({})).await;
    caller.call("POST", "/apps/library/formations/web/actions/stop", json!({})).await;
}

async fn edge(caller: &mut Caller) {
    let hostname = json!({ "hostname": "www.example.test", "sni_endpoint": null });
    caller.call("POST", "/apps/library/domains", hostname).await;
    caller.get("/apps/library/domains").await;
    caller.get("/apps/library/domains/www.example.test").await;
    let made = rcgen::generate_simple_self_signed(vec!["www.example.test".to_owned()]).unwrap();
    let pair = json!({
        "certificate_chain": made.cert.pem(),
        "private_key": made.signing_key.serialize_pem(),
    });
    caller.call("POST", "/apps/library/sni-endpoints", pair.clone()).await;
    let endpoint = caller.both("/apps/library/sni-endpoints", "name").await;
    let shown = json!({ "sni_endpoint": endpoint });
    caller.call("PATCH", "/apps/library/domains/www.example.test", shown).await;
    let path = format!("/apps/library/sni-endpoints/{endpoint}");
    caller.call("PATCH", &path, pair).await;
    caller.call("DELETE", &path, json!({})).await;
    caller.call("DELETE", "/apps/library/domains/www.example.test", json!({})).await;
    caller
        .call("POST", "/apps/library/log-drains", json!({ "url": "syslog://192.0.2.1:514" }))
        .await;
    for method in ["POST", "PATCH", "DELETE"] {
        caller.call(method, "/apps/library/acm", json!({})).await;
    }
    let drain = caller.both("/apps/library/log-drains", "id").await;
    caller.call("DELETE", &format!("/apps/library/log-drains/{drain}"), json!({})).await;
    caller.call("POST", "/apps/library/log-sessions", json!({ "lines": 1 })).await;
}

async fn addons(caller: &mut Caller) {
    caller.both("/addon-services", "name").await;
    let plan = caller.both("/addon-services/postgres/plans", "name").await;
    caller.get(&format!("/plans/{plan}")).await;
    caller.get("/addon-services/postgres/region-capabilities").await;
    caller.get("/regions/local/addon-region-capabilities").await;
    caller.get("/addon-region-capabilities").await;
    let new = json!({ "plan": "postgres:dev", "name": "books-db" });
    caller.call("POST", "/apps/library/addons", new).await;
    caller.both("/addons", "name").await;
    caller.both("/apps/library/addons", "name").await;
    caller.get("/users/~/addons").await;
    caller.get("/addons/books-db/config").await;
    let config = json!({ "config": [{ "name": "DATABASE_URL", "value": "postgres://new" }] });
    caller.call("PATCH", "/addons/books-db/config", config).await;
    caller.call("POST", "/addons/books-db/actions/provision", json!({})).await;
    caller.call("POST", "/actions/addons/resolve", json!({ "addon": "books-db" })).await;
    let attach = json!({ "addon": "books-db", "app": "shelf" });
    let attachment = text(&caller.call("POST", "/addon-attachments", attach).await["id"]);
    caller.both("/addon-attachments", "id").await;
    caller.get("/addons/books-db/addon-attachments").await;
    caller.both("/apps/shelf/addon-attachments", "name").await;
    let wanted = json!({ "addon_attachment": "DATABASE", "app": "shelf" });
    caller.call("POST", "/actions/addon-attachments/resolve", wanted).await;
    caller.call("DELETE", &format!("/addon-attachments/{attachment}"), json!({})).await;
    let plan = json!({ "plan": "postgres:big" });
    caller.call("PATCH", "/apps/library/addons/books-db", plan).await;
    caller.call("DELETE", "/apps/library/addons/books-db", json!({})).await;
}

async fn webhooks(caller: &mut Caller) {
    let webhook = json!({
        "include": ["api:release"], "level": "sync", "url": "https://hooks.example.test/in",
    });
    caller.call("POST", "/apps/library/webhooks", webhook).await;
    let webhook = caller.both("/apps/library/webhooks", "id").await;
    caller.test.ok("PATCH", "/apps/library/config-vars", json!({ "TOLD": "1" })).await;
    let deliveries = "/apps/library/webhook-deliveries?eq[status]=succeeded";
    let test = &caller.test;
    test.until(async || test.get(deliveries).await.as_array().is_some_and(|d| !d.is_empty())).await;
    caller.both("/apps/library/webhook-deliveries", "id").await;
    caller.both("/apps/library/webhook-events", "id").await;
    let path = format!("/apps/library/webhooks/{webhook}");
    caller.call("PATCH", &path, json!({ "level": "notify" })).await;
    caller.call("DELETE", &path, json!({})).await;
}

async fn pipelines(caller: &mut Caller) {
    let pipeline = caller.call("POST", "/pipelines", json!({ "name": "books" })).await;
    let id = text(&pipeline["id"]);
    caller.both("/pipelines", "id").await;
    let path = format!("/pipelines/{id}");
    caller.call("PATCH", &path, json!({ "name": "novels" })).await;
    for (app, stage) in [("library", "staging"), ("shelf", "production")] {
        let coupling = json!({ "app": app, "pipeline": id, "stage": stage });
        caller.call("POST", "/pipeline-couplings", coupling).await;
    }
    let coupling = caller.both("/pipeline-couplings", "id").await;
    caller.get("/users/~/pipeline-couplings").await;
    caller.get(&format!("{path}/pipeline-couplings")).await;
    caller.get("/apps/shelf/pipeline-couplings").await;
    let vars = format!("{path}/stage/test/config-vars");
    caller.call("PATCH", &vars, json!({ "A": "1" })).await;
    caller.get(&vars).await;
    let source = caller.test.get("/apps/library").await["id"].clone();
    let target = caller.test.get("/apps/shelf").await["id"].clone();
    let promotion = json!({
        "pipeline": { "id": id },
        "source": { "app": { "id": source } },
        "targets": [{ "app": { "id": target } }],
    });
    let promotion = caller.call("POST", "/pipeline-promotions", promotion).await;
    let promotion = format!("/pipeline-promotions/{}", text(&promotion["id"]));
    caller.get(&promotion).await;
    caller.get(&format!("{promotion}/promotion-targets")).await;
    for latest in ["/latest-builds", "/latest-releases", "/latest-deployments", "/pipeline-stack"] {
        caller.get(&format!("{path}{latest}")).await;
    }
    review_apps(caller, &path).await;
    test_runs(caller, &path).await;
    let transfer = json!({
        "pipeline": { "id": id },
        "new_owner": { "id": pipeline["owner"]["id"], "type": "user" },
    });
    caller.call("POST", "/pipeline-transfers", transfer).await;
    let coupling = format!("/pipeline-couplings/{coupling}");
    caller.call("PATCH", &coupling, json!({ "stage": "development" })).await;
    caller.call("DELETE", &coupling, json!({})).await;
    caller.call("DELETE", &path, json!({})).await;
}

async fn review_apps(caller: &mut Caller, pipeline: &str) {
    let config = format!("{pipeline}/review-app-config");
    caller.call("POST", &config, json!({ "repo": "slugline/novels" })).await;
    caller.get(&config).await;
    caller.call("PATCH", &config, json!({ "wait_for_ci": false })).await;
    let blob = json!({ "url": caller.test.uploaded(None).await });
    let id = pipeline.rsplit('/').next().unwrap();
    let review = json!({ "branch": "main", "pipeline": id, "source_blob": blob, "pr_number": 7 });
    caller.call("POST", "/review-apps", review).await;
    let review = caller.get(&format!("{pipeline}/review-apps")).await[0].clone();
    let path = format!("/review-apps/{}", text(&review["id"]));
    let test = &caller.test;
    test.until(async || test.get(&path).await["status"] == "created").await;
    caller.get(&path).await;
    caller.get("/apps/novels-pr-7/review-app").await;
    caller.call("DELETE", &path, json!({})).await;
    caller.call("DELETE", &config, json!({})).await;
    let blob = json!({ "url": caller.test.uploaded(None).await });
    let setup = json!({ "source_blob": blob, "app": { "name": "set-up" } });
    let setup = caller.call("POST", "/app-setups", setup).await;
    let path = format!("/app-setups/{}", text(&setup["id"]));
    let test = &caller.test;
    test.until(async || test.get(&path).await["status"] != "pending").await;
    caller.get(&path).await;
}

async fn test_runs(caller: &mut Caller, pipeline: &str) {
    let run = json!({
        "pipeline": pipeline.rsplit('/').next(), "commit_branch": "main", "commit_sha": "0123456",
        "commit_message": "Shine", "source_blob_url": caller.test.uploaded(None).await,
    });
    let run = caller.call("POST", "/test-runs", run).await;
    caller.both(&format!("{pipeline}/test-runs"), "number").await;
    let path = format!("/test-runs/{}", text(&run["id"]));
    let cancel = json!({ "status": "cancelled", "message": "Not now." });
    caller.call("PATCH", &path, cancel).await;
    for part in ["", "/test-nodes", "/test-cases"] {
        caller.get(&format!("{path}{part}")).await;
    }
}

async fn fixed(caller: &mut Caller) {
    for path in ["/stacks", "/regions", "/generations"] {
        caller.both(path, "name").await;
    }
    caller.get("/apps/library/available-stacks").await;
    caller.get("/users/~/preferences").await;
    caller.call("PATCH", "/users/~/preferences", json!({})).await;
    caller.call("DELETE", "/apps/shelf", json!({})).await;
}
