//! A build of another source for a server that runs already, as a deploy from CI asks for one.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::account::run;
use super::api::{Api, parted};
use super::http::Request;
use super::scene::Scene;
use super::wait_for;

/// Tiny apps build in seconds.
const BUILD: Duration = Duration::from_mins(2);

/// Builds another app's source, and waits for the end.
pub(crate) fn build(api: &Api, app: &str, other: &Scene) -> Value {
    let build = start_build(api, app, other);
    wait_for("the build's end", BUILD, || ended(api, app, &build))
}

/// Asks for a build of another app's source.
pub(crate) fn start_build(api: &Api, app: &str, other: &Scene) -> Value {
    let tarball = other.source().with_extension("tgz");
    run(Command::new("tar").arg("-czf").arg(&tarball).arg("-C").arg(other.source()).arg("."));
    let body = std::fs::read(tarball).expect("tar wrote it");
    let source = api.json("POST", "/sources", &Value::Null);
    let url = |name: &str| source["source_blob"][name].as_str().expect("a URL").to_owned();
    let (port, put_url) = (api.port, url("put_url"));
    let (host, path) = ("127.0.0.1", parted(&put_url).1);
    let put = Request { port, host, method: "PUT", path, headers: &[], body: &body };
    assert_eq!(put.send().expect("an answer").status, 200);
    let asked = json!({ "source_blob": { "url": url("get_url"), "version": "v2" } });
    api.json("POST", &format!("/apps/{app}/builds"), &asked)
}

/// The build, once it has ended.
pub(crate) fn ended(api: &Api, app: &str, build: &Value) -> Option<Value> {
    let path = format!("/apps/{app}/builds/{}", build["id"].as_str().expect("an id"));
    let build = api.get(&path);
    (build["status"] != "pending").then_some(build)
}

/// The whole output of a build, from where its URL says.
pub(crate) fn output(build: &Value) -> String {
    let url = build["output_stream_url"].as_str().expect("a URL");
    let (port, path) = parted(url);
    let request = Request { port, host: "localhost", method: "GET", path, headers: &[], body: &[] };
    request.send().expect("the output").text()
}
