//! A server with an app of two dynos: one serves, the other one means harm.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use super::support::account::Account;
use super::support::api::{Api, Dyno};
use super::support::http::Request;
use super::support::scene::Scene;
use super::support::server::Server;
use super::support::{trace, wait_for};

/// What a limit needs to be noticed on a busy machine, too.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);

/// What serves beside it.
pub(crate) const SERVES: &str = "exec python3 -m http.server --bind 0.0.0.0 $PORT";

/// `slugline up` starts one of each process type: that one sleeps.
const FUSE: &str = "if [ $DYNO = bomb.1 ]; then exec sleep 6000; fi; exec ./bomb";

/// An app whose process type `bomb` runs what a test says, once that is lit.
pub(crate) struct Stage<'a> {
    pub(crate) server: Server<'a>,
    pub(crate) api: Api,
    neighbour: Neighbour,
}

/// Somebody who asks the dyno that serves, again and again.
struct Neighbour {
    end: Arc<AtomicBool>,
    /// Held for each request.
    turn: Arc<Mutex<()>>,
    asking: JoinHandle<Seen>,
}

/// What it has seen.
#[derive(Default)]
struct Seen {
    /// How many requests were answered: all of them.
    answers: u64,
    /// The control groups of the server's dynos, and of what is ready for others.
    groups: BTreeSet<PathBuf>,
}

impl<'a> Stage<'a> {
    /// A server whose app serves by a command. `bomb` is the script of the one that means harm.
    fn new(scene: &'a Scene, web: &str, bomb: &str, options: &[&str]) -> Self {
        scene.write("bin/detect", "#!/bin/sh\necho Shelf\n");
        scene.write("bin/compile", "#!/bin/sh\ntrue\n");
        scene.write("bomb", bomb);
        scene.write("Procfile", &format!("web: {web}\nbomb: {FUSE}\n"));
        scene.write("index.html", "on the shelf");
        let mut server = Server::start_with_options(scene, options);
        server.wait_for_release(1);
        let api = server.api();
        Self { server, api, neighbour: Neighbour::start(scene) }
    }

    /// Starts the one that means harm; gives how many lines were said before.
    pub(crate) fn light(&self) -> usize {
        let lines = self.server.lines();
        self.scale(2);
        lines
    }

    /// Lets the server do nothing for a while, in which nobody asks it either: it would tell of time
    /// that it did not have.
    pub(crate) fn pause_server(&self, time: Duration) {
        let turn = self.neighbour.turn.lock();
        self.server.pause(time);
        drop(turn);
    }

    /// Asks it to stop.
    pub(crate) fn put_out(&self) {
        self.scale(1);
    }

    fn scale(&self, quantity: u32) {
        let asked = json!({ "quantity": quantity });
        self.api.json("PATCH", "/apps/shelf/formation/bomb", &asked);
    }

    /// Waits for a line of the platform about the dyno.
    pub(crate) fn hears(&self, after: usize, text: &str) {
        self.waits_for(after, &["heroku[bomb.2]", text]);
    }

    /// Waits for a line of the dyno itself.
    pub(crate) fn says(&self, after: usize, text: &str) {
        self.waits_for(after, &["app[bomb.2]", text]);
    }

    /// Waits for a line with all of these words.
    pub(crate) fn waits_for(&self, after: usize, words: &[&str]) {
        wait_for(&format!("a line with {words:?}"), PATIENCE, || {
            let output = self.server.output();
            let has_all = |line: &str| words.iter().all(|word| line.contains(word));
            output.lines().skip(after).any(has_all).then_some(())
        });
    }

    /// Waits until the dyno is gone.
    pub(crate) fn is_gone(&self) {
        wait_for("the dyno's end", PATIENCE, || {
            let dynos = self.api.dynos("shelf");
            let alive = |dyno: &&Dyno| dyno.name == "bomb.2" && dyno.state != "crashed";
            (!dynos.iter().any(|dyno| alive(&dyno))).then_some(())
        });
    }

    /// The state that the API tells of it.
    pub(crate) fn state(&self) -> String {
        let dynos = self.api.dynos("shelf");
        let bomb = dynos.into_iter().find(|dyno| dyno.name == "bomb.2");
        bomb.map(|dyno| dyno.state).unwrap_or_default()
    }

    /// Ends the server, and looks whether all went well beside it, and whether anything is left.
    pub(crate) fn end(self) {
        let seen = self.neighbour.end();
        assert!(seen.answers > 0, "nobody was asked");
        let dynos = self.api.dynos("shelf");
        let web = dynos.iter().find(|dyno| dyno.name == "web.1").expect("one that serves");
        assert_eq!((web.state.as_str(), web.release), ("up", 1));
        let scene = self.server.scene;
        let ended = self.server.interrupt();
        assert_eq!(ended.code, Some(0), "{}", ended.output);
        let crashed = |line: &str| line.contains("heroku[web.1]") && line.contains("crashed");
        assert!(!ended.output.lines().any(crashed), "{}", ended.output);
        trace::assert_none(&scene.data());
        let left: Vec<_> = seen.groups.iter().filter(|group| group.exists()).collect();
        assert!(left.is_empty(), "control groups are left: {left:?}");
    }
}

impl Neighbour {
    fn start(scene: &Scene) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let turn = Arc::<Mutex<()>>::default();
        let mine = Arc::clone(&turn);
        let (ended, port) = (Arc::clone(&end), scene.port);
        let host = format!("{}.localhost:{port}", scene.app);
        let data = scene.data();
        let ask = move || {
            let mut seen = Seen::default();
            while !ended.load(Ordering::Relaxed) {
                let (method, path, headers, body) = ("GET", "/", &[], &[]);
                let request = Request { port, host: &host, method, path, headers, body };
                let turn = mine.lock();
                let answer = request.send().expect("an answer");
                drop(turn);
                assert_eq!((answer.status, answer.text().as_str()), (200, "on the shelf"));
                seen.answers += 1;
                seen.groups.extend(trace::groups(&data));
                std::thread::sleep(Duration::from_millis(100));
            }
            seen
        };
        Self { end, turn, asking: std::thread::spawn(ask) }
    }

    fn end(self) -> Seen {
        self.end.store(true, Ordering::Relaxed);
        self.asking.join().expect("every request is answered")
    }
}

/// Runs a test as root and as an ordinary user, where there is a choice.
pub(crate) fn as_everybody(bomb: &str, options: &[&str], test: impl Fn(&Stage<'_>)) {
    as_everybody_beside(SERVES, bomb, options, test);
}

/// The same beside another neighbour.
pub(crate) fn as_everybody_beside(
    web: &str,
    bomb: &str,
    options: &[&str],
    test: impl Fn(&Stage<'_>),
) {
    for account in Account::all() {
        println!("as {account}:");
        let scene = Scene::new(&account, "shelf");
        let stage = Stage::new(&scene, web, bomb, options);
        test(&stage);
        stage.end();
    }
}
