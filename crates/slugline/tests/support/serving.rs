//! `slugline serve`, which may be killed and started again.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::account::run;
use super::api::{Api, parted};
use super::http::Request;
use super::scene::Scene;
use super::wait_for;

const START: Duration = Duration::from_secs(40);

pub(crate) struct Serving<'a> {
    scene: &'a Scene,
    child: Child,
}

impl<'a> Serving<'a> {
    /// Starts it, and waits until it answers.
    pub(crate) fn start(scene: &'a Scene) -> Self {
        Self::start_with_options(scene, &[])
    }

    /// The same, with more options.
    pub(crate) fn start_with_options(scene: &'a Scene, options: &[&str]) -> Self {
        Self::start_as(scene, scene.account.command(scene.program()), options)
    }

    /// The same, with a command that runs slugline.
    pub(crate) fn start_as(scene: &'a Scene, mut command: Command, options: &[&str]) -> Self {
        command.arg("serve").arg("--data-dir").arg(scene.data());
        command.args(["--port", &scene.port.to_string()]);
        command.args(["--api-port", &scene.api_port.to_string()]);
        command.args(options).stdin(Stdio::null()).stdout(Stdio::null());
        let mut serving = Self { scene, child: command.spawn().expect("the binary under test") };
        wait_for("the server's answer", START, || {
            assert_eq!(
                serving.child.try_wait().expect("it is our child"),
                None,
                "the server has ended"
            );
            // Connecting is not enough: what a killed server was about to start may still have its
            // socket, for a moment.
            let (port, host, path) = (scene.api_port, "localhost", "/");
            Request { port, host, method: "GET", path, headers: &[], body: &[] }.send().ok()?;
            std::fs::read_to_string(scene.data().join("token")).ok().filter(|t| t.ends_with('\n'))
        });
        serving
    }

    pub(crate) fn api(&self) -> Api {
        let token = std::fs::read_to_string(self.scene.data().join("token"))
            .expect("it is made at the start");
        Api { port: self.scene.api_port, token: token.trim().to_owned() }
    }

    /// Makes a release of what lies in the scene's app directory, as it is.
    pub(crate) fn release(&self, process_types: &Value) {
        let api = self.api();
        let announced = json!({ "process_types": process_types });
        let app = format!("/apps/{}", self.scene.app);
        let slug = api.json("POST", &format!("{app}/slugs"), &announced);
        let archive = self.scene.source().with_extension("tgz");
        pack(&self.scene.source(), &archive);
        let body = std::fs::read(&archive).expect("tar wrote it");
        let path = parted(slug["blob"]["url"].as_str().expect("a URL")).1;
        let (port, host) = (api.port, "localhost");
        let put = Request { port, host, method: "PUT", path, headers: &[], body: &body };
        assert_eq!(put.send().expect("an answer").status, 200);
        api.json("POST", &format!("{app}/releases"), &json!({ "slug": slug["id"] }));
    }

    /// Its process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// No chance to clean up.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// As systemd stops it.
    pub(crate) fn stop(&mut self) {
        kill_process(self.pid(), Signal::TERM).expect("it is our child");
        wait_for("the server's end", START, || self.child.try_wait().expect("it is our child"));
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pack(directory: &Path, archive: &Path) {
    run(Command::new("tar").arg("-czf").arg(archive).arg("-C").arg(directory).arg("./app"));
}
