//! `heroku ps` and `heroku run`, with all that belongs to them.

use std::time::Duration;

use serde_json::Value;

use crate::scene;
use crate::support::account::Account;
use crate::support::api::Api;
use crate::support::cli::Cli;
use crate::support::server::Server;
use crate::support::wait_for;
use crate::terminal::Typist;

const SOON: Duration = Duration::from_mins(1);

fn id_of(api: &Api, name: &str) -> String {
    let dynos = api.dynos("owl");
    dynos.into_iter().find(|dyno| dyno.name == name).map(|dyno| dyno.id).unwrap_or_default()
}

#[test]
fn ps_scales_resizes_restarts_and_stops() {
    let scene = scene(&Account::all()[0]);
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let (api, cli) = (server.api(), Cli::new(&mut server));
    let shown = cli.run(&["ps"]).ok();
    for text in ["=== web (Basic): python3 serve.txt (1)", "web.1: up 20", "worker.1: up 20"] {
        assert!(shown.contains(text), "{shown}");
    }
    let scaled = cli.run(&["ps:scale", "web=2:standard-2x"]);
    assert!(scaled.err.contains("now running web at 2:Standard-2X"), "{scaled:?}");
    assert_eq!(cli.run(&["ps:scale"]).ok().trim(), "web=2:Standard-2X worker=1:Basic");
    let sizes = cli.run(&["ps:type"]).ok();
    assert!(sizes.contains("Standard-2X") && sizes.contains("Basic"), "{sizes}");
    cli.run(&["ps:type", "web=basic"]).ok();
    cli.run(&["ps:wait"]).ok();
    assert!(cli.run(&["ps"]).ok().contains("=== web (Basic): python3 serve.txt (2)"));
    let before = id_of(&api, "web.2");
    cli.run(&["ps:restart", "--dyno-name", "web.2"]).ok();
    wait_for("another web.2", SOON, || {
        let now = api.dynos("owl");
        let up = now.iter().all(|dyno| dyno.state == "up" && dyno.id != before);
        (up && now.len() == 3).then_some(())
    });
    let before = id_of(&api, "worker.1");
    cli.run(&["ps:stop", "--process-type", "worker"]).ok();
    wait_for("another worker", SOON, || (id_of(&api, "worker.1") != before).then_some(()));
    assert!(cli.run(&["features"]).ok().contains("[+] preboot"));
    cli.run(&["features:disable", "preboot"]).ok();
    assert_eq!(api.get("/apps/owl/features/preboot")["enabled"], false);
}

#[test]
fn run_gives_output_status_and_input() {
    for account in Account::all() {
        let scene = scene(&account);
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        let (api, cli) = (server.api(), Cli::new(&mut server));
        let said = cli.run(&["run", "--no-tty", "--", "echo out; echo err >&2; echo $DYNO"]).ok();
        assert!(said.starts_with("out\nerr\nrun."), "{said:?}");
        for (command, code) in [("true", 0), ("(exit 7)", 7), ("kill -9 $BASHPID & wait $!", 137)] {
            let ran = cli.run(&["run", "--no-tty", "-x", "--", command]);
            assert_eq!(ran.code, Some(code), "{command}: {ran:?}");
        }
        let input: Vec<String> = (0..30_000).map(|n| format!("line {n}\n")).collect();
        let input = input.concat();
        let echoed = cli.run_with_input(&["run", "--no-tty", "cat"], &input).ok();
        assert!(echoed == input, "{} of {} bytes came back", echoed.len(), input.len());
        let var = cli.run(&["run", "--no-tty", "-e", "COLOUR=blue", "--", "echo is $COLOUR"]).ok();
        assert_eq!(var, "is blue\n");
        let detached = cli.run(&["run:detached", "--", "echo I am $DYNO"]);
        assert_eq!(detached.code, Some(0), "{detached:?}");
        server.wait_for_line(0, &["app[run.", "I am run."]);
        server.wait_for_line(0, &["heroku[run.", "State changed from up to complete"]);
        let inside = cli.run(&["run:inside", "web.1", "--", "echo in $DYNO; ls /app"]).ok();
        assert!(inside.contains("in web.1") && inside.contains("serve.txt"), "{inside:?}");
        wait_for("the end of all runs", SOON, || {
            api.dynos("owl").iter().all(|dyno| !dyno.name.starts_with("run.")).then_some(())
        });
    }
}

#[test]
fn a_terminal_has_a_size_colours_and_ctrl_c() {
    for account in Account::all() {
        let scene = scene(&account);
        let mut server = Server::start(&scene);
        server.wait_for_release(1);
        let (api, cli) = (server.api(), Cli::new(&mut server));
        let mut typist = Typist::start(cli.command(&["run", "bash"]));
        typist.sees("$ ");
        typist.types("stty size; echo $TERM $((40 + 2)) $(tty | cut -c 1-8)\r");
        typist.sees("37 123");
        typist.sees("xterm-256color 42 /dev/pts");
        typist.types("echo be''gins; sleep 1000\r");
        typist.sees("begins");
        typist.types("\u{3}");
        typist.sees("^C");
        typist.types("echo en''ded by $?\r");
        typist.sees("ended by 130");
        typist.types("exit 5\r");
        assert_eq!(typist.ends(), Some(0), "without -x the status is not the command's");
        // A client that goes away takes its command along.
        let mut typist = Typist::start(cli.command(&["run", "bash"]));
        typist.sees("$ ");
        typist.types("echo he''re\r");
        typist.sees("here");
        drop(typist.killed());
        wait_for("the end of the dyno without a client", SOON, || {
            let all: Value = api.get("/apps/owl/dynos");
            let runs = all.as_array().unwrap().iter().any(|dyno| dyno["type"] == "run");
            (!runs).then_some(())
        });
    }
}
