//! The example app from source to dynos and back: what is baked into the slug is there after every
//! restart, and what a dyno wrote is gone and told of.

mod assets;
mod browser;
mod cover;
mod stages;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the tests of bad input use the rest")]
mod support;

use std::io::Write as _;
use std::path::Path;

use stages::{
    a_killed_server_is_recovered, a_proof_finds_all_in_the_slug,
    a_restart_loses_what_was_written_and_told, build_and_serve, dynos_share_nothing,
    stop_without_a_trace,
};
use support::account::Account;
use support::scene::Scene;
use support::server::Server;

#[test]
fn the_library_keeps_its_assets_and_loses_its_uploads() {
    for account in Account::all() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/library");
        let scene = Scene::copy_of(&account, "library", &example);

        let mut server = Server::start(&scene);
        let cold = server.wait_for_release(1);
        build_and_serve(&mut server);
        a_proof_finds_all_in_the_slug(&mut server);
        a_restart_loses_what_was_written_and_told(&mut server);
        dynos_share_nothing(&mut server);
        stop_without_a_trace(server);

        let mut server = Server::start(&scene);
        let warm = server.wait_for_release(2);
        // Past the test runner, which shows a test's own lines only when it fails.
        let _ = writeln!(std::io::stderr(), "as {account}: {cold:.1?} cold, {warm:.1?} warm");
        assert_it_was_warm(&server.output());
        a_killed_server_is_recovered(server);
    }
}

/// By what it says, since a time depends on the machine.
fn assert_it_was_warm(output: &str) {
    for words in ["Restored dependencies from the cache", "Client unchanged"] {
        assert!(output.contains(words), "no `{words}` in:\n{output}");
    }
    for words in ["npm ci", "Building the client with webpack", "uv pip install -r"] {
        assert!(!output.contains(words), "`{words}` in:\n{output}");
    }
}
