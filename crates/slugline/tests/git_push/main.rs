//! `git push`, and the accounts behind it: real git, and the stock command line of Heroku, over TLS.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

mod elsewhere;
mod going_wrong;
mod large;
mod person;
mod pushes;
mod state;
mod stock;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;
#[path = "../heroku_dynos/terminal.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod terminal;

use serde_json::json;
use support::account::Account;
use support::scene::Scene;
use support::serving::Serving;

/// A place for a server, which whoever runs the tests runs.
fn scene() -> Scene {
    Scene::new(&Account::all()[0], "owl")
}

/// A server with an app.
fn serving(scene: &Scene) -> Serving<'_> {
    let serving = Serving::start(scene);
    serving.api().json("POST", "/apps", &json!({ "name": "owl" }));
    serving
}
