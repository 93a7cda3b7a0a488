//! What a finding advises, done: the proof that failed holds.

use super::shop::{findings, prove, shop, without};
use super::support::account::Account;
use super::support::deploy::build;
use super::support::scene::Scene;
use super::support::server::Server;
use super::support::trace;

const STYLE: &str = "public/css/main.css";

/// Makes the style sheet.
const MAKING: &str = "mkdir -p public/css && printf 'body { color: teal }' > public/css/main.css";

/// What is found of a source that makes it too late, and what is so in that source.
type TooLate = (&'static str, fn(&Scene));

const TOO_LATE: [TooLate; 3] = [
    ("vanishes", |scene| scene.write("made", &format!("{STYLE}\n"))),
    ("boot", |scene| scene.write("Procfile", &format!("web: {MAKING}; exec python3 shop.py\n"))),
    ("missing", |scene| {
        scene.write("Procfile", &format!("release: {MAKING}\nweb: exec python3 shop.py\n"));
    }),
];

#[test]
fn a_file_that_the_hook_makes_as_advised_is_in_the_slug() {
    for account in Account::all() {
        let scene = shop(&account);
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        let api = server.api();
        for (problem, make) in TOO_LATE {
            let late = without(&account, STYLE);
            make(&late);
            assert_eq!(build(&api, "shop", &late)["status"], "succeeded");
            let end = prove(&api, "current");
            assert_eq!(findings(&end), [(problem.into(), "/css/main.css".into())], "{end:#}");
            let text = end["verdict"]["findings"][0]["text"].as_str().unwrap();
            assert!(text.contains("bin/post_compile"), "{text}");

            let baked = without(&account, STYLE);
            baked.write("bin/post_compile", &format!("#!/bin/sh\nset -e\n{MAKING}\n"));
            // As a buildpack runs it.
            baked.write("bin/compile", "#!/bin/sh\ncd \"$1\" && exec sh bin/post_compile\n");
            assert_eq!(build(&api, "shop", &baked)["status"], "succeeded");
            let end = prove(&api, "current");
            assert_eq!(findings(&end), [], "{problem}: {end:#}");
            assert_eq!(end["lines"][0], "All 5 assets of 2 pages are in the slug.", "{end:#}");
        }
        let ended = server.interrupt();
        assert_eq!(ended.code, Some(0), "{}", ended.output);
        trace::assert_none(&scene.data());
    }
}
