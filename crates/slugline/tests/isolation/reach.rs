//! What the operator allows: ports of the machine's loopback.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::support::account::Account;
use super::support::scene::Scene;
use super::support::server::Server;
use super::talker::Talker;

/// Says what it hears on two ports of its own loopback.
const ASKING: &str = r#"
import http.server, json, os, socket, sys
def heard(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 3) as link:
            return link.recv(100).decode()
    except OSError as error:
        return None
class Heard(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps([heard(int(port)) for port in sys.argv[1:]]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Heard).serve_forever()
"#;

#[test]
fn a_dyno_reaches_the_ports_that_the_operator_allows_and_no_others() {
    for account in Account::all() {
        let allowed = Talker::start(Ipv4Addr::LOCALHOST, "allowed");
        let closed = Talker::start(Ipv4Addr::LOCALHOST, "closed");
        let scene = Scene::new(&account, "shelf");
        scene.write("bin/detect", "#!/bin/sh\necho Shelf\n");
        scene.write("bin/compile", "#!/bin/sh\ntrue\n");
        scene.write("ask.py", ASKING);
        let ports = format!("{} {}", allowed.port, closed.port);
        scene.write("Procfile", &format!("web: exec python3 ask.py {ports}\n"));
        let reach = format!("[network]\nreach = [\"127.0.0.1:{}\"]\n", allowed.port);
        scene.write("slugline.toml", &reach);
        let config = scene.source().join("slugline.toml");
        let options = ["--config", config.to_str().unwrap()];
        let mut server = Server::start_with_options(&scene, &options);
        server.wait_for_release(1);
        let heard: Value = serde_json::from_str(&scene.get("/").text()).unwrap();
        assert_eq!(heard, json!(["allowed", null]), "as {account}");
        server.interrupt();
    }
}
