//! A server whose slugs have their home in a bucket, and one whose outputs go there. These tests need pip's and npm's package
//! indexes, or mirrors of them.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

#[path = "../../slugline-store/tests/scene/proxy.rs"]
#[expect(dead_code, reason = "the store's tests use the rest")]
mod proxy;
#[path = "../../slugline-store/tests/scene/s3.rs"]
mod s3;
#[expect(dead_code, reason = "the library's tests use the rest")]
mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use proxy::{Fault, Proxy, Seen};
use serde_json::Value;
use slugline_model::build::exit_code;
use support::account::{Account, run};
use support::deploy::{build, output};
use support::scene::Scene;
use support::server::Server;
use support::{trace, wait_for};

/// A dyno has a minute to boot.
const START: Duration = Duration::from_mins(1);

/// An app that needs no network, for a server that has a table about the bucket, with a prefix of
/// its own there.
fn scene(account: &Account, proxy: &Proxy, table: &str) -> Scene {
    let scene = Scene::new(account, "shelf");
    scene.write("bin/detect", "#!/bin/sh\necho Shelf\n");
    scene.write("bin/compile", "#!/bin/sh\necho '-----> Nothing to compile'\n");
    scene.write("Procfile", "web: exec python3 -m http.server --bind 0.0.0.0 $PORT\n");
    scene.write("index.html", "on the shelf");
    let data = scene.data();
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    let table = format!(
        "[{table}]\nbucket = \"s3://{}/server-{}\"\nendpoint = \"http://127.0.0.1:{}\"\n\
         credentials = \"keys\"\n",
        s3::BUCKET,
        proxy.port,
        proxy.port
    );
    std::fs::write(data.join("slugline.toml"), table).unwrap();
    let keys = format!("aws_access_key_id = {0}\naws_secret_access_key = {0}\n", s3::KEY);
    std::fs::write(data.join("keys"), keys).unwrap();
    std::fs::write(data.join("token"), "").unwrap();
    account.own(&data);
    scene
}

#[test]
fn an_app_whose_slugs_are_gone_here_starts_from_the_bucket() {
    for account in Account::all() {
        let proxy = Proxy::new(s3::port());
        let scene = scene(&account, &proxy, "store");
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        assert_eq!(server.interrupt().code, Some(0));

        run(std::process::Command::new("rm").arg("-rf").arg(scene.data().join("store")));
        proxy.take();
        scene.write("bin/compile", "#!/bin/sh\necho the build waits\nsleep 3600\n");
        let mut server = Server::start(&scene);
        server.wait_for_line(0, &["the build waits"]);
        wait_for("the release before to serve", START, || {
            scene.try_get("/").ok().filter(|answer| answer.status == 200)
        });
        assert_eq!(scene.get("/").text(), "on the shelf");
        let fetched = proxy.take();
        assert!(fetched.iter().any(|r| r.method == "GET" && r.path.contains("/packs/")));
        let ended = server.interrupt();
        for secret in [s3::KEY, "aws_secret"] {
            assert!(!ended.output.contains(secret), "{}", ended.output);
        }
        trace::assert_none(&scene.data());
    }
}

#[test]
fn a_slug_that_cannot_go_to_the_bucket_is_not_released_and_its_build_says_why() {
    for account in Account::all() {
        let proxy = Proxy::new(s3::port());
        let scene = scene(&account, &proxy, "store");
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        let api = server.api();
        let before = api.dynos("shelf");
        scene.write("index.html", "on another shelf");
        proxy.break_by(|request| match request.method.as_str() {
            "PUT" => Fault::Answer(403, "<Error><Code>AccessDenied</Code></Error>"),
            _ => Fault::None,
        });
        let failed = build(&api, "shelf", &scene);
        assert_eq!(failed["exit_code"], exit_code::STORE, "{failed}");
        let output = output(&failed);
        for part in [
            "could not be stored in the bucket",
            "AccessDenied",
            "must be allowed to list the bucket",
            "Nothing was released. shelf still runs v1.",
        ] {
            assert!(output.contains(part), "{output}");
        }
        assert_eq!(api.dynos("shelf"), before, "the same dynos, on the same release");
        proxy.heal();
        let second = build(&api, "shelf", &scene);
        assert_eq!(second["status"], "succeeded", "{second}");
        assert_eq!(server.interrupt().code, Some(0));
        trace::assert_none(&scene.data());
    }
}

