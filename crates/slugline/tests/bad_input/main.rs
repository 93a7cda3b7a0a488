//! What is wrong with an app or with the machine: each is told in full, each has its exit code, and
//! none leaves anything behind.

mod apps;
mod machine;
mod running;
mod source;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "the library's tests use the rest")]
mod support;

use support::scene::Scene;
use support::server::{Ended, Server};
use support::trace;

/// How a failure has to look.
struct Expected<'a> {
    /// Of [`slugline_model::build::exit_code`].
    code: i32,
    /// Phrases of the message, in their order.
    says: &'a [&'a str],
}

/// Runs `slugline up` to its end, and looks at what it says and leaves.
fn expect_failure(scene: &Scene, expected: &Expected) {
    expect_failure_of(Server::start(scene), expected);
}

fn expect_failure_of(server: Server, expected: &Expected) {
    let scene = server.scene;
    let Ended { code, output } = server.wait_for_failure();
    println!("as {}:\n{output}", scene.account);
    assert_eq!(code, Some(expected.code));
    expect_in_order(&output, expected.says);
    for word in ["Released v", "panicked", "ERROR"] {
        assert!(!output.contains(word), "`{word}` in the output");
    }
    trace::assert_none(&scene.data());
}

/// Looks for each phrase after the one before it. Where a line is broken does not matter.
fn expect_in_order(output: &str, phrases: &[&str]) {
    let text: Vec<&str> = output.lines().map(|line| line.trim_start_matches(" ! ")).collect();
    let text = text.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rest = text.as_str();
    for phrase in phrases {
        let Some(at) = rest.find(phrase) else {
            panic!("`{phrase}` is not, or not in its place, in the output")
        };
        rest = &rest[at + phrase.len()..];
    }
}
