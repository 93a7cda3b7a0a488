//! The stock command line, installed by its own package client.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};

use super::scene::Scene;
use super::server::Server;

/// What is installed.
const PACKAGE: &str = "heroku@11.10.0";

/// The command line of one user, who has one app.
pub(crate) struct Cli<'a> {
    scene: &'a Scene,
    token: String,
    home: tempfile::TempDir,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// What was printed by a command that succeeds.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }
}

impl<'a> Cli<'a> {
    pub(crate) fn new(server: &mut Server<'a>) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let terms = home.path().join(".cache/heroku/terms-of-service");
        let parent = terms.parent().expect("a file lies in a directory");
        std::fs::create_dir_all(parent).expect("the home is ours");
        std::fs::write(terms, "").expect("the home is ours");
        Self { scene: server.scene, token: server.api().token, home }
    }

    /// A command of it, for the app.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let api = format!("http://localhost:{}", self.scene.api_port);
        let mut command = Command::new(installed());
        command
            .args(args)
            .current_dir(self.home.path())
            .env_remove("NODE_OPTIONS")
            .env("HOME", self.home.path())
            .env("HEROKU_HOST", &api)
            .env("HEROKU_PARTICLEBOARD_URL", &api)
            .env("HEROKU_BUILDPACK_REGISTRY_URL", &api)
            .env("HEROKU_STATUS_HOST", &api)
            .env("HEROKU_DATA_HOST", "localhost")
            .env("HEROKU_API_KEY", &self.token)
            .env("HEROKU_APP", self.scene.app)
            .env("DISABLE_TELEMETRY", "true")
            .env("HEROKU_SKIP_NEW_VERSION_CHECK", "1")
            .env("HEROKU_DISABLE_AUTOUPDATE", "1")
            .env("NODE_EXTRA_CA_CERTS", self.scene.data().join("tls/ca.pem"));
        command
    }

    /// Runs it without a terminal, and with this input.
    pub(crate) fn run_with_input(&self, args: &[&str], input: &str) -> Ran {
        use std::io::Write as _;
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut stdin = child.stdin.take().expect("it is piped");
        // One that does not read its input is fine.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("it is our child");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Runs it without a terminal.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.run_with_input(args, "")
    }
}

/// Its program, which is installed into the directory of this build's results once.
pub(crate) fn installed() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("heroku-cli");
    std::fs::create_dir_all(&directory).expect("the tests' directory is ours");
    let lock = std::fs::File::create(directory.join("lock")).expect("the directory is ours");
    flock(&lock, FlockOperation::LockExclusive).expect("a file can be locked");
    let program = directory.join("node_modules/.bin/heroku");
    if !program.exists() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&directory).arg(PACKAGE);
        let output = npm.output().expect("npm, which this test needs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "npm could not install {PACKAGE}: {said}");
    }
    program
}
