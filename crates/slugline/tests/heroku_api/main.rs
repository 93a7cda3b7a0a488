//! Heroku's API beyond builds and dynos, driven by the stock command line.

mod addons;
mod checks;
mod ci;
mod commands;
mod releases;
mod rest;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;

use support::account::Account;
use support::scene::Scene;

/// Answers with a config var.
const SERVER: &str = r#"
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = os.environ.get("DATABASE_URL", "none").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// An app with a web server.
fn scene() -> Scene {
    let scene = Scene::new(&Account::all()[0], "owl");
    scene.write("serve.txt", SERVER);
    scene.write("Procfile", "web: python3 serve.txt\n");
    scene
}
