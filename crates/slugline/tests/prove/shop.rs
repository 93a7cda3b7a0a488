//! A small app of pages and files, and what there is to be said of it.

use std::process::Output;

use serde_json::{Value, json};

use super::support::account::Account;
use super::support::api::Api;
use super::support::http::Request;
use super::support::scene::Scene;

/// Serves the files below `public`, and does what the files beside it say: `made` names a file that
/// the first page view makes, `fallback` has every unknown path answered with the start page.
const SERVER: &str = r#"#!/usr/bin/env python3
import http.server, mimetypes, os, pathlib, time
BOOT = str(time.time_ns()).encode()
PUBLIC = pathlib.Path("public")
mimetypes.add_type("text/javascript", ".js")

class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.split("?")[0]
        file = PUBLIC / path.lstrip("/")
        if path == "/":
            file = PUBLIC / "index.html"
            if os.path.exists("made"):
                made = pathlib.Path(open("made").read().strip())
                made.parent.mkdir(parents=True, exist_ok=True)
                made.write_text("body { color: teal }")
        if not file.is_file() and os.path.exists("fallback"):
            file = PUBLIC / "index.html"
        if path == "/js/now.js":
            return self.answer(200, "text/javascript", str(time.time_ns()).encode())
        if path == "/js/boot.js" and os.path.exists("boots"):
            return self.answer(200, "text/javascript", BOOT)
        if not file.is_file():
            return self.answer(404, "text/plain", b"not here")
        self.answer(200, mimetypes.guess_type(str(file))[0] or "x/y", file.read_bytes())

    do_HEAD = do_GET

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Shop).serve_forever()
"#;

const PAGE: &str = r#"<!DOCTYPE html><link rel="stylesheet" href="/css/main.css">
<script src="/js/main.3f2a91bc.js"></script><script src="/js/now.js"></script><img src="/img/owl.svg"><a href="/about.html">About</a>"#;

const ABOUT: &str = r#"<!DOCTYPE html><link rel="stylesheet" href="css/about.css">"#;

/// A chunk that is loaded later, as webpack writes it.
const SCRIPT: &str =
    r#"r.u=e=>"js/"+e+"."+{216:"aa00bb11"}[e]+".chunk.js",r.p="/";console.log("shop")"#;

/// An app whose files are all in its slug.
pub(crate) fn shop(account: &Account) -> Scene {
    let scene = Scene::new(account, "shop");
    scene.write("bin/detect", "#!/bin/sh\necho Shop\n");
    scene.write("bin/compile", "#!/bin/sh\ntrue\n");
    scene.write("Procfile", "web: exec python3 shop.py\n");
    scene.write("shop.py", SERVER);
    scene.write("public/index.html", PAGE);
    scene.write("public/about.html", ABOUT);
    scene.write("public/css/main.css", "body { background: url(../img/wood.svg) }");
    scene.write("public/css/about.css", "h1 { color: navy }");
    scene.write("public/img/wood.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>");
    scene.write("public/img/owl.svg", "<svg xmlns='http://www.w3.org/2000/svg'><g/></svg>");
    scene.write("public/js/main.3f2a91bc.js", SCRIPT);
    scene.write("public/js/216.aa00bb11.chunk.js", "console.log('late')");
    scene
}

/// Another source for the same app.
pub(crate) fn without(account: &Account, name: &str) -> Scene {
    let scene = shop(account);
    std::fs::remove_file(scene.source().join(name)).unwrap();
    scene
}

/// The verdict on a release, as the API gives it.
pub(crate) fn prove(api: &Api, release: &str) -> Value {
    let response = api.send("POST", "/apps/shop/prove", &json!({ "release": release }));
    assert_eq!(response.status, 200, "{}", response.text());
    let text = response.text();
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What it found: problem and path.
pub(crate) fn findings(end: &Value) -> Vec<(String, String)> {
    let findings = end["verdict"]["findings"].as_array();
    let findings = findings.unwrap_or_else(|| panic!("a verdict: {end:#}"));
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap().to_owned();
    findings.iter().map(|found| (text(found, "problem"), text(found, "url"))).collect()
}

/// A file as the router answers it.
pub(crate) fn ask(scene: &Scene, method: &str, path: &str) -> super::support::http::Response {
    let host = format!("shop.localhost:{}", scene.port);
    Request { port: scene.port, host: &host, method, path, headers: &[], body: &[] }.send().unwrap()
}

/// Runs a subcommand against the scene's server.
pub(crate) fn command(scene: &Scene, arguments: &[&str]) -> Output {
    let mut command = scene.account.command(scene.program());
    command.args(arguments).args(["-a", "shop", "--data-dir"]).arg(scene.data());
    command.args(["--api-port", &scene.api_port.to_string()]);
    command.output().unwrap()
}
