//! What Heroku's own buildpacks rely on, in real builds of `slugline up`: small buildpacks that do
//! what the real ones do, and what they download coming from mirrors.

#![expect(clippy::unwrap_used, reason = "what cannot be set up fails its test")]

mod conformance;
mod contract;
mod mirrors;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;

use support::account::{Account, run};
use support::scene::Scene;
use support::server::Server;

/// A server's files beside the app: mirrors, and the configuration that names them.
struct Place {
    scene: Scene,
    mirrors: Vec<(String, String)>,
}

impl Place {
    fn new(account: &Account) -> Self {
        let scene = Scene::new(account, "owl");
        scene.write("Procfile", "web: sleep 1000\n");
        Self { scene, mirrors: vec![] }
    }

    /// A path beside the app.
    fn path(&self, name: &str) -> PathBuf {
        self.scene.source().parent().unwrap().join(name)
    }

    /// A file beside the app.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn mirror(&mut self, from: &str, to: impl Into<String>) {
        self.mirrors.push((from.to_owned(), to.into()));
    }

    /// Builds the app; gives what its buildpacks printed, from the first one's name on, with the
    /// build's directory named instead.
    fn build(&self) -> String {
        let mirrors = self.mirrors.iter().map(|(from, to)| format!("{from:?} = {to:?}\n"));
        let table: String = mirrors.collect();
        let text = format!("[build]\nstack = \"heroku-24\"\n[build.mirrors]\n{table}");
        let config = self.file("slugline.toml", &text);
        self.scene.account.own(self.scene.source().parent().unwrap());
        let mut command = self.scene.account.command(self.scene.program());
        command.env("SLUGLINE_CONFIG", config);
        let mut server = Server::start_with(&self.scene, command);
        server.wait_for_line(0, &["Released v1"]);
        printed(&server.interrupt().output)
    }
}

/// What buildpacks printed, without our measures of them and with the build's own names replaced.
fn printed(output: &str) -> String {
    let start = output.find("-----> Building on").unwrap();
    let end = output.find("-----> Discovering process types").unwrap();
    let output = &output[start..end];
    let directory =
        output.find("/tmp/build_").map(|at| &output[at..at + "/tmp/build_12345678".len()]);
    let output = directory.map_or(output.to_owned(), |name| output.replace(name, "$BUILD_DIR"));
    let ours = |line: &&str| {
        !line.starts_with("       heroku/inline: ") && !line.starts_with("       https://")
    };
    output.lines().filter(ours).flat_map(|line| [line, "\n"]).collect()
}

/// A repository with one commit of what lies in a directory.
fn commit(directory: &Path) {
    let script = "git init -q -b main . && git add -A && git -c user.name=a -c \
                  user.email=a@example.com commit -qm 'first commit'";
    run(Command::new("bash").args(["-c", script]).current_dir(directory));
}
