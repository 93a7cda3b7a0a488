//! Commands that people use rarely, each for what it asks of a server.

use serde_json::json;

use crate::checks::Checks;
use crate::scene;
use crate::support::cli::Cli;
use crate::support::server::Server;

#[test]
fn rare_commands_work_too_or_say_what_is_not_there() {
    let scene = scene();
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let api = server.api();
    let pipeline = api.json("POST", "/pipelines", &json!({ "name": "books" }));
    let coupling = json!({ "app": "owl", "pipeline": pipeline["id"], "stage": "staging" });
    api.json("POST", "/pipeline-couplings", &coupling);
    api.json("POST", "/accounts", &json!({ "email": "ann@example.com" }));
    let checks = Checks::new(Cli::new(&mut server));
    checks.holds("whoami", &["owner@localhost"]);
    checks.holds("config:set A=1", &["done, v2"]);
    checks.holds("config:remove A", &["done, v3"]);
    checks.holds("releases:rollback v1", &["done, v4"]);
    checks.holds("buildpacks:add heroku/python", &["heroku/python"]);
    checks.holds("buildpacks:add --index 1 heroku/nodejs", &["heroku/nodejs", "heroku/python"]);
    checks.holds("buildpacks:remove heroku/nodejs", &["Buildpack removed"]);
    checks.holds("domains:add www.owl.test", &["www.owl.test"]);
    checks.holds("domains:info www.owl.test", &["www.owl.test", "hostname"]);
    checks.holds("domains:wait www.owl.test", &[]);
    checks.refused("domains:update www.owl.test --cert nothing", &["Couldn't find"]);
    checks.holds("features:info preboot", &["preboot"]);
    checks.refused("features:enable preboot", &["preboot is already enabled"]);
    checks.holds("ci:config:set KEY=value", &["done"]);
    checks.holds("ci:config:get KEY", &["value"]);
    checks.holds("ci:config:unset KEY", &["done"]);
    checks.refused("ci:info 1 -p books", &["Couldn't find that test run"]);
    checks.holds("ci:last -p books", &["No Heroku CI runs found"]);
    checks.holds("access:add ann@example.com", &["done"]);
    checks.holds("access", &["ann@example.com"]);
    checks.refused("apps:join", &[]);
    checks.refused("apps:leave", &[]);
    checks.holds("apps:lock", &["done"]);
    checks.holds("apps:unlock", &["done"]);
    checks.holds("orgs", &[]);
    checks.refused("members:add ann@example.com --team nobody -r member", &["nobody"]);
    checks.refused("spaces:create forest --team nobody", &["spaces"]);
    checks.refused("spaces:info forest", &["Couldn't find"]);
    checks.refused("spaces:ps forest", &["Couldn't find"]);
    checks.refused("telemetry:info 1", &["telemetry"]);
    checks.refused("addons:wait nothing", &["Couldn't find that add-on"]);
    checks.refused("psql", &[]);
    checks.refused("data:pg:info nothing", &[]);
    checks.holds("ps:kill web.1", &["done"]);
    checks.holds("ps:resize web=standard-1x", &["Standard-1X"]);
    checks.holds("dyno:scale web=1", &["done"]);
    checks.holds("dyno:restart", &["done"]);
    checks.holds("sessions", &[]);
    checks.holds("certs:auto:refresh", &["done"]);
    checks.done();
}
