//! Who may do what: accounts, tokens and their scopes, collaborators, and strangers.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use std::path::Path;

use axum::body::Body;
use base64::Engine as _;
use http::Request;
use serde_json::{Value, json};
use slugline_model::limits::Limits;
use tower::ServiceExt as _;

use support::TestPlatform;
use support::routes::routes;

/// What nobody but those who may see the app is ever told.
const SECRET: &str = "sesame-open-5417";

/// Makes an account; gives a token of theirs.
async fn account(test: &TestPlatform, email: &str) -> String {
    let made = test.ok("POST", "/accounts", json!({ "email": email })).await;
    let password = made["password"].as_str().unwrap();
    let made = log_in(test, email, password).await.unwrap();
    made["access_token"]["token"].as_str().unwrap().to_owned()
}

/// As `heroku login -i` does it; none where it is refused.
async fn log_in(test: &TestPlatform, email: &str, password: &str) -> Option<Value> {
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{email}:{password}"));
    let body = json!({ "description": "login", "expires_in": 3_600, "scope": ["global"] });
    let request = Request::builder()
        .method("POST")
        .uri("/oauth/authorizations")
        .header("Authorization", format!("Basic {pair}"))
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = test.platform.api().oneshot(request).await.unwrap();
    let is_in = response.status() == 201;
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    is_in.then(|| serde_json::from_slice(&body).unwrap())
}

async fn status(test: &TestPlatform, token: &str, method: &str, path: &str, body: Value) -> u16 {
    test.call_as(token, method, path, body).await.0.as_u16()
}

#[tokio::test]
async fn people_log_in_by_password_and_out_again() {
    let test = TestPlatform::new().await;
    let ann = account(&test, "ann@example.com").await;
    let (_, shown) = test.call_as(&ann, "GET", "/account", json!({})).await;
    assert_eq!((&shown["email"], &shown["operator"]), (&json!("ann@example.com"), &json!(false)));
    assert!(log_in(&test, "ann@example.com", "wrong").await.is_none());
    assert!(log_in(&test, "bob@example.com", "wrong").await.is_none());
    let change = json!({ "password": "wrong", "new_password": "much better" });
    assert_eq!(status(&test, &ann, "PATCH", "/account", change).await, 422);
    let reset = test.ok("PATCH", "/accounts/ann@example.com", json!({ "password": null })).await;
    assert_eq!(status(&test, &ann, "GET", "/account", json!({})).await, 401, "logged out by it");
    let password = reset["password"].as_str().unwrap();
    let session = log_in(&test, "ANN@example.com", password).await.unwrap();
    let ann = session["access_token"]["token"].as_str().unwrap();
    let change = json!({ "password": password, "new_password": "much better" });
    assert_eq!(status(&test, ann, "PATCH", "/account", change).await, 200);
    assert!(log_in(&test, "ann@example.com", "much better").await.is_some());
    let (_, sessions) = test.call_as(ann, "GET", "/oauth/sessions", json!({})).await;
    assert_eq!(sessions.as_array().unwrap().len(), 2);
    assert_eq!(status(&test, ann, "DELETE", "/oauth/sessions/~", json!({})).await, 200);
    assert_eq!(status(&test, ann, "GET", "/account", json!({})).await, 401);
    test.ok("DELETE", "/accounts/ann@example.com", json!({})).await;
    assert!(log_in(&test, "ann@example.com", "much better").await.is_none());
    assert_eq!(test.call("DELETE", "/accounts/owner@localhost", json!({})).await.0.as_u16(), 422);
}

