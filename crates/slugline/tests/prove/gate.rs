//! A release that lacks something, held back or let through.

use serde_json::json;

use super::shop::{command, shop, without};
use super::support::account::Account;
use super::support::deploy::{build, output};
use super::support::server::Server;

#[test]
fn a_gate_that_blocks_leaves_the_old_release_serving() {
    for account in Account::all() {
        let scene = shop(&account);
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        let api = server.api();
        let set = command(&scene, &["prove:gate", "block"]);
        assert_eq!(String::from_utf8_lossy(&set.stdout), "block\n", "{set:?}");

        let bad = without(&account, "public/css/main.css");
        bad.write("public/about.html", "<h1>of the second release</h1>");
        let failed = build(&api, "shop", &bad);
        let told = output(&failed);
        assert_eq!(failed["status"], "failed", "{told}");
        for words in [
            "-----> Proving that the slug has all that its pages need",
            " !     The proof failed",
            " !     `/css/main.css` is answered 404 (`/` refers to it)",
            " !     Nothing was released. shop still runs v1.",
        ] {
            assert!(told.contains(words), "no `{words}` in:\n{told}");
        }
        let release = api.get("/apps/shop/releases/v2");
        assert_eq!((&release["status"], &release["current"]), (&json!("failed"), &json!(false)));
        assert_eq!(scene.get("/css/main.css").status, 200);
        assert!(!scene.get("/about.html").text().contains("second release"));
        assert!(api.dynos("shop").iter().all(|dyno| dyno.release == 1));

        // A change of config vars has the slug of a release that succeeded.
        api.json("PATCH", "/apps/shop/config-vars", &json!({ "COLOUR": "teal" }));
        assert_eq!(api.get("/apps/shop/releases/v3")["status"], "succeeded");

        let good = shop(&account);
        good.write("public/about.html", "<h1>of the fourth release</h1>");
        let done = build(&api, "shop", &good);
        let told = output(&done);
        assert_eq!(done["status"], "succeeded", "{told}");
        assert!(told.contains("       All 5 assets of 2 pages are in the slug."), "{told}");

        api.json("PATCH", "/apps/shop/prove", &json!({ "gate": "warn" }));
        let warned = build(&api, "shop", &bad);
        let told = output(&warned);
        assert_eq!(warned["status"], "succeeded", "{told}");
        assert!(told.contains(" !     It is released all the same"), "{told}");
        let wrong = api.send("PATCH", "/apps/shop/prove", &json!({ "gate": "maybe" }));
        assert_eq!(wrong.status, 422);
    }
}
