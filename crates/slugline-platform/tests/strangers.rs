//! Two people on one server: whoever is not let in sees, lists and changes nothing of another's,
//! whatever it is. Routes and their variables are read from the sources, so that none is forgotten.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use support::TestPlatform;
use support::routes::routes;

/// Variables of paths that name what everybody may see, or a part of something that is somebody's, with
/// what stands for them.
const EVERYBODYS: [(&str, &str); 24] = [
    ("action", "confirm"),
    ("branch", "main"),
    ("credit", "1"),
    ("drain", "1"),
    ("event", "1"),
    ("feature", "preboot"),
    ("file", "a"),
    ("generation", "cedar"),
    ("image", "1"),
    ("invoice", "1"),
    ("name", "python"),
    ("number", "1"),
    ("path", "a"),
    ("plan", "postgres:dev"),
    ("receipt", "1"),
    ("region", "local"),
    ("rest", "apps"),
    ("service", "postgres"),
    ("size", "basic"),
    ("space", "1"),
    ("stack", "host"),
    ("stage", "test"),
    ("team", "1"),
    ("token", "1"),
];

/// Whoever knows these URLs may use them, and the names in them are guessed by nobody.
const CAPABILITIES: [&str; 6] =
    ["/log-streams/", "/pushes/", "/slugs/", "/sources/", "/streams/", "/schema"];

/// What somebody has: the names of it in paths, and all that a stranger is never told.
struct Belongings {
    names: BTreeMap<&'static str, String>,
    hidden: BTreeSet<String>,
}

impl Belongings {
    fn note(&mut self, variable: &'static str, one: &Value) {
        let id = one["id"].as_str().unwrap_or_else(|| panic!("{variable}: {one}")).to_owned();
        self.hidden.insert(id.clone());
        self.names.insert(variable, id);
    }
}

/// Somebody with one of everything.
async fn furnish(test: &TestPlatform) -> Belongings {
    let mut all = Belongings { names: BTreeMap::new(), hidden: BTreeSet::new() };
    let make = async |path: &str, body: Value| test.ok("POST", path, body).await;
    let first = async |path: &str| test.get(path).await[0].clone();
    all.note("app", &test.get("/apps/library").await);
    let pipeline = make("/pipelines", json!({ "name": "books" })).await;
    let coupling = json!({ "app": "library", "pipeline": pipeline["id"], "stage": "staging" });
    all.note("coupling", &make("/pipeline-couplings", coupling).await);
    all.note("addon", &make("/apps/library/addons", json!({ "plan": "postgres:dev" })).await);
    all.note("attachment", &first("/apps/library/addon-attachments").await);
    let hostname = json!({ "hostname": "www.books.example", "sni_endpoint": null });
    all.note("domain", &make("/apps/library/domains", hostname).await);
    let webhook = json!({
        "include": ["api:release"], "level": "sync", "url": "https://hooks.example.test/in",
    });
    all.note("webhook", &make("/apps/library/webhooks", webhook).await);
    test.ok("PATCH", "/apps/library/config-vars", json!({ "KEY": "sesame-5417" })).await;
    let deliveries = "/apps/library/webhook-deliveries";
    test.until(async || test.get(deliveries).await.as_array().is_some_and(|d| !d.is_empty())).await;
    all.note("delivery", &first(deliveries).await);
    let client = json!({ "name": "reader", "redirect_uri": "https://books.example/" });
    all.note("client", &make("/oauth/clients", client).await);
    let authorization = make("/oauth/authorizations", json!({ "scope": ["read"] })).await;
    all.note("authorization", &authorization);
    all.note("session", &authorization);
    make("/accounts", json!({ "email": "ann@example.com" })).await;
    all.note(
        "collaborator",
        &make("/apps/library/collaborators", json!({ "user": "ann@example.com" })).await,
    );
    let offer = json!({ "app": "library", "recipient": "ann@example.com" });
    all.note("transfer", &make("/account/app-transfers", offer).await);
    all.note("build", &test.build().await);
    all.note("release", &first("/apps/library/releases").await);
    let slug = test.get("/apps/library/releases/1").await["slug"].clone();
    all.names.insert("slug", slug["id"].as_str().unwrap().to_owned());
    let pair = rcgen::generate_simple_self_signed(vec!["www.books.example".to_owned()]).unwrap();
    let pair = json!({
        "certificate_chain": pair.cert.pem(), "private_key": pair.signing_key.serialize_pem(),
    });
    all.note("endpoint", &make("/apps/library/sni-endpoints", pair).await);
    let blob = json!({ "url": test.uploaded(None).await });
    make(
        &format!("/pipelines/{}/review-app-config", pipeline["id"].as_str().unwrap()),
        json!({ "repo": "a/b" }),
    )
    .await;
    let review = json!({ "branch": "main", "pipeline": pipeline["id"], "source_blob": blob });
    let review = make("/review-apps", review).await;
    let path = format!("/review-apps/{}", review["id"].as_str().unwrap());
    test.until(async || test.get(&path).await["status"] == "created").await;
    all.note("review", &review);
    let setup = json!({ "source_blob": { "url": test.uploaded(None).await } });
    all.note("setup", &make("/app-setups", setup).await);
    let run = json!({
        "pipeline": pipeline["id"], "commit_branch": "main", "commit_message": "Shine",
        "commit_sha": "0123456", "source_blob_url": test.uploaded(None).await,
    });
    all.note("run", &make("/test-runs", run).await);
    make("/apps", json!({ "name": "shelf" })).await;
    let target = json!({ "app": "shelf", "pipeline": pipeline["id"], "stage": "production" });
    make("/pipeline-couplings", target).await;
    let promotion = json!({
        "pipeline": { "id": pipeline["id"] },
        "source": { "app": { "id": all.names["app"] } },
        "targets": [{ "app": { "id": test.get("/apps/shelf").await["id"] } }],
    });
    all.note("promotion", &make("/pipeline-promotions", promotion).await);
    all.note("pipeline", &pipeline);
    for (variable, name) in [
        ("account", "owner@localhost"),
        ("dyno", "web.1"),
        ("key", "aa:bb"),
        ("repository", "library.git"),
        ("type", "web"),
        ("user", "owner@localhost"),
        ("oid", "aa"),
    ] {
        all.names.insert(variable, name.to_owned());
    }
    let told = ["sesame-5417", "books.example", "owner@localhost", "web.1", "library"];
    all.hidden.extend(told.map(str::to_owned));
    all
}

