//! A running `slugline up`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::api::{Api, Dyno};
use super::scene::Scene;
use super::wait_for;

/// A first build fetches Python's and Node's packages.
const BUILD: Duration = Duration::from_mins(15);

/// Dynos have 60 s to boot, and those before them 30 s to stop.
const START: Duration = Duration::from_mins(2);

/// Dynos have 30 s to stop.
const STOP: Duration = Duration::from_mins(1);

/// Everything that it printed, stdout and stderr as they came.
type Output = Arc<Mutex<Vec<String>>>;

/// A server that is stopped, with all its dynos, when the test ends, however it ends.
#[derive(Debug)]
pub(crate) struct Server<'a> {
    pub(crate) scene: &'a Scene,
    child: Child,
    output: Output,
    readers: Vec<JoinHandle<()>>,
    started: Instant,
}

/// How a server ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None when a signal killed it.
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
}

impl<'a> Server<'a> {
    /// `slugline up` of the scene's app.
    pub(crate) fn start(scene: &'a Scene) -> Self {
        let program = scene.account.command(scene.program());
        Self::start_with(scene, program)
    }

    /// The same, with more options.
    pub(crate) fn start_with_options(scene: &'a Scene, options: &[&str]) -> Self {
        let mut program = scene.account.command(scene.program());
        program.arg("up").args(options);
        Self::spawn(scene, program)
    }

    /// The same, with a command that runs slugline, or becomes it after something else.
    pub(crate) fn start_with(scene: &'a Scene, mut command: Command) -> Self {
        command.arg("up");
        Self::spawn(scene, command)
    }

    fn spawn(scene: &'a Scene, mut command: Command) -> Self {
        command.arg(scene.source()).arg("--data-dir").arg(scene.data());
        command.args(["--port", &scene.port.to_string()]);
        command.args(["--api-port", &scene.api_port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = Output::default();
        let readers = vec![
            collect(child.stdout.take().expect("it is piped"), output.clone()),
            collect(child.stderr.take().expect("it is piped"), output.clone()),
        ];
        Self { scene, child, output, readers, started: Instant::now() }
    }

    /// Waits until this release answers, and no earlier one; says how long that took.
    pub(crate) fn wait_for_release(&mut self, version: u64) -> Duration {
        let api = self.api();
        let released = format!("       Released v{version}");
        self.wait_at_most(BUILD, &[&released], 0);
        let app = self.scene.app;
        self.wait("every dyno to be up on the new release", START, || {
            let dynos = api.dynos(app);
            let crashed = dynos.iter().find(|dyno| dyno.state == "crashed");
            assert!(crashed.is_none(), "{crashed:?}");
            let is_new = |dyno: &Dyno| dyno.state == "up" && dyno.release == version;
            (!dynos.is_empty() && dynos.iter().all(is_new)).then_some(())
        });
        assert_eq!(self.scene.get("/").status, 200);
        self.started.elapsed()
    }

    /// Waits for what has nothing to come from once the server has ended.
    fn wait<T>(&mut self, what: &str, patience: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
        let (child, output) = (&mut self.child, &self.output);
        wait_for(what, patience, || {
            let answer = ask();
            let ended = child.try_wait().expect("it is our child");
            assert!(answer.is_some() || ended.is_none(), "ended: {ended:?}\n{}", joined(output));
            answer
        })
    }

    /// What it has printed so far.
    pub(crate) fn output(&self) -> String {
        joined(&self.output)
    }

    /// The first line with all these words in it, which may still have to come. Lines before the
    /// given number of lines do not count.
    pub(crate) fn wait_for_line(&mut self, after: usize, words: &[&str]) -> String {
        self.wait_at_most(STOP, words, after)
    }

    fn wait_at_most(&mut self, patience: Duration, words: &[&str], after: usize) -> String {
        let output = self.output.clone();
        let has_all = |line: &&String| words.iter().all(|word| line.contains(word));
        let find = || lock(&output).iter().skip(after).find(has_all).cloned();
        self.wait(&format!("a line with {words:?}"), patience, find)
    }

    /// The most memory that it had so far (kB).
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse().ok());
        peak.expect("the kernel counts it")
    }

    /// Lets it do nothing for a while, as on a machine that has no time for it.
    pub(crate) fn pause(&self, time: Duration) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP).expect("it is our child");
        std::thread::sleep(time);
        kill_process(pid, Signal::CONT).expect("it is our child");
    }

    /// How many lines it has printed.
    pub(crate) fn lines(&self) -> usize {
        lock(&self.output).len()
    }

    /// Its API, once the token is there.
    pub(crate) fn api(&mut self) -> Api {
        let path = self.scene.data().join("token");
        let port = self.scene.api_port;
        let token = self.wait("the API's token", STOP, || {
            std::fs::read_to_string(&path).ok().filter(|token| token.ends_with('\n'))
        });
        Api { port, token: token.trim().to_owned() }
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(mut self) -> Ended {
        self.signal(Signal::INT);
        self.wait_for_end(STOP)
    }

    /// A crash: no chance to clean up. Its dynos are not touched.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::KILL);
        self.wait_for_end(STOP);
    }

    /// Waits for the end of a build that fails.
    pub(crate) fn wait_for_failure(self) -> Ended {
        self.wait_for_end(BUILD)
    }

    fn wait_for_end(mut self, patience: Duration) -> Ended {
        let child = &mut self.child;
        let ended = || child.try_wait().expect("it is our child");
        let status = wait_for("the server's end", patience, ended);
        for reader in std::mem::take(&mut self.readers) {
            reader.join().expect("a reader only reads");
        }
        Ended { code: status.code(), output: self.output() }
    }

    /// Only while it runs: afterwards its pid may be somebody else's.
    fn signal(&mut self, signal: Signal) {
        if !self.has_ended() {
            let _ = kill_process(Pid::from_child(&self.child), signal);
        }
    }

    fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("as {}, it printed:\n{}", self.scene.account, self.output());
        }
        self.signal(Signal::INT);
        let start = Instant::now();
        while !self.has_ended() && start.elapsed() < STOP {
            std::thread::sleep(Duration::from_millis(50));
        }
        self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

fn collect(stream: impl Read + Send + 'static, output: Output) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            lock(&output).push(String::from_utf8_lossy(&line).into_owned());
        }
    })
}

fn lock(output: &Output) -> std::sync::MutexGuard<'_, Vec<String>> {
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

fn joined(output: &Output) -> String {
    lock(output).join("\n")
}
