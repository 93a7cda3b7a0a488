//! What people do with apps, pipelines and webhooks beside deploying.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;

use crate::checks::Checks;
use crate::scene;
use crate::support::cli::Cli;
use crate::support::server::Server;
use crate::support::wait_for;

const SOON: Duration = Duration::from_mins(1);

#[test]
fn apps_are_looked_at_changed_and_renamed() {
    let scene = scene();
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let dyno = server.api().dynos("owl").remove(0).id;
    let checks = Checks::new(Cli::new(&mut server));
    let info =
        ["=== owl", "Dynos: web: 1", "Owner: owner@localhost", "Region: local", "Stack: host"];
    checks.holds("apps:info", &info);
    checks.holds("apps", &["owl"]);
    checks.holds("apps:stacks", &["* host"]);
    checks.holds("apps:stacks:set host", &["host"]);
    checks.refused("apps:stacks:set heroku-18", &["Couldn't find that stack."]);
    checks.holds("maintenance", &["off"]);
    checks.holds("maintenance:on", &["done"]);
    checks.holds("maintenance", &["on"]);
    checks.holds("maintenance:off", &["done"]);
    checks.holds("features", &["[+] preboot"]);
    checks.holds("labs", &["[ ] log-runtime-metrics", "dashboard-repositories-api"]);
    checks.holds("labs:enable log-runtime-metrics", &["done"]);
    checks.holds("labs:info log-runtime-metrics", &["Enabled: true"]);
    checks.holds("labs:disable log-runtime-metrics --confirm owl", &["done"]);
    checks.refused("labs:enable moonshine", &["Couldn't find that app feature."]);
    checks.holds("regions", &["local", "This machine"]);
    checks.holds("status", &["Apps:", "No known issues at this time."]);
    checks.holds("teams", &[]);
    checks.refused("spaces", &["You do not have access to any spaces."]);
    checks.refused("members --team nobody", &["Couldn't find the team nobody"]);
    checks.refused("apps:create other --team nobody --no-remote", &["no teams"]);
    checks.holds("telemetry -a owl", &[]);
    checks.holds("buildpacks:search python", &["heroku/python", "Python with pip"]);
    checks.holds("buildpacks:search ruby", &["heroku/ruby", "Ruby with Bundler"]);
    checks.holds("pg:backups", &["Backups", "Restores", "Copies"]);
    checks.holds("buildpacks:info heroku/python", &["heroku/python", "description"]);
    checks.holds("buildpacks:versions heroku/python", &["published"]);
    checks.holds("buildpacks:set heroku/python", &["Buildpack set", "heroku/python"]);
    checks.holds("buildpacks", &["heroku/python"]);
    checks.holds("buildpacks:clear", &["cleared"]);
    checks.holds("usage:addons -a owl", &[]);
    checks.holds("apps:rename cat", &["Renaming owl to cat", "done", "cat.localhost"]);
    checks.refused("apps:info", &["Couldn't find that app."]);
    checks.holds("apps:info -a cat", &["=== cat", "web: 1"]);
    checks.holds("logs -a cat", &["Release v1 created", "Rename owl to cat"]);
    let api = server.api();
    assert_eq!(api.dynos("cat")[0].id, dyno, "the dyno runs on");
    checks.holds("apps:rename owl -a cat", &["done"]);
    assert_eq!(scene.get("/").status, 200);
    checks.done();
}

