//! The Platform API, as any client of Heroku's uses it.

use serde_json::Value;

use super::http::{Request, Response};

/// One server's API.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) port: u16,
    pub(crate) token: String,
}

impl Api {
    pub(crate) fn get(&self, path: &str) -> Value {
        self.json("GET", path, &Value::Null)
    }

    /// Sends JSON, or nothing for null, and expects success and JSON.
    pub(crate) fn json(&self, method: &str, path: &str, body: &Value) -> Value {
        let response = self.send(method, path, body);
        let text = response.text();
        assert!((200..300).contains(&response.status), "{method} {path}: {response:?}: {text}");
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}: {text}"))
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> Response {
        let answer = self.try_send(method, path, body);
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The same, of a server that may be gone.
    pub(crate) fn try_send(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> std::io::Result<Response> {
        let authorization = format!("Bearer {}", self.token);
        let headers = [
            ("Accept", "application/vnd.heroku+json; version=3"),
            ("Authorization", authorization.as_str()),
            ("Content-Type", "application/json"),
        ];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let host = format!("127.0.0.1:{}", self.port);
        let (port, headers, body) = (self.port, &headers, body.as_bytes());
        let request = Request { port, host: &host, method, path, headers, body };
        request.send()
    }
}

/// The port and the path of a URL of this machine.
pub(crate) fn parted(url: &str) -> (u16, &str) {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("an http URL: {url}"));
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let port = host.rsplit_once(':').map_or(Ok(80), |(_, port)| port.parse());
    (port.unwrap_or_else(|_| panic!("a URL with a port: {url}")), path)
}

/// One of an app's dynos, as the API tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dyno {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) state: String,
    pub(crate) release: u64,
}

impl Api {
    /// An app's dynos in the order of their names.
    pub(crate) fn dynos(&self, app: &str) -> Vec<Dyno> {
        let answer = self.get(&format!("/apps/{app}/dynos"));
        let list = answer.as_array().unwrap_or_else(|| panic!("a list of dynos: {answer}"));
        let mut dynos: Vec<Dyno> = list.iter().map(dyno).collect();
        dynos.sort_by(|a, b| a.name.cmp(&b.name));
        dynos
    }

    /// The dynos' names, provided that all of them are up.
    pub(crate) fn names_if_up(&self, app: &str) -> Option<Vec<String>> {
        let dynos = self.dynos(app);
        let all_up = dynos.iter().all(|dyno| dyno.state == "up");
        all_up.then(|| dynos.into_iter().map(|dyno| dyno.name).collect())
    }
}

fn dyno(value: &Value) -> Dyno {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let release = value["release"]["version"].as_u64().unwrap_or_default();
    Dyno { id: text("id"), name: text("name"), state: text("state"), release }
}
