//! Dynos as users of Heroku have them: driven by the stock command line, and under load.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

mod acm;
mod commands;
mod edge;
mod load;
mod one_port;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod support;
mod terminal;
mod wrk;

use support::account::Account;
use support::scene::Scene;

/// Answers with a config var and its name; slowly where it is asked to; dies where it is told to.
const SERVER: &str = r#"
import http.server, os, socketserver, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(0.3)
        healthy = self.path != "/health" or os.environ.get("HEALTH") != "bad"
        body = (os.environ.get("A", "none") + " " + os.environ["DYNO"]).encode()
        self.send_response(200 if healthy else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128
if os.environ.get("BROKEN"):
    print("ImportError: no module named owl", flush=True)
    sys.exit(3)
Server(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// An app with a web server and a worker.
fn scene(account: &Account) -> Scene {
    let scene = Scene::new(account, "owl");
    scene.write("serve.txt", SERVER);
    scene.write("Procfile", "web: python3 serve.txt\nworker: while true; do sleep 1; done\n");
    scene
}