#[tokio::test]
async fn a_token_is_shown_once_and_good_for_what_it_was_made_for() {
    let test = TestPlatform::with_app().await;
    test.ok("PATCH", "/apps/library/config-vars", json!({ "A": SECRET })).await;
    let make = async |scope: &str| {
        let body = json!({ "description": scope, "scope": [scope] });
        let made = test.ok("POST", "/oauth/authorizations", body).await;
        let token = made["access_token"]["token"].as_str().unwrap().to_owned();
        (made["id"].as_str().unwrap().to_owned(), token)
    };
    let calls = [
        ("GET", "/account", json!({})),
        ("GET", "/apps/library", json!({})),
        ("PATCH", "/apps/library", json!({ "maintenance": false })),
        ("GET", "/apps/library/config-vars", json!({})),
        ("GET", "/apps/library/releases/1/config-vars", json!({})),
        ("PATCH", "/apps/library/config-vars", json!({ "B": "1" })),
        ("POST", "/apps/library/dynos", json!({ "command": "env" })),
        ("GET", "/oauth/authorizations", json!({})),
        ("GET", "/store", json!({})),
    ];
    for (scope, allowed) in [
        ("identity", "x........"),
        ("read", "xx......."),
        ("write", "xxx......"),
        ("read-protected", "xx.xx...."),
        ("write-protected", "xxxxxxx.."),
        ("global", "xxxxxxxxx"),
    ] {
        let (_, token) = make(scope).await;
        let mut found = String::new();
        for (method, path, body) in &calls {
            let (status, body) = test.call_as(&token, method, path, body.clone()).await;
            found.push(if status.is_success() { 'x' } else { '.' });
            assert!(status.is_success() || body["id"] == "forbidden", "{scope} {path}: {body}");
        }
        assert_eq!(found, allowed, "{scope}");
    }
    let (id, token) = make("global").await;
    let path = format!("/oauth/authorizations/{id}");
    assert!(!test.get(&path).await.to_string().contains(&token), "another token sees its end");
    let (_, own) = test.call_as(&token, "GET", &path, json!({})).await;
    assert_eq!(own["access_token"]["token"], token.as_str(), "it sees itself");
    let other = test.ok("POST", &format!("{path}/actions/regenerate-tokens"), json!({})).await;
    assert_eq!(status(&test, &token, "GET", "/account", json!({})).await, 401);
    let token = other["access_token"]["token"].as_str().unwrap();
    assert_eq!(status(&test, token, "GET", "/account", json!({})).await, 200);
    test.ok("DELETE", &path, json!({})).await;
    assert_eq!(status(&test, token, "GET", "/account", json!({})).await, 401);
    let operator = "/oauth/authorizations/~";
    assert_eq!(test.call("DELETE", operator, json!({})).await.0.as_u16(), 422);
    let short = json!({ "expires_in": 1 });
    let short = test.ok("POST", "/oauth/authorizations", short).await;
    let short = short["access_token"]["token"].as_str().unwrap();
    assert_eq!(status(&test, short, "GET", "/account", json!({})).await, 200);
    test.until(async || status(&test, short, "GET", "/account", json!({})).await == 401).await;
}

#[tokio::test]
async fn collaborators_work_on_an_app_and_owners_let_them_in() {
    let test = TestPlatform::with_app().await;
    let (ann, bob) = (account(&test, "ann@example.com").await, account(&test, "bob@x.org").await);
    let all = "/apps/library/collaborators";
    let missing = test.call("POST", all, json!({ "user": "eve@x.org" })).await;
    assert_eq!(missing.0.as_u16(), 404);
    assert!(missing.1["message"].as_str().unwrap().contains("slugline users:add eve@x.org"));
    assert_eq!(status(&test, &ann, "GET", "/apps/library", json!({})).await, 404);
    test.ok("POST", all, json!({ "user": "ann@example.com" })).await;
    assert_eq!(status(&test, &ann, "GET", "/apps/library", json!({})).await, 200);
    let (_, apps) = test.call_as(&ann, "GET", "/users/~/apps", json!({})).await;
    assert_eq!(apps[0]["owner"]["email"], "owner@localhost");
    let (_, apps) = test.call_as(&bob, "GET", "/apps", json!({})).await;
    assert_eq!(apps, json!([]));
    let change = json!({ "A": "1" });
    assert_eq!(status(&test, &ann, "PATCH", "/apps/library/config-vars", change).await, 200);
    let releases = test.get("/apps/library/releases").await;
    assert_eq!(releases[0]["user"]["email"], "owner@localhost");
    assert_eq!(releases[1]["user"]["email"], "ann@example.com", "who did it is told");
    for (method, path, body) in [
        ("DELETE", "/apps/library", json!({})),
        ("POST", all, json!({ "user": "bob@x.org" })),
        ("POST", "/account/app-transfers", json!({ "app": "library", "recipient": "bob@x.org" })),
    ] {
        assert_eq!(status(&test, &ann, method, path, body).await, 403, "{method} {path}");
    }
    let roles = test.get(all).await;
    assert_eq!((&roles[0]["role"], &roles[1]["role"]), (&json!("owner"), &json!("collaborator")));
    let own = format!("{all}/ann@example.com");
    assert_eq!(status(&test, &ann, "DELETE", &own, json!({})).await, 200, "everybody may leave");
    assert_eq!(status(&test, &ann, "GET", "/apps/library", json!({})).await, 404);
}

