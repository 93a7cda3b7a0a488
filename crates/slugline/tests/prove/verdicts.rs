//! What a proof says of apps that have all, and of those that lack something.

use std::time::Duration;

use serde_json::json;

use super::shop::{command, findings, prove, shop, without};
use super::support::account::Account;
use super::support::deploy::build;
use super::support::server::Server;
use super::support::{trace, wait_for};

#[test]
fn each_way_of_losing_a_file_is_told_from_having_all() {
    for account in Account::all() {
        let scene = shop(&account);
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        let api = server.api();
        let lines = server.lines();

        let end = prove(&api, "current");
        assert_eq!(findings(&end), [], "{end:#}");
        let said = end["lines"][0].as_str().unwrap();
        assert_eq!(said, "All 6 assets of 2 pages are in the slug.", "{end:#}");
        let kept = api.get("/apps/shop/releases/v1/proof");
        assert_eq!(kept["verdict"], end["verdict"], "it is kept with the release");

        let output = command(&scene, &["prove"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.ends_with(&format!("{said}\n")), "{text}");

        // The page makes its style sheet when it is first seen.
        let made = without(&account, "public/css/main.css");
        made.write("made", "public/css/main.css\n");
        assert_eq!(build(&api, "shop", &made)["status"], "succeeded");
        let end = prove(&api, "v2");
        assert_eq!(findings(&end), [("vanishes".into(), "/css/main.css".into())], "{end:#}");
        let text = end["verdict"]["findings"][0]["text"].as_str().unwrap();
        let says = "`/css/main.css` is generated, as /app/public/css/main.css, when first asked \
                    for and vanishes at restart: ";
        assert!(text.starts_with(says), "{text}");

        // Each dyno makes it before it listens.
        let boots = without(&account, "public/css/main.css");
        let making = "web: echo 'b{}' > public/css/main.css; exec python3 shop.py\n";
        boots.write("Procfile", making);
        build(&api, "shop", &boots);
        let end = prove(&api, "current");
        assert_eq!(findings(&end), [("boot".into(), "/css/main.css".into())], "{end:#}");

        // Two dynos never agree on it; what differs for each request is no file.
        let differs = shop(&account);
        differs.write("boots", "");
        differs.write("public/about.html", "<script src='/js/boot.js'></script>");
        build(&api, "shop", &differs);
        let end = prove(&api, "current");
        assert_eq!(findings(&end), [("differs".into(), "/js/boot.js".into())], "{end:#}");

        // Its place is taken by the start page, with 200.
        let fallback = without(&account, "public/css/main.css");
        fallback.write("fallback", "");
        build(&api, "shop", &fallback);
        let end = prove(&api, "current");
        assert_eq!(findings(&end), [("fallback".into(), "/css/main.css".into())], "{end:#}");

        // A chunk that only a click loads.
        build(&api, "shop", &without(&account, "public/js/216.aa00bb11.chunk.js"));
        let end = prove(&api, "current");
        let chunk = "/js/216.aa00bb11.chunk.js";
        assert_eq!(findings(&end), [("missing".into(), chunk.into())], "{end:#}");
        let output = command(&scene, &["prove", "--json"]);
        assert_eq!(output.status.code(), Some(80), "{output:?}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["verdict"], end["verdict"]);

        // Nobody was asked to serve, and nothing is left.
        wait_for("web.1 alone", Duration::from_mins(1), || {
            (api.names_if_up("shop")? == ["web.1"]).then_some(())
        });
        let output = server.output();
        let told = output.lines().skip(lines).any(|line| line.contains("prove."));
        assert!(!told, "a dyno of a proof is in the log:\n{output}");
        assert_eq!(server.interrupt().code, Some(0));
        trace::assert_none(&scene.data());
    }
}

#[test]
fn a_release_whose_dynos_do_not_get_up_is_not_proven_and_says_why() {
    let account = &Account::all()[0];
    let scene = shop(account);
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let api = server.api();
    let broken = shop(account);
    broken.write("shop.py", "import sys\nprint('no shelf', flush=True)\nsys.exit(3)\n");
    build(&api, "shop", &broken);
    let end = prove(&api, "v2");
    let error = end["error"].as_str().unwrap_or_else(|| panic!("an error: {end:#}"));
    for words in ["it exited with status 3", "no shelf", "Next: ", "Nothing was changed."] {
        assert!(error.contains(words), "no `{words}` in {error}");
    }
    let none = api.send("POST", "/apps/shop/prove", &json!({ "release": "v99" }));
    assert_eq!(none.status, 404);
}
