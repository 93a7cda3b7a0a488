//! `heroku addons`, with services that the operator declares.

use std::time::Duration;

use crate::checks::Checks;
use crate::scene;
use crate::support::cli::Cli;
use crate::support::server::Server;
use crate::support::wait_for;

const SOON: Duration = Duration::from_mins(1);

const SERVICES: &str = r#"
[addons.postgres]
name = "PostgreSQL of this machine"
prefix = "DATABASE"
url = "http://localhost:1/docs"
default = "dev"

[addons.postgres.plans.dev]
description = "Shared with everybody"
config.DATABASE_URL = "postgres://db.example/{app}"

[addons.postgres.plans.big]
name = "Big"
config.DATABASE_URL = "postgres://big.example/{app}"
"#;

#[test]
fn addons_are_created_attached_changed_and_destroyed() {
    let scene = scene();
    let config = scene.data().with_file_name("slugline.toml");
    std::fs::write(&config, SERVICES).unwrap();
    let mut server = Server::start_with_options(&scene, &["--config", config.to_str().unwrap()]);
    server.wait_for_release(1);
    let checks = Checks::new(Cli::new(&mut server));
    checks.holds("addons:services", &["postgres", "PostgreSQL of this machine", "ga"]);
    checks.holds("addons:plans postgres", &["postgres:dev", "postgres:big", "free"]);
    checks.holds("addons:docs postgres --show-url", &["postgres"]);
    let created = ["Creating postgres:dev on", "free", "Created books-db as DATABASE_URL"];
    checks.holds("addons:create postgres:dev --name books-db", &created);
    wait_for("the database's address", SOON, || {
        (scene.get("/").text() == "postgres://db.example/owl").then_some(())
    });
    checks.holds("addons", &["postgres (books-db)", "dev", "free", "as DATABASE", "created"]);
    checks.holds("addons:info books-db", &["postgres:dev", "owl", "Attachments", "created"]);
    checks.refused("addons:open NOTHING --show-url", &["Couldn't find that"]);
    checks.holds("addons:open DATABASE --show-url", &["http://localhost:1/docs"]);
    checks.holds("addons:attach books-db --as PINK", &["Attaching", "done, v3"]);
    checks.holds("config", &["PINK_URL", "DATABASE_URL"]);
    let taken = "addons:create postgres:big --as PINK --confirm other";
    checks.refused(taken, &["Confirmation other did not match owl"]);
    checks.holds("addons:detach PINK", &["Detaching PINK", "done, v4"]);
    checks.holds("addons:rename books-db shelf-db", &["shelf-db"]);
    let upgraded = ["Changing shelf-db", "from postgres:dev to postgres:big", "done, free"];
    checks.holds("addons:upgrade shelf-db postgres:big", &upgraded);
    checks.holds("config:get DATABASE_URL", &["postgres://big.example/owl"]);
    checks.refused("addons:upgrade shelf-db postgres:huge", &["postgres:dev postgres:big"]);
    checks.refused("config:set DATABASE_URL=mine", &["Cannot overwrite attachment values"]);
    checks.holds("releases", &["Attach DATABASE (@ref:bo", "Update DATABASE by postgres"]);
    checks.holds("releases:info v5", &["postgres:big"]);
    checks.holds("apps:create shelf --addons postgres --no-remote", &["postgres"]);
    checks.holds("addons:attach shelf-db -a shelf --as OTHER", &["done, v2"]);
    let shared = ["attached to other apps too: shelf"];
    checks.refused("addons:destroy shelf-db --confirm owl", &shared);
    checks.holds("addons --all", &["shelf-db", "postgres", "big", "dev"]);
    checks.holds("addons:destroy shelf-db --confirm owl --force", &["Destroying shelf-db", "done"]);
    assert!(!checks.holds("config -a shelf", &[]).contains("OTHER_URL"));
    checks.holds("apps:destroy -a shelf --confirm shelf", &["done"]);
    checks.holds("addons --all", &["No add-ons"]);
    checks.done();
}
