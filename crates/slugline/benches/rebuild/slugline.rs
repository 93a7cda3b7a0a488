//! Builds by a server of our own, through its API.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::Api;
use crate::{Builder, run};

const API_PORT: u16 = 7_955;
const PORT: u16 = 7_980;

/// The app that is built with the built-in buildpacks.
pub(crate) const BUILT_IN: &str = "library";
/// The app that is built with Heroku's.
pub(crate) const OFFICIAL: &str = "official";

/// A server that ends with the measurement.
pub(crate) struct Server {
    child: Child,
    api: Api,
    data: PathBuf,
}

impl Server {
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
        Self { child, api: Api { port: API_PORT, token }, data }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that ends leaves its dynos running.
        for app in [BUILT_IN, OFFICIAL] {
            self.api.send("DELETE", &format!("/apps/{app}"), &Value::Null);
        }
        let dynos = || std::fs::read_dir(self.data.join("dynos")).map_or(0, Iterator::count);
        for _ in 0..400 {
            if dynos() == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.child.wait();
    }
}

/// One app on the server.
pub(crate) struct App<'a> {
    server: &'a Server,
    name: &'static str,
    /// For `.buildpacks`; empty for the built-in ones.
    buildpacks: Vec<String>,
}

impl<'a> App<'a> {
    pub(crate) fn new(server: &'a Server, name: &'static str, buildpacks: &[&str]) -> Self {
        server.api.json("POST", "/apps", &json!({ "name": name }));
        Self { server, name, buildpacks: buildpacks.iter().map(|&name| name.to_owned()).collect() }
    }

    fn upload(&self, source: &Path) -> Value {
        let list = source.join(".buildpacks");
        if !self.buildpacks.is_empty() {
            fs_err::write(&list, self.buildpacks.join("\n")).unwrap();
        }
        let tgz = source.with_extension("tgz");
        run(Command::new("tar").arg("-czf").arg(&tgz).arg("-C").arg(source).arg("."));
        let _ = std::fs::remove_file(list);
        let place = self.server.api.json("POST", "/sources", &json!({}));
        let blob = &place["source_blob"];
        let url = blob["put_url"].as_str().unwrap();
        let path = &url[url.find("/sources").unwrap()..];
        let body = fs_err::read(tgz).unwrap();
        let request = crate::http::Request {
            port: API_PORT,
            host: "localhost",
            method: "PUT",
            path,
            headers: &[],
            body: &body,
        };
        assert_eq!(request.send().unwrap().status, 200);
        blob["get_url"].clone()
    }
}

impl Builder for App<'_> {
    fn name(&self) -> String {
        if self.buildpacks.is_empty() {
            "slugline, built-in buildpacks".to_owned()
        } else {
            "slugline, Heroku's buildpacks unmodified".to_owned()
        }
    }

    fn build(&self, source: &Path) {
        let url = self.upload(source);
        let body = json!({ "source_blob": { "url": url } });
        let builds = format!("/apps/{}/builds", self.name);
        let build = self.server.api.json("POST", &builds, &body);
        let id = build["id"].as_str().unwrap();
        loop {
            let build = self.server.api.get(&format!("{builds}/{id}"));
            match build["status"].as_str() {
                Some("pending") => std::thread::sleep(Duration::from_millis(5)),
                Some("succeeded") => return,
                _ => panic!("the build failed: {}", self.output(&build)),
            }
        }
    }
}

impl App<'_> {
    fn output(&self, build: &Value) -> String {
        let url = build["output_stream_url"].as_str().unwrap_or_default();
        let path = url.find("/streams").map_or("", |at| &url[at..]);
        self.server.api.send("GET", path, &Value::Null).text()
    }
}
