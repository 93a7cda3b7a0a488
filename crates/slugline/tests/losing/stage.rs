//! One app after another on one server, and what is said of their files.

use std::time::Duration;

use serde_json::{Value, json};
use slugline_model::ledger::Class;

use crate::support::account::Account;
use crate::support::api::{Dyno, parted};
use crate::support::http::Request;
use crate::support::scene::Scene;
use crate::support::serving::Serving;
use crate::support::{trace, wait_for};

/// Dynos start and stop in an instant here; as many as there are may be slow together.
const PATIENCE: Duration = Duration::from_mins(5);

pub(crate) struct Stage {
    pub(crate) scene: Scene,
}

impl Stage {
    pub(crate) fn new(account: &Account) -> Self {
        let scene = Scene::new(account, "owl");
        let apps = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/losing/apps");
        for name in ["serve.py", "make_assets.py", "collect.py"] {
            scene.write(&format!("app/{name}"), &std::fs::read_to_string(apps.join(name)).unwrap());
        }
        // What tells that an app is Django's.
        scene.write("app/manage.py", "");
        Self { scene }
    }

    pub(crate) fn serve(&self) -> Serving<'_> {
        let server = Serving::start(&self.scene);
        server.api().json("POST", "/apps", &json!({ "name": "owl" }));
        server
    }

    /// Releases an app of these tests, and waits until it serves.
    pub(crate) fn run(&self, server: &Serving<'_>, app: &str, types: &Value) {
        let apps = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/losing/apps");
        let code = std::fs::read_to_string(apps.join(app).with_extension("py")).unwrap();
        self.scene.write("app/app.py", &code);
        let api = server.api();
        let newest = |releases: &Value| {
            let versions = releases.as_array().unwrap().iter();
            versions.filter_map(|release| release["version"].as_u64()).max().unwrap_or_default()
        };
        server.release(types);
        let version = newest(&api.get("/apps/owl/releases"));
        Self::scale(server, "web");
        Self::wait_until_up(server, version);
    }

    pub(crate) fn scale(server: &Serving<'_>, process_type: &str) {
        let updates = json!([{ "type": process_type, "quantity": 1 }]);
        let (api, body) = (server.api(), json!({ "updates": updates }));
        api.json("PATCH", "/apps/owl/formation", &body);
    }

    /// Waits until this release alone serves.
    pub(crate) fn wait_until_up(server: &Serving<'_>, version: u64) {
        wait_for(&format!("web.1 of v{version}"), PATIENCE, || {
            let dynos = server.api().dynos("owl");
            let webs: Vec<_> = dynos.iter().filter(|dyno| dyno.name == "web.1").collect();
            let is_it = |dyno: &Dyno| dyno.state == "up" && dyno.release == version;
            (webs.len() == 1 && webs.iter().all(|dyno| is_it(dyno))).then_some(())
        });
    }

    /// Looks at the page, and sends something.
    pub(crate) fn use_it(&self) {
        assert_eq!(self.scene.get("/").status, 200);
        let sent = self.scene.send("POST", "/", &[], b"an owl, in many bytes").unwrap();
        assert_eq!(sent.status, 200, "{}", sent.text());
    }

    /// What the live ledger says of a dyno's files, in the order of their paths.
    pub(crate) fn lost_now(server: &Serving<'_>, dyno: &str, count: usize) -> Vec<(String, Class)> {
        wait_for("as many files in the ledger", PATIENCE, || {
            let ledger = server.api().get(&format!("/apps/owl/dynos/{dyno}/files"));
            Some(classes(&ledger)).filter(|found| found.len() >= count)
        })
    }

    /// The same as the receipt has it, when web.1 is restarted.
    pub(crate) fn lost_at_the_stop(server: &Serving<'_>) -> Vec<(String, Class)> {
        classes(&Self::receipt_of_a_restart(server))
    }

    /// Restarts web.1, waits until its next run serves, and gives the receipt of the one before.
    pub(crate) fn receipt_of_a_restart(server: &Serving<'_>) -> Value {
        let api = server.api();
        let before = api.dynos("owl").into_iter().find(|dyno| dyno.name == "web.1").unwrap();
        api.json("DELETE", "/apps/owl/dynos/web.1", &Value::Null);
        let receipt = wait_for("a receipt", PATIENCE, || {
            let receipts = api.get("/apps/owl/receipts");
            let mut receipts = receipts.as_array().unwrap().iter();
            receipts.find(|receipt| receipt["id"] == before.id.as_str()).cloned()
        });
        Self::wait_until_up(server, before.release);
        receipt
    }

    /// The first receipt whose run is called so.
    pub(crate) fn receipt_named(server: &Serving<'_>, is_it: impl Fn(&str) -> bool) -> Value {
        wait_for("a receipt", PATIENCE, || {
            let receipts = server.api().get("/apps/owl/receipts");
            let mut receipts = receipts.as_array().unwrap().iter();
            receipts.find(|receipt| receipt["name"].as_str().is_some_and(&is_it)).cloned()
        })
    }

    pub(crate) fn log(server: &Serving<'_>) -> String {
        let asked = json!({ "lines": 1_500 });
        let session = server.api().json("POST", "/apps/owl/log-sessions", &asked);
        let (port, path) = parted(session["logplex_url"].as_str().unwrap());
        let (host, method) = ("localhost", "GET");
        let request = Request { port, host, method, path, headers: &[], body: &[] };
        request.send().unwrap().text()
    }

    pub(crate) fn wait_for_log(server: &Serving<'_>, words: &str) {
        wait_for(words, PATIENCE, || Self::log(server).contains(words).then_some(()));
    }

    /// What a command prints on success; what it complains about otherwise.
    pub(crate) fn slugline(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = self.scene.account.command(self.scene.program());
        command.args(arguments).current_dir(self.scene.source());
        command.env("SLUGLINE_DATA_DIR", self.scene.data());
        command.env("SLUGLINE_API_PORT", self.scene.api_port.to_string());
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (said, complained) = (text(output.stdout), text(output.stderr));
        if output.status.success() { Ok(said) } else { Err(complained + &said) }
    }

    /// Destroys the app with all that was kept of it, and stops the server: nothing remains.
    pub(crate) fn end(&self, server: &mut Serving<'_>) {
        server.api().json("DELETE", "/apps/owl", &Value::Null);
        wait_for("the last layer to go", PATIENCE, || {
            let dynos = trace::dyno_directories(&self.scene.data());
            let owned = dynos.iter().any(|dyno| dyno.join("spec.json").exists());
            let layers = std::fs::read_dir(self.scene.data().join("layers"));
            let kept = layers.into_iter().flatten().count();
            (!owned && kept == 0).then_some(())
        });
        server.stop();
        trace::assert_none(&self.scene.data());
    }
}

fn classes(told: &Value) -> Vec<(String, Class)> {
    let class = |one: &Value| serde_json::from_value(one["class"].clone()).unwrap();
    let largest = told["largest"].as_array().unwrap().iter();
    let mut found: Vec<(String, Class)> =
        largest.map(|one| (one["path"].as_str().unwrap().to_owned(), class(one))).collect();
    found.sort();
    found
}
