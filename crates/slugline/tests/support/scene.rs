//! A place for one server: an app's directory, a data directory, and two ports.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use slugline_model::network::Share;

use super::account::{Account, run};
use super::http::{Request, Response};
use super::ports::free_port;
use super::trace;

/// How long what was killed may take to be gone.
const ENDING: Duration = Duration::from_secs(10);

/// Removed with all that is in it at the end.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) account: Account,
    /// The app's name, which is its directory's.
    pub(crate) app: &'static str,
    /// The router's port.
    pub(crate) port: u16,
    /// The API's port.
    pub(crate) api_port: u16,
    directory: tempfile::TempDir,
}

impl Scene {
    /// An empty app.
    pub(crate) fn new(account: &Account, app: &'static str) -> Self {
        let directory =
            tempfile::Builder::new().prefix("slugline-").tempdir().expect("a directory");
        let (port, api_port) = (free_port(), free_port());
        let scene = Self { account: account.clone(), app, port, api_port, directory };
        std::fs::create_dir(scene.source()).expect("an empty directory takes another");
        account.own(scene.directory.path());
        place_program(&scene.program());
        scene
    }

    /// A copy of a directory of this repository.
    pub(crate) fn copy_of(account: &Account, app: &'static str, original: &Path) -> Self {
        let scene = Self::new(account, app);
        run(Command::new("cp").arg("-RT").arg(original).arg(scene.source()));
        account.own(&scene.source());
        scene
    }

    /// Writes a file of the app, executable if it is a script.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.source().join(name);
        let parent = path.parent().expect("a file lies in a directory");
        std::fs::create_dir_all(parent).expect("the app's directory is ours");
        std::fs::write(&path, text).expect("the app's directory is ours");
        let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("it is ours");
        self.account.own(&self.source());
    }

    /// The app's directory.
    pub(crate) fn source(&self) -> PathBuf {
        self.directory.path().join(self.app)
    }

    /// The data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The binary under test, where every user may run it.
    pub(crate) fn program(&self) -> PathBuf {
        self.directory.path().join("slugline")
    }

    /// What the app answers.
    pub(crate) fn try_get(&self, path: &str) -> std::io::Result<Response> {
        self.send("GET", path, &[], &[])
    }

    /// What the app answers.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.try_get(path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// What the app answers.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> std::io::Result<Response> {
        let host = format!("{}.localhost:{}", self.app, self.port);
        Request { port: self.port, host: &host, method, path, headers, body }.send()
    }
}

/// Dynos outlive a server that was killed, and a test may fail before the next one finds them.
impl Drop for Scene {
    fn drop(&mut self) {
        let mut groups = trace::groups(&self.data());
        wait_while("processes are left", || {
            let left = trace::processes(&self.data());
            for pid in left.iter().filter_map(|(pid, _)| Pid::from_raw(*pid)) {
                let _ = kill_process(pid, Signal::KILL);
            }
            !left.is_empty()
        });
        // One that was starting may have made its groups since.
        groups.extend(trace::groups(&self.data()));
        for group in groups {
            remove_group(&group);
        }
        // A server that was killed leaves its rules to the next one, which a test may not start. It
        // may have been setting them, by a program that goes on without it.
        let setting = trace::named("nft");
        wait_while("rules are being set", || {
            trace::named("nft").iter().any(|p| setting.contains(p))
        });
        if let Ok(dynos) = self.data().join("dynos").canonicalize() {
            let table = Share::of(&dynos).table();
            let delete = ["delete", "table", "inet", &table];
            let _ = Command::new("nft").args(delete).stderr(Stdio::null()).status();
        }
    }
}

/// Waits for what ends by itself; says so where it does not.
fn wait_while(what: &str, mut goes_on: impl FnMut() -> bool) {
    let start = Instant::now();
    while goes_on() {
        if start.elapsed() > ENDING {
            eprintln!("{what}");
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Its last process takes a moment to be gone once it was killed.
fn remove_group(group: &Path) {
    for _ in 0..100 {
        match std::fs::remove_dir(group) {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                std::thread::sleep(Duration::from_millis(20));
            }
            _ => break,
        }
    }
}

/// A link is enough where it may be made; the build's directory may be closed to others.
fn place_program(program: &Path) {
    let built = Path::new(env!("CARGO_BIN_EXE_slugline"));
    if std::fs::hard_link(built, program).is_err() {
        std::fs::copy(built, program).expect("a copy of the binary under test");
    }
    std::fs::set_permissions(program, PermissionsExt::from_mode(0o755)).expect("it is ours");
}