/// How long an output may take to the bucket once that answers: the longest pause is a minute.
const SENT: Duration = Duration::from_mins(2);

/// Waits until an output was put into the bucket, and removes it from the data directory.
fn give_away(scene: &Scene, proxy: &Proxy, seen: &mut Vec<Seen>, one: &Value) {
    let id = one["id"].as_str().unwrap();
    let object = format!("/outputs/{id}");
    // In one request, or in parts of which the last request makes an object.
    let is_it = |r: &Seen| match r.path.split_once('?') {
        None => r.method == "PUT" && r.whole && r.path.ends_with(&object),
        Some((path, query)) => {
            r.method == "POST" && r.whole && path.ends_with(&object) && query.contains("uploadId=")
        }
    };
    wait_for("the output to be put", SENT, || {
        seen.extend(proxy.take());
        seen.iter().any(is_it).then_some(())
    });
    run(std::process::Command::new("rm").arg(scene.data().join("outputs").join(id)));
}

/// The bucket's answer to the last part of an upload may still be on its way.
fn reads_as(one: &Value, expected: &str) {
    wait_for("the output to read the same", START, || (output(one) == expected).then_some(()));
}

#[test]
fn outputs_are_read_from_the_bucket_once_they_are_gone_here_and_wait_while_it_is_away() {
    for account in Account::all() {
        let proxy = Proxy::new(s3::port());
        let scene = scene(&account, &proxy, "logs");
        scene.write("Procfile", "web: exec python3 -m http.server --bind 0.0.0.0 $PORT\nrelease: echo moved the shelf\n");
        let mut seen = vec![];
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        let api = server.api();
        let first = api.get("/apps/shelf/builds")[0].clone();
        let release = api.get("/apps/shelf/releases/1");
        let (built, released) = (output(&first), output(&release));
        assert!(built.contains("Nothing to compile"), "{built}");
        assert!(released.contains("moved the shelf"), "{released}");
        for (one, text) in [(&first, &built), (&release, &released)] {
            give_away(&scene, &proxy, &mut seen, one);
            reads_as(one, text);
        }
        seen.extend(proxy.take());
        assert!(seen.iter().any(|r| r.method == "GET" && r.path.contains("/outputs/")));

        proxy.break_by(|_| Fault::Close);
        let second = build(&api, "shelf", &scene);
        assert_eq!(
            second["status"], "succeeded",
            "a bucket that is away holds up nothing: {second}"
        );
        let rebuilt = output(&second);
        let path = scene.data().join("outputs").join(first["id"].as_str().unwrap());
        run(std::process::Command::new("rm").arg(path));
        let refused = output(&first);
        assert!(refused.contains("Nothing is lost: ask again later."), "{refused}");
        server.wait_for_line(0, &["outputs wait for their bucket"]);
        proxy.heal();
        give_away(&scene, &proxy, &mut seen, &second);
        reads_as(&second, &rebuilt);
        reads_as(&first, &built);

        proxy.break_by(|_| Fault::Hang);
        // More than is sent at once.
        scene.write("bin/compile", "#!/bin/sh\nyes 'a line of a long output' | head -c 18000000\n");
        let third = build(&api, "shelf", &scene);
        assert_eq!(third["status"], "succeeded", "{third}");
        let last = output(&third);
        assert_eq!(server.interrupt().code, Some(0), "nor an end");
        proxy.heal();
        for one in [&first, &release] {
            let id = one["id"].as_str().unwrap();
            run(std::process::Command::new("rm").arg(scene.data().join("outputs").join(id)));
        }
        scene.write("bin/compile", "#!/bin/sh\necho the build waits\nsleep 3600\n");
        let mut server = Server::start(&scene);
        server.wait_for_line(0, &["the build waits"]);
        give_away(&scene, &proxy, &mut seen, &third);
        assert!(last.len() > 18_000_000, "{}", last.len());
        let api = server.api();
        for (one, text) in [(&first, &built), (&third, &last)] {
            let path = format!("/apps/shelf/builds/{}", one["id"].as_str().unwrap());
            reads_as(&api.get(&path), text);
        }
        reads_as(&api.get("/apps/shelf/releases/1"), &released);
        let ended = server.interrupt();
        assert!(!ended.output.contains(s3::KEY), "{}", ended.output);
        trace::assert_none(&scene.data());
    }
}
