//! An app whose one worker writes files, a server for it, and the command line beside it.

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::account::Account;
use crate::support::api::{Api, parted};
use crate::support::http::Request;
use crate::support::scene::Scene;
use crate::support::serving::Serving;
use crate::support::{trace, wait_for};

/// Dynos stop in an instant here; as many as there are may be slow together.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);

pub(crate) struct Stage {
    pub(crate) scene: Scene,
    /// Where commands are run.
    here: PathBuf,
}

impl Stage {
    /// With this `slugline.toml`.
    pub(crate) fn new(account: &Account, configuration: &str) -> Self {
        let scene = Scene::new(account, "owl");
        std::fs::DirBuilder::new().mode(0o700).create(scene.data()).unwrap();
        let here = scene.data().with_file_name("here");
        std::fs::create_dir(&here).unwrap();
        let stage = Self { scene, here };
        stage.write(".keep", "");
        stage.configure(configuration);
        stage
    }

    /// For the next server.
    pub(crate) fn configure(&self, configuration: &str) {
        std::fs::write(self.scene.data().join("slugline.toml"), configuration).unwrap();
        self.scene.account.own(self.scene.data().parent().unwrap());
    }

    /// A file of the slug.
    pub(crate) fn write(&self, name: &str, text: &str) {
        self.scene.write(&format!("app/{name}"), text);
    }

    /// A path where commands are run.
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.here.join(path)
    }

    pub(crate) fn serve(&self) -> Serving<'_> {
        Serving::start(&self.scene)
    }

    /// Makes the app, whose worker runs this.
    pub(crate) fn run_worker(&self, server: &Serving<'_>, command: &str) {
        let api = server.api();
        if api.send("GET", "/apps/owl", &Value::Null).status == 404 {
            api.json("POST", "/apps", &json!({ "name": "owl" }));
        }
        self.scene.account.own(&self.scene.source());
        server.release(&json!({ "worker": command }));
        let updates = json!([{ "type": "worker", "quantity": 1 }]);
        api.json("PATCH", "/apps/owl/formation", &json!({ "updates": updates }));
    }

    /// Restarts the worker, and waits for the receipt of this run.
    pub(crate) fn restart_worker(server: &Serving<'_>, run: u64) -> Value {
        server.api().json("DELETE", "/apps/owl/dynos/worker.1", &Value::Null);
        Self::wait_for_receipt(&server.api(), run)
    }

    pub(crate) fn wait_for_receipt(api: &Api, run: u64) -> Value {
        wait_for("a receipt", PATIENCE, || Self::receipt(api, run))
    }

    /// The receipt, if it comes in time.
    pub(crate) fn receipt_within(api: &Api, run: u64, patience: Duration) -> Option<Value> {
        let start = std::time::Instant::now();
        while start.elapsed() < patience {
            if let Some(receipt) = Self::receipt(api, run) {
                return Some(receipt);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        None
    }

    fn receipt(api: &Api, run: u64) -> Option<Value> {
        let path = format!("/apps/owl/receipts/worker.1@{run}");
        let answer = api.send("GET", &path, &Value::Null);
        (answer.status == 200).then(|| serde_json::from_str(&answer.text()).unwrap())
    }

    /// Waits for a line of the app's log with all these words in it.
    pub(crate) fn wait_for_log(server: &Serving<'_>, words: &[&str]) {
        wait_for(&format!("a line with {words:?}"), PATIENCE, || {
            let log = log(&server.api());
            log.lines().any(|line| words.iter().all(|word| line.contains(word))).then_some(())
        });
    }

    /// A command to be run beside the server.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.scene.account.command(self.scene.program());
        command.args(arguments).current_dir(&self.here);
        command.env("SLUGLINE_DATA_DIR", self.scene.data());
        command.env("SLUGLINE_API_PORT", self.scene.api_port.to_string());
        command
    }

    /// What it prints on success; what it complains about otherwise.
    pub(crate) fn slugline(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (said, complained) = (text(output.stdout), text(output.stderr));
        if output.status.success() { Ok(said) } else { Err(complained + &said) }
    }

    /// The kept layers.
    pub(crate) fn layers(&self) -> Vec<String> {
        let layers = std::fs::read_dir(self.scene.data().join("layers"));
        let names = layers.into_iter().flatten().flatten();
        names.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }

    /// Destroys the app, with all that was kept of it, and stops the server.
    pub(crate) fn end(&self, mut server: Serving<'_>) {
        server.api().json("DELETE", "/apps/owl", &Value::Null);
        wait_for("the last layer to go", PATIENCE, || {
            let dynos = trace::dyno_directories(&self.scene.data());
            let owned = dynos.iter().any(|dyno| dyno.join("spec.json").exists());
            (!owned && self.layers().is_empty()).then_some(())
        });
        server.stop();
        trace::assert_none(&self.scene.data());
    }
}

/// The app's log.
pub(crate) fn log(api: &Api) -> String {
    let session = api.json("POST", "/apps/owl/log-sessions", &json!({ "lines": 1_500 }));
    let url = session["logplex_url"].as_str().unwrap();
    let (port, path) = parted(url);
    let request = Request { port, host: "localhost", method: "GET", path, headers: &[], body: &[] };
    request.send().unwrap().text()
}

/// All below a directory: each path with its mode and its content, or where a link leads.
pub(crate) fn tree(directory: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut open = vec![directory.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            let content = if meta.is_symlink() {
                std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if meta.is_dir() {
                open.push(path.clone());
                vec![]
            } else {
                std::fs::read(&path).unwrap()
            };
            let name = path.strip_prefix(directory).unwrap().display().to_string();
            let mode = if meta.is_file() { meta.permissions().mode() & 0o777 } else { 0 };
            all.insert(name, (mode, content));
        }
    }
    all
}
