//! Somebody at a shell of their own, with the variables that `slugline trust` prints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::account::run;
use crate::support::cli::{Ran, installed};
use crate::support::scene::Scene;

/// A Procfile.
pub(crate) const WEB: &str = "web: exec python3 -m http.server $PORT\n";

pub(crate) struct Person {
    home: tempfile::TempDir,
    variables: BTreeMap<String, String>,
    /// Which they have said to be theirs; none where they log in.
    token: Option<String>,
}

impl Person {
    /// Somebody who has a token, or none yet.
    pub(crate) fn new(scene: &Scene, token: Option<&str>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let terms = home.path().join(".cache/heroku/terms-of-service");
        std::fs::create_dir_all(terms.parent().unwrap()).unwrap();
        std::fs::write(terms, "").unwrap();
        let me =
            "[user]\n\tname = Ann\n\temail = ann@example.com\n[init]\n\tdefaultBranch = main\n";
        std::fs::write(home.path().join(".gitconfig"), me).unwrap();
        let mut trust = Command::new(scene.program());
        trust.args(["trust", "--json", "--data-dir"]).arg(scene.data());
        trust.args(["--api-port", &scene.api_port.to_string()]);
        trust.env_remove("GIT_SSL_CAINFO");
        let mut variables: BTreeMap<String, String> =
            serde_json::from_str(&run(&mut trust)).unwrap();
        // The server's own token is not theirs: the stock command line answers git.
        variables.insert("GIT_CONFIG_COUNT".into(), "1".into());
        Self { home, variables, token: token.map(str::to_owned) }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// A command in a directory of theirs.
    pub(crate) fn command(
        &self,
        program: impl AsRef<std::ffi::OsStr>,
        directory: &Path,
    ) -> Command {
        let bin = installed().parent().unwrap().to_path_buf();
        let path = std::env::var_os("PATH").unwrap();
        let path: Vec<PathBuf> = std::iter::once(bin).chain(std::env::split_paths(&path)).collect();
        let mut command = Command::new(program);
        command.current_dir(directory).env("HOME", self.home()).envs(&self.variables);
        command.env("PATH", std::env::join_paths(path).unwrap()).env("GIT_TERMINAL_PROMPT", "0");
        command.env_remove("GIT_SSL_CAINFO").env_remove("NODE_OPTIONS").stdin(Stdio::null());
        if let Some(token) = &self.token {
            command.env("HEROKU_API_KEY", token);
        }
        command
    }

    fn ran(&self, program: impl AsRef<std::ffi::OsStr>, directory: &Path, args: &[&str]) -> Ran {
        let output = self.command(program, directory).args(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    pub(crate) fn heroku(&self, directory: &Path, args: &[&str]) -> Ran {
        self.ran(installed(), directory, args)
    }

    pub(crate) fn git(&self, directory: &Path, args: &[&str]) -> Ran {
        self.ran("git", directory, args)
    }

    /// A work tree with an app that serves, and one commit.
    pub(crate) fn work_tree(&self, name: &str) -> PathBuf {
        let tree = self.home().join(name);
        std::fs::create_dir(&tree).unwrap();
        self.git(&tree, &["init", "-q"]).ok();
        self.commit(&tree, "Procfile", WEB);
        tree
    }

    /// Writes a file and commits it; gives the commit.
    pub(crate) fn commit(&self, tree: &Path, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let path = tree.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        let mode = if text.starts_with("#!") { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        self.git(tree, &["add", "-A"]).ok();
        self.git(tree, &["commit", "-q", "-m", &format!("Write {name}")]).ok();
        self.git(tree, &["rev-parse", "HEAD"]).ok().trim().to_owned()
    }

    /// Names the server's repository of an app, as `heroku git:remote` does.
    pub(crate) fn remote(&self, tree: &Path, app: &str) {
        self.heroku(tree, &["git:remote", "-a", app]).ok();
    }

    /// What a branch is on the server; none where it is not there.
    pub(crate) fn branch(&self, tree: &Path, name: &str) -> Option<String> {
        let listed = self.git(tree, &["ls-remote", "heroku", &format!("refs/heads/{name}")]).ok();
        listed.split_whitespace().next().map(str::to_owned)
    }
}
