//! The stages of the library's life, each with what has to be true after it.

use serde_json::{Value, json};

use super::support::scene::Scene;
use super::support::server::Server;
use super::support::{trace, wait_for};
use super::{assets, browser, cover};

use std::path::PathBuf;
use std::time::Duration;

/// A dyno that restarts has 30 s to stop, and migrates its database before it serves.
const RESTART: Duration = Duration::from_secs(90);

/// From the URL in the output to a page that a browser has drawn.
pub(crate) fn build_and_serve(server: &mut Server) {
    let scene = server.scene;
    let url = format!("http://library.localhost:{}/", scene.port);
    server.wait_for_line(0, &["-----> Compressing"]);
    server.wait_for_line(0, &["       Done: "]);
    server.wait_for_line(0, &["-----> Launching"]);
    server.wait_for_line(0, &["       Released v1"]);
    server.wait_for_line(0, &[&url, "deployed to Slugline"]);
    server.wait_for_line(0, &["heroku[web.1]: State changed from starting to up"]);
    server.wait_for_line(0, &["app[worker.1]: tally: books=3 covers=0"]);
    let page = browser::rendered(&url);
    for words in ["3 books on the shelf", r#"<ul class="shelf">"#, "Upload a cover", "web.1"] {
        assert!(page.contains(words), "no `{words}` in the page:\n{page}");
    }
}

/// Dynos that nobody else asks have all that the pages need, before and after a restart.
pub(crate) fn a_proof_finds_all_in_the_slug(server: &mut Server) {
    let answer = server.api().send("POST", "/apps/library/prove", &json!({}));
    let text = answer.text();
    let end: Value = serde_json::from_str(text.lines().last().unwrap_or_default()).expect("JSON");
    assert_eq!(end["verdict"]["findings"], json!([]), "{end:#}");
    let assets = end["verdict"]["assets"].as_u64().expect("a number");
    assert!(assets >= 7, "the page's own, the late chunk, fonts and pictures: {end:#}");
}

/// Assets are the slug's and stay; a cover is the dyno's and goes, with a receipt.
pub(crate) fn a_restart_loses_what_was_written_and_told(server: &mut Server) {
    let scene = server.scene;
    let before = assets::hashes(scene);
    let cover = cover::upload(scene);
    assert_eq!(scene.get(&cover).status, 200);
    assert_eq!(scene.get(&cover).body, cover::PICTURE);

    let lines = server.lines();
    let receipt = restart(server, "web.1");
    let line = server.wait_for_line(lines, &["heroku[web.1]: Discarded "]);
    assert!(line.contains("media/ (1, "), "{line}");
    assert!(line.contains("db.sqlite3 (1, "), "{line}");
    assert!(receipt.contains(&format!("/app{cover}")), "{cover} is on no receipt: {receipt}");

    assert_eq!(scene.get(&cover).status, 404);
    assert_eq!(assets::hashes(scene), before, "assets before and after the restart");
}

/// Restarts a dyno, waits for the new one, and returns what the API tells of the old one's end.
fn restart(server: &mut Server, name: &str) -> String {
    let api = server.api();
    let find = |name: &str| api.dynos("library").into_iter().find(|dyno| dyno.name == name);
    let old = find(name).expect("the dyno to restart");
    let answer = api.send("DELETE", &format!("/apps/library/dynos/{name}"), &Value::Null);
    assert!((200..300).contains(&answer.status), "{answer:?}");
    wait_for(&format!("a new {name}"), RESTART, || {
        find(name).filter(|dyno| dyno.id != old.id && dyno.state == "up")
    });
    wait_for("the old one's receipt", RESTART, || receipt(server, &old.id))
}

fn receipt(server: &mut Server, dyno: &str) -> Option<String> {
    let answer = server.api().send("GET", "/apps/library/receipts", &Value::Null);
    let receipts: Value = serde_json::from_str(&answer.text()).ok()?;
    let of_dyno = |receipt: &&Value| receipt.to_string().contains(dyno);
    receipts.as_array()?.iter().find(of_dyno).map(Value::to_string)
}

