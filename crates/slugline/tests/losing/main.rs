//! Apps that lose files, one for each way in which users of such platforms report it: what the
//! ledger says while they run, what the receipt says when they stop, and the advice for it. Real
//! servers, as root and as an ordinary user.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

mod baking;
mod stage;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use serde_json::{Value, json};
use slugline_model::advice::Advice;
use slugline_model::ledger::Class;
use stage::Stage;
use support::account::Account;

/// A way of losing files: the app's code, its web process, what is lost, and as what.
struct Way {
    app: &'static str,
    web: &'static str,
    lost: &'static [(&'static str, Class)],
    /// What the advice for one of them begins with.
    advice: &'static str,
}

fn says(advice: &Value, beginning: &str) -> bool {
    let advice: Advice = serde_json::from_value(advice.clone()).unwrap();
    advice.to_string().starts_with(beginning)
}

const WEB: &str = "exec python3 serve.py";

const WAYS: [Way; 8] = [
    Way {
        app: "uploads",
        web: WEB,
        lost: &[("/app/media/covers/owl.png", Class::Upload)],
        advice: "move it to S3: `heroku addons:create s3`",
    },
    Way {
        app: "database",
        web: WEB,
        lost: &[("/app/orders", Class::Database)],
        advice: "use a database add-on: `heroku addons:create heroku-postgresql`",
    },
    Way {
        app: "sessions",
        web: WEB,
        lost: &[("/app/sessions/sessionid8d4g2k", Class::Session)],
        advice: "keep sessions in a database add-on",
    },
    Way {
        app: "compressor",
        web: WEB,
        lost: &[("/app/static/CACHE/css/out.css", Class::Asset)],
        advice: "bake it: add this line to bin/post_compile: `python manage.py compress`",
    },
    Way {
        app: "plain",
        web: "python3 make_assets.py && exec python3 serve.py",
        lost: &[("/app/dist/main.3f2a9c.js", Class::Asset)],
        advice: "bake it: add this line to bin/post_compile: `npm run build`",
    },
    Way {
        app: "plain",
        web: "python3 collect.py && exec python3 serve.py",
        lost: &[
            ("/app/staticfiles/site.1a2b3c.css", Class::Asset),
            ("/app/staticfiles/staticfiles.json", Class::Asset),
        ],
        advice: "bake it: add this line to bin/post_compile: `python manage.py collectstatic",
    },
    Way {
        app: "documents",
        web: WEB,
        lost: &[
            ("/app/invoices/2026-01.pdf", Class::Upload),
            ("/app/thumbnails/owl.jpg", Class::Upload),
        ],
        advice: "move it to S3",
    },
    Way {
        app: "logs",
        web: WEB,
        lost: &[("/app/logs/shop.log", Class::Log)],
        advice: "log to stdout",
    },
];

#[test]
fn every_way_of_losing_files_has_its_class_and_its_advice() {
    for account in Account::all() {
        let stage = Stage::new(&account);
        let mut server = stage.serve();
        for way in &WAYS {
            stage.run(&server, way.app, &json!({ "web": way.web }));
            stage.use_it();
            let live = Stage::lost_now(&server, "web.1", way.lost.len());
            let expected: Vec<_> =
                way.lost.iter().map(|(path, class)| ((*path).to_owned(), *class)).collect();
            assert_eq!(live, expected, "{} as {account}", way.app);
            let told = server.api().get("/apps/owl/dynos/web.1/advice");
            assert_eq!(told["framework"], "django", "{told}");
            let advised = told["groups"].as_array().unwrap();
            assert!(advised.iter().any(|one| says(&one["advice"], way.advice)), "{told}");
            assert_eq!(Stage::lost_at_the_stop(&server), expected, "{} as {account}", way.app);
            let path = way.lost[0].0.trim_start_matches("/app");
            // A log is begun anew, without what was in it.
            let is_made_at_the_start = way.web != WEB || way.app == "logs";
            let status = stage.scene.get(path).status;
            assert_eq!(status == 200, is_made_at_the_start, "{path} after a restart: {status}");
        }
        stage.end(&mut server);
    }
}

#[test]
fn an_app_that_behaves_has_an_empty_headline_with_and_without_caches() {
    for account in Account::all() {
        let stage = Stage::new(&account);
        let mut server = stage.serve();
        for app in ["plain", "cache"] {
            stage.run(&server, app, &json!({ "web": WEB }));
            stage.use_it();
            let live = server.api().get("/apps/owl/dynos/web.1/files");
            assert_eq!(live["files"], 0, "{live}");
            assert!(live["noise"]["files"].as_u64().unwrap() > 0, "{live}");
            let receipt = Stage::receipt_of_a_restart(&server);
            let headline = receipt["headline"].as_str().unwrap();
            assert!(headline.starts_with("Discarded nothing of note ("), "{headline}");
        }
        stage.end(&mut server);
    }
}

/// The release phase has a dyno of its own: what it collects is no web dyno's.
#[test]
fn what_the_release_phase_collects_is_lost_with_its_dyno() {
    for account in Account::all() {
        let stage = Stage::new(&account);
        let mut server = stage.serve();
        let types = json!({ "web": WEB, "release": "python3 collect.py" });
        stage.run(&server, "plain", &types);
        let receipt = Stage::receipt_named(&server, |name| name.starts_with("release."));
        let largest = receipt["largest"].as_array().unwrap();
        assert_eq!(largest.len(), 2, "{receipt}");
        assert!(largest.iter().all(|one| one["class"] == "asset"), "{receipt}");
        assert_eq!(stage.scene.get("/staticfiles/site.1a2b3c.css").status, 404);
        stage.end(&mut server);
    }
}

/// Two dynos, two layers.
#[test]
fn a_file_that_web_writes_is_none_of_its_workers() {
    for account in Account::all() {
        let stage = Stage::new(&account);
        let mut server = stage.serve();
        stage.run(&server, "shared", &json!({ "web": WEB, "worker": "exec python3 app.py" }));
        Stage::scale(&server, "worker");
        stage.use_it();
        let csv = ("/app/uploads/list.csv".to_owned(), Class::Upload);
        assert_eq!(Stage::lost_now(&server, "web.1", 1), [csv]);
        Stage::wait_for_log(&server, "app[worker.1]: no work");
        assert_eq!(server.api().get("/apps/owl/dynos/worker.1/files")["files"], 0);
        assert!(!Stage::log(&server).contains("there is work"));
        stage.end(&mut server);
    }
}