#[tokio::test]
async fn whoever_is_not_the_operator_reads_no_path_of_the_server_and_talks_to_no_registry_by_it() {
    let test = TestPlatform::with_app().await;
    let ann = account(&test, "ann@example.com").await;
    test.ok("POST", "/apps/library/collaborators", json!({ "user": "ann@example.com" })).await;
    let slug = test.get("/apps/library/releases/1").await["slug"]["id"].clone();
    let slug = format!("/apps/library/slugs/{}", slug.as_str().unwrap());
    let image = format!("{slug}/image?stack");
    let registry = json!({ "reference": "127.0.0.1:1/owl" });
    for (method, path, allowed) in [
        ("GET", format!("{image}=none"), true),
        ("GET", format!("{image}=/etc"), false),
        ("GET", format!("{image}=../.."), false),
        ("POST", format!("{slug}/actions/push"), false),
        ("POST", "/apps/library/slugs/actions/pull".to_owned(), false),
    ] {
        let code = status(&test, &ann, method, &path, registry.clone()).await;
        assert_eq!(code, if allowed { 200 } else { 403 }, "{path}");
        let (code, told) = test.call(method, &path, registry.clone()).await;
        assert_ne!(code.as_u16(), 403, "the operator may: {told}");
    }
}

#[tokio::test]
async fn an_app_that_is_offered_is_the_others_once_they_accept() {
    let test = TestPlatform::with_app().await;
    let ann = account(&test, "ann@example.com").await;
    let all = "/account/app-transfers";
    let offer = json!({ "app": "library", "recipient": "ann@example.com" });
    let declined = test.ok("POST", all, offer.clone()).await["id"].as_str().unwrap().to_owned();
    assert_eq!(test.get("/apps/library").await["owner"]["email"], "owner@localhost");
    let path = format!("{all}/{declined}");
    assert_eq!(test.call("PATCH", &path, json!({ "state": "accepted" })).await.0.as_u16(), 403);
    let decline = json!({ "state": "declined" });
    assert_eq!(status(&test, &ann, "PATCH", &path, decline).await, 200);
    test.ok("POST", all, offer).await;
    let accept = json!({ "state": "accepted" });
    assert_eq!(status(&test, &ann, "PATCH", &format!("{all}/library"), accept).await, 200);
    let app = test.get("/apps/library").await;
    assert_eq!(app["owner"]["email"], "ann@example.com");
    assert_eq!(
        test.get("/apps/library/collaborators").await[1]["user"]["email"],
        "owner@localhost"
    );
    let (code, body) = test.call("DELETE", "/accounts/ann@example.com", json!({})).await;
    assert_eq!(code.as_u16(), 422);
    assert!(body["message"].as_str().unwrap().contains("library"), "{body}");
}

/// Whoever knows these URLs may use them: they have names that nobody guesses, or nothing to hide.
const CAPABILITIES: [&str; 9] = [
    "/buildpacks",
    "/log-streams/{session}",
    "/pushes/{push}",
    "/schema",
    "/slugs/{slug}",
    "/sources/{source}",
    "/streams/{output}",
    "/api/v4/current-status",
    "/{repository}/",
];

#[tokio::test]
async fn a_stranger_learns_nothing_of_an_app_by_any_route() {
    let test = TestPlatform::with_app().await;
    test.ok("PATCH", "/apps/library/config-vars", json!({ "KEY": SECRET })).await;
    test.ok("POST", "/apps/library/domains", json!({ "hostname": "www.books.example" })).await;
    let eve = account(&test, "eve@example.com").await;
    let app = test.get("/apps/library").await;
    let id = app["id"].as_str().unwrap();
    let mut paths: Vec<String> = routes().into_iter().map(|route| route.path).collect();
    paths.dedup();
    for route in paths {
        let is_capability = CAPABILITIES.iter().any(|known| route.starts_with(known));
        for name in ["library", id] {
            let mut path = String::new();
            for part in route.split('/').skip(1) {
                path.push('/');
                path.push_str(match part {
                    "{app}" => name,
                    "{user}" | "{account}" => "owner@localhost",
                    "{dyno}" => "web.1",
                    "{release}" => "1",
                    "{repository}" => "library.git",
                    part if part.starts_with('{') => id,
                    part => part,
                });
            }
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                let what = format!("{method} {path}");
                let (none, _) = test.call_as("", method, &path, json!({})).await;
                let known = if is_capability { vec![] } else { vec![401, 405] };
                assert!(known.is_empty() || known.contains(&none.as_u16()), "{what}: {none}");
                if is_capability && !route.starts_with("/{repository}") {
                    continue;
                }
                let body = json!({ "app": name, "user": "eve@example.com", "max": 1 });
                let (code, told) = test.call_as(&eve, method, &path, body).await;
                if route.contains("{app}") {
                    assert!([404, 405, 501].contains(&code.as_u16()), "{what}: {code} {told}");
                }
                assert_ne!(code.as_u16(), 500, "{what}: {told}");
                let told = told.to_string();
                for hidden in [SECRET, "books.example", "owner@localhost", "web.1"] {
                    assert!(!told.contains(hidden), "{what}: {told}");
                }
                // A name that was asked for may be repeated where it is not found.
                assert!(!code.is_success() || !told.contains("library"), "{what}: {told}");
            }
        }
    }
    assert_eq!(test.get("/apps/library/config-vars").await["KEY"], SECRET, "and nothing changed");
    for path in ["/store", "/metrics", "/dynos/usage", "/audit", "/accounts"] {
        assert_eq!(status(&test, &eve, "GET", path, json!({})).await, 403, "{path}");
    }
}