/// Of two dynos, only the one that took the upload has it.
pub(crate) fn dynos_share_nothing(server: &mut Server) {
    let scene = server.scene;
    let api = server.api();
    let two = json!({ "updates": [{ "type": "web", "quantity": 2 }] });
    api.json("PATCH", "/apps/library/formation", &two);
    wait_for("two web dynos", RESTART, || {
        let names = api.names_if_up("library")?;
        (names == ["web.1", "web.2", "worker.1"]).then_some(())
    });
    let cover = wait_for("an upload that a dyno takes", RESTART, || cover::try_upload(scene));
    let lines = server.lines();
    let answers: Vec<u16> = (0..60).map(|_| scene.get(&cover).status).collect();
    assert!(answers.contains(&200) && answers.contains(&404), "{answers:?}");
    for status in [200, 404] {
        let status = format!("status={status}");
        let line = server.wait_for_line(lines, &["heroku[router]: at=info", &cover, &status]);
        let dyno = line.split(' ').find(|word| word.starts_with("dyno=web.")).expect("a dyno");
        let other = if status == "status=200" { "status=404" } else { "status=200" };
        let output = server.output();
        let of_dyno = output.lines().skip(lines).filter(|l| l.contains(&cover) && l.contains(dyno));
        assert!(!of_dyno.into_iter().any(|l| l.contains(other)), "{dyno} answers both ways");
    }
    let one = json!({ "updates": [{ "type": "web", "quantity": 1 }] });
    api.json("PATCH", "/apps/library/formation", &one);
    server.wait_for_line(lines, &["heroku[web.2]: Discarded "]);
}

/// Ctrl-C ends well, says what was lost, and leaves nothing on the machine.
pub(crate) fn stop_without_a_trace(server: Server) {
    let scene = server.scene;
    let lines = server.lines();
    let ended = server.interrupt();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    let last: Vec<&str> = ended.output.lines().skip(lines).collect();
    for dyno in ["web.1", "worker.1"] {
        for words in [format!("heroku[{dyno}]: Discarded "), format!("       {dyno}: Discarded ")] {
            let told = |line: &&str| line.contains(&words);
            assert!(last.iter().any(told), "no `{words}` in:\n{}", last.join("\n"));
        }
    }
    let gone = |line: &&str| line.contains("web.2: Discarded");
    assert!(!last.iter().any(gone), "web.2 was told of when it stopped:\n{}", last.join("\n"));
    trace::assert_none(&scene.data());
}

/// A server that is killed is followed by one that knows every dyno, and starts none twice.
pub(crate) fn a_killed_server_is_recovered(server: Server) {
    let scene = server.scene;
    // What stopped just before may not be cleared away yet.
    wait_for("web.1 and worker.1 alone", RESTART, || (dynos(scene).len() == 2).then_some(()));
    server.kill();
    assert_dynos_are_alive_or_gone(scene);

    let mut server = Server::start(scene);
    server.wait_for_release(3);
    let api = server.api();
    wait_for("each dyno once", RESTART, || {
        let names = api.names_if_up("library")?;
        (names == ["web.1", "worker.1"] && dynos(scene).len() == 2).then_some(())
    });
    assert_eq!(supervisors(scene), 2, "{:#?}", trace::processes(&scene.data()));
    let ended = server.interrupt();
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    trace::assert_none(&scene.data());
}

fn assert_dynos_are_alive_or_gone(scene: &Scene) {
    let directories = dynos(scene).len();
    let supervisors = supervisors(scene);
    assert!(
        supervisors == directories || supervisors == 0,
        "{supervisors} supervisors for {directories} dynos: {:#?}",
        trace::processes(&scene.data())
    );
}

/// The directories of dynos, but not of what stands ready for others.
fn dynos(scene: &Scene) -> Vec<PathBuf> {
    let directories = trace::dyno_directories(&scene.data()).into_iter();
    directories.filter(|directory| directory.join("spec.json").exists()).collect()
}

/// Dynos whose supervisor lives.
fn supervisors(scene: &Scene) -> usize {
    let pid = |directory: &PathBuf| std::fs::read_to_string(directory.join("lock")).ok();
    let pids = dynos(scene).into_iter().filter_map(|directory| pid(&directory));
    pids.filter(|pid| std::path::Path::new("/proc").join(pid.trim()).exists()).count()
}
