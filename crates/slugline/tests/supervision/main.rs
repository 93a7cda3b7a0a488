//! Servers and supervisors are killed at random moments, round after round. Afterwards every dyno is
//! what is wanted, no line of the log is lost or doubled, and nothing is left on the machine.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

mod journal;
mod replaced;

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use journal::Journal;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use support::account::Account;
use support::chance::Chance;
use support::scene::Scene;
use support::serving::Serving;
use support::{trace, wait_for};

/// Enough to meet each kind of kill in each state; the environment may ask for more.
const ROUNDS: u64 = 30;

/// Dynos stop in an instant here; what is buried first may take a moment.
const SETTLED: Duration = Duration::from_secs(45);

const WEB: &str = "import http.server, os\n\
    class Answer(http.server.BaseHTTPRequestHandler):\n\
    \x20   def do_GET(self):\n\
    \x20       self.send_response(200); self.send_header('Content-Length', '2'); self.end_headers()\n\
    \x20       self.wfile.write(b'ok')\n\
    \x20   def log_message(self, *_): pass\n\
    http.server.ThreadingHTTPServer(('127.0.0.1', int(os.environ['PORT'])), Answer).serve_forever()\n";

/// Counts aloud, by the name of this very run.
const WORKER: &str = "read -r run < /etc/hostname; count=0\n\
    while :; do echo \"run $run $count\"; count=$((count + 1)); sleep 0.03; done\n";

#[test]
fn kills_at_random_moments_leave_what_is_wanted_and_lose_no_line() {
    let rounds = std::env::var("SLUGLINE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    for account in Account::all() {
        let mut chaos = Chaos::new(&account);
        for _ in 0..rounds.unwrap_or(ROUNDS) {
            chaos.round();
        }
        chaos.settle();
        chaos.end();
    }
}

struct Chaos<'a> {
    scene: &'a Scene,
    server: Serving<'a>,
    chance: Chance,
    journal: Journal,
    web: u64,
    workers: u64,
    /// Every control group that was seen.
    groups: BTreeSet<PathBuf>,
}

impl Chaos<'_> {
    fn new(account: &Account) -> Chaos<'static> {
        // As long as the test, which has two of them.
        let scene: &'static Scene = Box::leak(Box::new(Scene::new(account, "owl")));
        scene.write("app/web.py", WEB);
        scene.write("app/worker.sh", WORKER);
        let server = Serving::start(scene);
        server.api().json("POST", "/apps", &json!({ "name": "owl" }));
        let commands = json!({ "web": "exec python3 web.py", "worker": "exec bash worker.sh" });
        server.release(&commands);
        let chance = Chance::new();
        eprintln!("as {account}; seed {}", chance.seed());
        let (journal, groups) = (Journal::default(), BTreeSet::new());
        let mut chaos = Chaos { scene, server, chance, journal, web: 1, workers: 0, groups };
        chaos.scale(2, 2);
        chaos
    }

    fn scale(&mut self, web: u64, workers: u64) {
        (self.web, self.workers) = (web, workers);
        let updates = json!([
            { "type": "web", "quantity": web }, { "type": "worker", "quantity": workers }
        ]);
        self.server.api().json("PATCH", "/apps/owl/formation", &json!({ "updates": updates }));
    }

    fn round(&mut self) {
        std::thread::sleep(Duration::from_millis(self.chance.below(400)));
        // A server shows its newest lines only, and on a busy machine takes long to come back.
        self.journal.read(&self.server.api());
        match self.chance.below(10) {
            0..5 => {
                self.server.kill();
                std::thread::sleep(Duration::from_millis(self.chance.below(200)));
                // Someone of a dyno may die while there is no server.
                if self.chance.below(3) == 0 {
                    self.kill_somebody("supervise");
                }
                self.server = Serving::start(self.scene);
            }
            5..7 => self.kill_somebody("supervise"),
            // A web server or a worker, not its supervisor.
            7 => {
                let words = if self.chance.below(2) == 0 { "web.py" } else { "worker.sh" };
                self.kill_somebody(words);
            }
            _ => {
                let (web, workers) = (1 + self.chance.below(2), self.chance.below(4));
                self.scale(web, workers);
            }
        }
        self.journal.read(&self.server.api());
        self.groups.extend(trace::groups(&self.scene.data()));
    }

    fn kill_somebody(&mut self, words: &str) {
        let found = trace::processes(&self.scene.data());
        let found: Vec<i32> = found
            .into_iter()
            .filter(|(_, line)| line.contains(words))
            .map(|(pid, _)| pid)
            .collect();
        if !found.is_empty() {
            let one = usize::try_from(self.chance.below(found.len() as u64)).unwrap();
            let _ = kill_process(Pid::from_raw(found[one]).unwrap(), Signal::KILL);
        }
    }

    /// Whoever crashed more than once waits for its next start, unless it is asked for.
    fn settle(&mut self) {
        let api = self.server.api();
        let names = |kind: &str, count| (1..=count).map(move |n| format!("{kind}.{n}")).collect();
        let wanted: Vec<String> = [names("web", self.web), names("worker", self.workers)]
            .into_iter()
            .flat_map(|names: Vec<String>| names)
            .collect();
        api.json("DELETE", "/apps/owl/dynos", &json!(null));
        wait_for("every dyno to be up, and no other", SETTLED, || {
            self.journal.read(&api);
            (api.names_if_up("owl")? == wanted).then_some(())
        });
        let data = self.scene.data();
        wait_for("a supervisor for each dyno, and no other", SETTLED, || {
            let supervisors = supervised(&data);
            (supervisors.len() == wanted.len()).then_some(())
        });
        wait_for("a directory for each dyno, and no other", SETTLED, || {
            let alive = trace::dyno_directories(&data).len();
            (alive == supervisors_and_spares(&data)).then_some(())
        });
        assert_eq!(self.scene.get("/").status, 200);
        self.journal.read(&api);
        self.journal.assert_whole();
    }

    fn end(mut self) {
        self.scale(0, 0);
        let data = self.scene.data();
        wait_for("the last dyno to be gone", SETTLED, || {
            supervised(&data).is_empty().then_some(())
        });
        self.journal.read(&self.server.api());
        self.journal.assert_whole();
        self.server.stop();
        trace::assert_none(&data);
        let left: Vec<_> = self.groups.iter().filter(|group| group.exists()).collect();
        assert!(left.is_empty(), "control groups are left: {left:?}");
        std::fs::remove_dir_all(data.parent().unwrap()).unwrap();
    }
}

/// The dynos that supervisors own now. One that waits for its dyno owns none.
fn supervised(data: &Path) -> BTreeSet<String> {
    let directories = trace::dyno_directories(data);
    let owned = directories.iter().filter(|directory| directory.join("spec.json").exists());
    owned.map(|directory| directory.display().to_string()).collect()
}

fn supervisors_and_spares(data: &Path) -> usize {
    let found = trace::processes(data);
    found.iter().filter(|(_, line)| line.contains(" supervise ")).count()
}
