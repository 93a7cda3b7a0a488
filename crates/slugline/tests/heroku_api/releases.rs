//! Config vars, releases and logs.

use crate::checks::Checks;
use crate::scene;
use crate::support::cli::Cli;
use crate::support::server::Server;

#[test]
fn config_vars_and_releases_are_made_read_and_taken_back() {
    let scene = scene();
    scene.write("Procfile", "web: python3 serve.txt\nrelease: test -z \"$BROKEN\" && echo fine\n");
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let checks = Checks::new(Cli::new(&mut server));
    checks.holds("config:set DATABASE_URL=first A=one", &["Setting", "done, v2"]);
    checks.holds("config:get A", &["one"]);
    checks.holds("config", &["A:", "one", "DATABASE_URL:", "first"]);
    checks.holds("config --json", &["\"A\": \"one\""]);
    checks.holds("config:unset A", &["Unsetting A", "done, v3"]);
    checks.refused("config:set __A=1", &["__A"]);
    checks.holds("releases", &["v3", "Remove A config vars", "v2", "v1", "owner@localhost"]);
    checks.holds("releases --num 1 --json", &["\"version\": 3"]);
    checks.holds("releases:info v2", &["v2", "A", "one"]);
    server.wait_for_line(0, &["Release v3 takes effect"]);
    checks.holds("releases:output v3", &["fine"]);
    checks.holds("rollback v2", &["Rolling back owl to v2", "done, v4"]);
    server.wait_for_line(0, &["Release v4 takes effect"]);
    checks.holds("config:get A", &["one"]);
    checks.holds("config:set BROKEN=1", &["Setting BROKEN"]);
    server.wait_for_line(0, &["Release v5 failed"]);
    checks.holds("releases", &["v5", "failed"]);
    checks.holds("releases:output v5", &["The release command failed"]);
    checks.holds("config:unset BROKEN", &["done"]);
    server.wait_for_line(0, &["Release v6 takes effect"]);
    checks.holds("releases:retry", &["Retrying v6", "done"]);
    server.wait_for_line(0, &["Release v7 takes effect"]);
    checks.holds("logs --num 100 --source app", &["app[api]", "Release v7 created"]);
    checks.holds("ps", &["web (", "python3 serve.txt", "web.1: up"]);
    checks.holds("pipelines:create novels -a owl -s staging", &["novels", "done"]);
    checks.holds("pipelines:info novels", &["owl", "staging"]);
    checks.holds("apps:info --json", &["\"name\": \"owl\""]);
    checks.done();
}