#[tokio::test]
async fn a_token_makes_so_many_calls_and_the_operator_any_number() {
    let limits = Limits { api_calls: 5, ..Limits::default() };
    let test = TestPlatform::with_limits(limits).await;
    let ann = account(&test, "ann@example.com").await;
    let left = async || test.call_as(&ann, "GET", "/account/rate-limits", json!({})).await.1;
    assert_eq!(left().await["remaining"], 5);
    for _ in 0..5 {
        assert_eq!(status(&test, &ann, "GET", "/account", json!({})).await, 200);
    }
    let (code, body) = test.call_as(&ann, "GET", "/account", json!({})).await;
    assert_eq!((code.as_u16(), &body["id"]), (429, &json!("rate_limit")));
    assert_eq!(left().await["remaining"], 0);
    for _ in 0..20 {
        test.get("/account").await;
    }
}

#[tokio::test]
async fn every_change_leaves_a_trace() {
    let test = TestPlatform::with_app().await;
    let ann = account(&test, "ann@example.com").await;
    test.ok("POST", "/apps/library/collaborators", json!({ "user": "ann@example.com" })).await;
    let change = json!({ "KEY": SECRET });
    assert_eq!(status(&test, &ann, "PATCH", "/apps/library/config-vars", change).await, 200);
    let wrong = json!({ "1": {} });
    assert_eq!(status(&test, &ann, "PATCH", "/apps/library/config-vars", wrong).await, 422);
    let (_, events) = test.call_as(&ann, "GET", "/apps/library/audit", json!({})).await;
    let line = |event: &Value| {
        format!("{} {} {}", event["user"]["email"], event["action"], event["status"])
    };
    let lines: Vec<String> = events.as_array().unwrap().iter().map(line).collect();
    let ann_changed = "\"ann@example.com\" \"PATCH /apps/library/config-vars\"";
    assert_eq!(lines[0], "\"owner@localhost\" \"POST /apps\" 201");
    assert_eq!(lines[1], "\"owner@localhost\" \"POST /apps/library/builds\" 201");
    assert_eq!(lines[3..], [format!("{ann_changed} 200"), format!("{ann_changed} 422")]);
    assert!(!events.to_string().contains(SECRET), "{events}");
    let all = test.get("/audit?max=2").await;
    assert_eq!(all.as_array().unwrap().len(), 2);
}

/// Every byte that the state's files hold.
fn stored(data: &Path) -> Vec<u8> {
    let files = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let state = files.filter(|path| path.to_string_lossy().contains("state.sqlite3"));
    state.flat_map(|path| std::fs::read(path).unwrap()).collect()
}

fn holds(data: &Path, text: &str) -> bool {
    stored(data).windows(text.len()).any(|bytes| bytes == text.as_bytes())
}

#[tokio::test]
async fn no_secret_stands_in_the_files_of_the_state() {
    let test = TestPlatform::with_app().await;
    let data = test.data.path();
    test.ok("PATCH", "/apps/library/config-vars", json!({ "VISIBLE": SECRET })).await;
    assert_eq!(test.build().await["status"], "succeeded");
    let drain = json!({ "url": "https://user:drainpass77@logs.example/x" });
    test.ok("POST", "/apps/library/log-drains", drain).await;
    let client = json!({ "name": "app", "redirect_uri": "https://a.example/" });
    let client = test.ok("POST", "/oauth/clients", client).await;
    let client_secret = client["secret"].as_str().unwrap();
    let token = account(&test, "ann@example.com").await;
    assert!(holds(data, "VISIBLE") || holds(data, "ann@example.com"), "the files are read");
    for secret in [SECRET, "drainpass77", client_secret, &token, support::TOKEN] {
        assert!(!holds(data, secret), "{secret}");
    }
    let again = test.another_server().await;
    assert_eq!(again.get("/apps/library/config-vars").await["VISIBLE"], SECRET);
    assert_eq!(again.get("/apps/library/releases/2/config-vars").await["VISIBLE"], SECRET);
    let id = client["id"].as_str().unwrap();
    assert_eq!(again.get(&format!("/oauth/clients/{id}")).await["secret"], client_secret);
}
