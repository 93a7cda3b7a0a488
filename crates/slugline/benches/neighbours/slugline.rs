//! The programs as dynos of one app, behind the router.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::Api;
use crate::{Host, Way, http, run, wait_for};

const API_PORT: u16 = 7_755;
const PORT: u16 = 7_780;
const NAME: &str = "quiet.localhost";

const PROCFILE: &str = "web: exec /usr/bin/python3 serve.py $PORT\n\
    spin: exec /usr/bin/python3 noise.py spin\nthrash: exec /usr/bin/python3 noise.py thrash\n";

/// A server that ends with the measurement.
pub(crate) struct Slugline {
    child: Child,
    api: Api,
    data: PathBuf,
}

impl Slugline {
    pub(crate) fn start(directory: &Path) -> Self {
        let data = directory.join("data");
        let child = Command::new(env!("CARGO_BIN_EXE_slugline"))
            .arg("serve")
            .arg("--data-dir")
            .arg(&data)
            .args(["--api-port", &API_PORT.to_string(), "--port", &PORT.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let token = loop {
            match std::fs::read_to_string(data.join("token")) {
                Ok(token) if token.ends_with('\n') => break token.trim().to_owned(),
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let slugline = Self { child, api: Api { port: API_PORT, token }, data };
        slugline.release(&directory.join("app"));
        wait_for(PORT, NAME);
        slugline
    }

    fn release(&self, source: &Path) {
        let script = r#"
            mkdir -p "$0/bin" && cp "$1"/*.py "$0" && printf '%s' "$2" >"$0/Procfile"
            printf '#!/bin/sh\necho Quiet\n' >"$0/bin/detect"
            printf '#!/bin/sh\ntrue\n' >"$0/bin/compile"
            chmod +x "$0"/bin/* && tar -czf "$0.tgz" -C "$0" .
        "#;
        let programs = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/neighbours");
        run(Command::new("sh").args(["-c", script]).arg(source).args([programs, PROCFILE]));
        self.api.json("POST", "/apps", &json!({ "name": "quiet" }));
        let place = self.api.json("POST", "/sources", &json!({}));
        let url = place["source_blob"]["put_url"].as_str().unwrap();
        let path = &url[url.find("/sources").unwrap()..];
        let body = std::fs::read(source.with_extension("tgz")).unwrap();
        let (port, host, headers) = (API_PORT, "localhost", &[]);
        let put = http::Request { port, host, method: "PUT", path, headers, body: &body };
        assert_eq!(put.send().unwrap().status, 200);
        let asked = json!({ "source_blob": { "url": place["source_blob"]["get_url"] } });
        let build = self.api.json("POST", "/apps/quiet/builds", &asked);
        let path = format!("/apps/quiet/builds/{}", build["id"].as_str().unwrap());
        while self.api.get(&path)["status"] == "pending" {
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(self.api.get(&path)["status"], "succeeded");
    }

    fn scale(&self, noise: &str, quantity: u32) {
        let path = format!("/apps/quiet/formation/{noise}");
        self.api.json("PATCH", &path, &json!({ "quantity": quantity }));
        let wanted = usize::try_from(quantity).unwrap();
        let of_noise = || {
            let dynos = self.api.dynos("quiet");
            dynos.iter().filter(|dyno| dyno.name.starts_with(noise) && dyno.state == "up").count()
        };
        while of_noise() != wanted || self.live() != 1 + wanted {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How many dynos have not ended to their last process; a supervisor that waits for its dyno
    /// is none of them.
    fn live(&self) -> usize {
        let directories = std::fs::read_dir(self.data.join("dynos")).into_iter().flatten();
        directories.flatten().filter(|entry| entry.path().join("spec.json").exists()).count()
    }
}

impl Host for Slugline {
    fn ways(&self) -> Vec<Way> {
        let (network, port) = web().expect("a dyno serves");
        let router = Way { name: "slugline", port: PORT, host: NAME, network: None };
        let past = Way { name: "slugline, past router", port, host: NAME, network: Some(network) };
        vec![router, past]
    }

    fn start(&self, noise: &str) {
        self.scale(noise, 1);
    }

    fn stop(&self, noise: &str) {
        self.scale(noise, 0);
    }
}

/// The web dyno's network namespace and its `$PORT`.
fn web() -> Option<(PathBuf, u16)> {
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let command = std::fs::read_to_string(process.path().join("cmdline")).ok()?;
        let port = command.split_once("\0serve.py\0")?.1.trim_end_matches('\0');
        Some((process.path().join("ns/net"), port.parse().ok()?))
    })
}

impl Drop for Slugline {
    fn drop(&mut self) {
        // A server that ends leaves its dynos running.
        self.api.send("DELETE", "/apps/quiet", &Value::Null);
        for _ in 0..400 {
            if self.live() == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.child.wait();
    }
}