#[test]
fn pipelines_promote_and_have_review_apps() {
    let scene = scene();
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let api = server.api();
    let checks = Checks::new(Cli::new(&mut server));
    api.json("POST", "/pipelines", &json!({ "name": "books" }));
    checks.holds("apps:create shelf --no-remote", &["shelf.localhost"]);
    checks.holds("config:set -a shelf DATABASE_URL=of-the-shelf", &["done, v1"]);
    checks.holds("pipelines", &["books"]);
    checks.holds("pipelines:add books -a owl -s staging", &["Adding", "staging", "done"]);
    checks.holds("pipelines:add books -a shelf -s development", &["done"]);
    checks.holds("pipelines:update -a shelf -s production", &["Changing", "production", "done"]);
    checks.holds("pipelines:info books", &["owl", "staging", "shelf", "production"]);
    let promoted = ["Starting promotion to production", "Promotion successful", "shelf: succeeded"];
    checks.holds("pipelines:promote -a owl", &promoted);
    checks.holds("releases -a shelf", &["Promote owl v1"]);
    wait_for("the promoted app", SOON, || {
        let host = format!("shelf.localhost:{}", scene.port);
        let port = scene.port;
        let request = crate::support::http::Request {
            port,
            host: &host,
            method: "GET",
            path: "/",
            headers: &[],
            body: &[],
        };
        (request.send().ok()?.text() == "of-the-shelf").then_some(())
    });
    checks.refused("pipelines:promote -a shelf", &["Cannot promote"]);
    checks.holds("pipelines:rename books novels", &["done"]);
    checks.holds("reviewapps:enable -p novels", &["Configuring pipeline", "done"]);
    checks.holds("reviewapps:enable -p novels --autodestroy", &["Enabling auto destroy", "done"]);
    checks.holds("reviewapps:disable -p novels --no-autodestroy", &["done"]);
    checks.holds("ci", &[]);
    checks.holds("ci:config:set KEY=value", &["done"]);
    checks.holds("ci:config", &["KEY", "value"]);
    checks.holds("pipelines:remove -a shelf", &["done"]);
    checks.holds("pipelines:destroy novels", &["done"]);
    checks.holds("apps:destroy -a shelf --confirm shelf", &["done"]);
    checks.done();
}

/// Takes one request and tells it.
fn listener() -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let mut request = Vec::new();
            let mut buffer = [0; 4_096];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                request.extend_from_slice(&buffer[..read]);
                if is_whole(&String::from_utf8_lossy(&request)) {
                    break;
                }
            }
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            if told.send(String::from_utf8_lossy(&request).into_owned()).is_err() {
                return;
            }
        }
    });
    (port, heard)
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    body.len() >= length.unwrap_or(0)
}

#[test]
fn webhooks_are_told_where_the_operator_lets_them() {
    let scene = scene();
    let config = scene.data().with_file_name("slugline.toml");
    std::fs::write(&config, "[outbound]\nallow = [\"127.0.0.1\"]\n").unwrap();
    let mut server = Server::start_with_options(&scene, &["--config", config.to_str().unwrap()]);
    server.wait_for_release(1);
    let api = server.api();
    let checks = Checks::new(Cli::new(&mut server));
    let (port, heard) = listener();
    let add =
        format!("webhooks:add -i api:release -l sync -s secret -u http://127.0.0.1:{port}/in");
    checks.holds(&add, &["Adding webhook to", "done"]);
    let webhooks = checks.holds("webhooks", &["api:release", "sync"]);
    checks.holds("config:set TOLD=1", &["done, v2"]);
    let request = heard.recv_timeout(SOON).unwrap();
    assert!(request.starts_with("POST /in HTTP/1.1"), "{request}");
    assert!(request.to_lowercase().contains("heroku-webhook-hmac-sha256: "), "{request}");
    assert!(request.contains("Set TOLD config vars"), "{request}");
    wait_for("the delivery to be settled", SOON, || {
        let deliveries = api.get("/apps/owl/webhook-deliveries");
        (deliveries[0]["status"] == "succeeded").then_some(())
    });
    let deliveries = checks.holds("webhooks:deliveries", &["succeeded", "api:release"]);
    let id = |text: &str| {
        let words = text.split_whitespace();
        words.map(str::to_owned).find(|word| word.parse::<uuid::Uuid>().is_ok()).unwrap()
    };
    checks.holds(&format!("webhooks:deliveries:info {}", id(&deliveries)), &["succeeded"]);
    let events = checks.holds("webhooks:events", &["release", "create", "20"]);
    checks.holds(&format!("webhooks:events:info {}", id(&events)), &["payload"]);
    let webhook = id(&webhooks);
    checks.holds(&format!("webhooks:info {webhook}"), &["api:release", "sync"]);
    let update = format!("webhooks:update {webhook} -i api:build -l notify -u https://x.example/");
    checks.holds(&update, &["done"]);
    checks.holds(&format!("webhooks:remove {webhook}"), &["done"]);
    checks.done();
}
