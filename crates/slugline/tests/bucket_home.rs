//! A server whose slugs have their home in a bucket. These tests need pip's and npm's package
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

use proxy::{Fault, Proxy};
use slugline_model::build::exit_code;
use support::account::{Account, run};
use support::deploy::{build, output};
use support::scene::Scene;
use support::server::Server;
use support::{trace, wait_for};

/// A dyno has a minute to boot.
const START: Duration = Duration::from_mins(1);

/// An app that needs no network, for a server with a prefix of its own in the bucket.
fn scene(account: &Account, proxy: &Proxy) -> Scene {
    let scene = Scene::new(account, "shelf");
    scene.write("bin/detect", "#!/bin/sh\necho Shelf\n");
    scene.write("bin/compile", "#!/bin/sh\necho '-----> Nothing to compile'\n");
    scene.write("Procfile", "web: exec python3 -m http.server --bind 0.0.0.0 $PORT\n");
    scene.write("index.html", "on the shelf");
    let data = scene.data();
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    let table = format!(
        "[store]\nbucket = \"s3://{}/server-{}\"\nendpoint = \"http://127.0.0.1:{}\"\n\
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
        let scene = scene(&account, &proxy);
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
        let scene = scene(&account, &proxy);
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
