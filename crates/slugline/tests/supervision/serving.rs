//! `slugline serve`, which may be killed and started again.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::account::run;
use crate::support::api::{Api, parted};
use crate::support::http::Request;
use crate::support::scene::Scene;
use crate::support::wait_for;

const START: Duration = Duration::from_secs(40);

pub(crate) struct Serving<'a> {
    scene: &'a Scene,
    child: Child,
}

impl<'a> Serving<'a> {
    /// Starts it, and waits until it answers.
    pub(crate) fn start(scene: &'a Scene) -> Self {
        let mut command = scene.account.command(scene.program());
        command.arg("serve").arg("--data-dir").arg(scene.data());
        command.args(["--port", &scene.port.to_string()]);
        command.args(["--api-port", &scene.api_port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut serving = Self { scene, child: command.spawn().unwrap() };
        wait_for("the server's answer", START, || {
            assert_eq!(serving.child.try_wait().unwrap(), None, "the server has ended");
            std::net::TcpStream::connect(("127.0.0.1", scene.api_port)).ok()?;
            std::fs::read_to_string(scene.data().join("token")).ok().filter(|t| t.ends_with('\n'))
        });
        serving
    }

    pub(crate) fn api(&self) -> Api {
        let token = std::fs::read_to_string(self.scene.data().join("token")).unwrap();
        Api { port: self.scene.api_port, token: token.trim().to_owned() }
    }

    /// Makes a release of what lies in the scene's app directory, as it is.
    pub(crate) fn release(&self, process_types: &Value) {
        let api = self.api();
        let announced = json!({ "process_types": process_types });
        let slug = api.json("POST", "/apps/owl/slugs", &announced);
        let archive = self.scene.source().with_extension("tgz");
        pack(&self.scene.source(), &archive);
        let body = std::fs::read(&archive).unwrap();
        let path = parted(slug["blob"]["url"].as_str().unwrap()).1;
        let (port, host) = (api.port, "localhost");
        let put = Request { port, host, method: "PUT", path, headers: &[], body: &body };
        assert_eq!(put.send().unwrap().status, 200);
        api.json("POST", "/apps/owl/releases", &json!({ "slug": slug["id"] }));
    }

    /// No chance to clean up.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As systemd stops it.
    pub(crate) fn stop(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        wait_for("the server's end", START, || self.child.try_wait().unwrap());
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
