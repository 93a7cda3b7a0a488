//! Pages that were opened before a release find their files after it.

use super::shop::{ask, command, shop};
use super::support::account::Account;
use super::support::deploy::build;
use super::support::server::Server;
use super::support::wait_for;

use std::time::Duration;

const OLD: &str = "/js/main.3f2a91bc.js";

#[test]
fn an_old_asset_is_answered_off_the_dyno_with_its_type() {
    for account in Account::all() {
        let scene = shop(&account);
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        let api = server.api();
        let old = ask(&scene, "GET", OLD);
        assert_eq!(old.status, 200);

        let next = shop(&account);
        std::fs::remove_file(next.source().join("public/js/main.3f2a91bc.js")).unwrap();
        next.write("public/js/main.77aa00bb.js", "console.log('second')");
        next.write("public/index.html", r#"<script src="/js/main.77aa00bb.js"></script>"#);
        assert_eq!(build(&api, "shop", &next)["status"], "succeeded");
        wait_for("the second release", Duration::from_mins(1), || {
            let dynos = api.dynos("shop");
            let new = dynos.iter().all(|dyno| dyno.release == 2 && dyno.state == "up");
            new.then_some(())
        });
        assert_eq!(ask(&scene, "GET", OLD).status, 404, "it is off unless it is asked for");

        let set = command(&scene, &["assets", "bridge"]);
        assert_eq!(String::from_utf8_lossy(&set.stdout), "bridge\n", "{set:?}");
        let lines = server.lines();
        let answer = ask(&scene, "GET", OLD);
        assert_eq!((answer.status, &answer.body), (200, &old.body));
        assert_eq!(answer.header("Content-Type"), "text/javascript; charset=utf-8");
        assert_eq!(answer.header("Cache-Control"), "public, max-age=31536000, immutable");
        let line = server.wait_for_line(lines, &["heroku[router]: at=info method=GET", OLD]);
        assert!(line.contains(" dyno= connect= service= status=200 "), "{line}");
        assert!(line.ends_with(" protocol=http bridge=v1"), "{line}");

        let head = ask(&scene, "HEAD", OLD);
        let length = old.body.len().to_string();
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("Content-Length"), length);
        for (method, path) in [
            ("GET", "/js/main.deadbee1.js"),
            ("GET", "/shop.py"),
            ("GET", "/js/main.js"),
            ("POST", OLD),
        ] {
            assert_ne!(ask(&scene, method, path).status, 200, "{method} {path}");
        }

        // With no web dyno at all it is answered, too.
        api.json("PATCH", "/apps/shop/formation/web", &serde_json::json!({ "quantity": 0 }));
        wait_for("no dyno", Duration::from_mins(1), || api.dynos("shop").is_empty().then_some(()));
        assert_eq!(ask(&scene, "GET", OLD).body, old.body);
        assert_eq!(ask(&scene, "GET", "/").status, 503);
        command(&scene, &["assets", "off"]);
        assert_eq!(ask(&scene, "GET", OLD).status, 503);
    }
}