async fn stranger(test: &TestPlatform) -> String {
    use base64::Engine as _;
    let body = json!({ "email": "eve@example.com", "password": "open-sesame-5" });
    test.ok("POST", "/accounts", body).await;
    let pair = base64::engine::general_purpose::STANDARD.encode("eve@example.com:open-sesame-5");
    let request = http::Request::post("/oauth/authorizations")
        .header("Authorization", format!("Basic {pair}"))
        .body(axum::body::Body::from("{}"))
        .unwrap();
    let response = tower::ServiceExt::oneshot(test.platform.api(), request).await.unwrap();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let made: Value = serde_json::from_slice(&body).unwrap();
    made["access_token"]["token"].as_str().unwrap().to_owned()
}

/// A route's path to what somebody has, and whether it names any of that.
fn path_of(route: &str, all: &Belongings) -> (String, bool) {
    let mut names_theirs = false;
    let part = |part: &str| {
        let Some(variable) = part.strip_prefix('{') else { return part.to_owned() };
        let variable = variable.trim_start_matches('*').trim_end_matches('}');
        if let Some(name) = all.names.get(variable) {
            names_theirs |= !["type", "user", "oid"].contains(&variable);
            return name.clone();
        }
        let known = EVERYBODYS.iter().find(|(name, _)| *name == variable);
        known.unwrap_or_else(|| panic!("{route}: is {{{variable}}} somebody's?")).1.to_owned()
    };
    let path = route.split('/').map(part).collect::<Vec<_>>().join("/");
    (path, names_theirs)
}

/// What names all of it in a body.
fn body_of(all: &Belongings) -> Value {
    let of = |name: &str| json!({ "id": all.names[name] });
    json!({
        "app": all.names["app"], "pipeline": of("pipeline"), "addon": all.names["addon"],
        "addon_attachment": all.names["attachment"], "client": all.names["client"],
        "source": { "app": of("app") }, "targets": [{ "app": of("app") }], "stage": "staging",
        "new_owner": { "id": "00000000-0000-4000-8000-000000000001", "type": "user" },
        "recipient": "eve@example.com", "user": "eve@example.com", "branch": "main",
        "in": { "id": [all.names["app"]] }, "max": 1,
    })
}

#[tokio::test]
async fn of_everything_that_somebody_has_a_stranger_sees_lists_and_changes_nothing() {
    let test = TestPlatform::with_app().await;
    let all = furnish(&test).await;
    let eve = stranger(&test).await;
    let mut wrong = Vec::new();
    let mut asked = 0;
    for route in routes() {
        if CAPABILITIES.iter().any(|known| route.path.starts_with(known)) {
            continue;
        }
        let (path, names_theirs) = path_of(&route.path, &all);
        let methods = match route.methods.as_slice() {
            [any] if any == "any" => vec!["GET", "POST", "PUT", "PATCH", "DELETE"],
            methods => methods.iter().map(String::as_str).collect(),
        };
        for method in methods {
            let method = method.to_uppercase();
            let (code, told) = test.call_as(&eve, &method, &path, body_of(&all)).await;
            let (code, told) = (code.as_u16(), told.to_string());
            asked += 1;
            if names_theirs && ![401, 403, 404, 501].contains(&code) {
                wrong.push(format!("{method} {} is answered {code}: {told}", route.path));
            }
            let seen = all.hidden.iter().find(|hidden| told.contains(&***hidden));
            // What was asked for may be repeated where it is not found.
            if let Some(seen) = seen.filter(|seen| code < 300 || !path.contains(&***seen)) {
                wrong.push(format!("{method} {} tells of {seen}: {code} {told}", route.path));
            }
        }
    }
    assert!(asked > 200, "{asked}");
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    for (variable, path) in [
        ("app", "/apps/library"),
        ("pipeline", "/pipelines/books"),
        ("domain", "/apps/library/domains/www.books.example"),
    ] {
        assert_eq!(test.get(path).await["id"], all.names[variable].as_str(), "{path} is there");
    }
    let couplings = test.get("/pipeline-couplings").await;
    assert_eq!(couplings.as_array().unwrap().len(), 3, "{couplings}");
    assert_eq!(test.get("/apps/library").await["owner"]["email"], "owner@localhost");
    assert_eq!(test.get("/apps/library/collaborators").await.as_array().unwrap().len(), 2);
}
