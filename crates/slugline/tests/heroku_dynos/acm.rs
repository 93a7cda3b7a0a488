//! Certificates that an authority issues: `heroku certs:auto`, against a real ACME server, Pebble,
//! which looks at the router to see whether a name is the app's.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::edge::curl;
use crate::scene;
use crate::support::account::Account;
use crate::support::cli::Cli;
use crate::support::ports::free_port;
use crate::support::server::Server;
use crate::support::wait_for;

const SOON: Duration = Duration::from_mins(1);

/// An authority whose names are all of this machine, and that asks the router on its port.
struct Authority {
    children: Vec<Child>,
    directory: String,
    management: u16,
}

impl Authority {
    /// Installs it where that may be done.
    fn start(place: &Path, router: u16) -> Self {
        let installed = Command::new("pebble").arg("-h").output().is_ok();
        if !installed {
            let mut apt = Command::new("apt-get");
            let output = apt.args(["install", "-q", "-y", "pebble"]).output();
            let output = output.expect("pebble, Debian's ACME server, which this test needs");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "pebble could not be installed: {said}");
        }
        let (port, management, dns) = (free_port(), free_port(), free_port());
        let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (pem, key) = (place.join("acme.pem"), place.join("acme.key"));
        std::fs::write(&pem, own.cert.pem()).unwrap();
        std::fs::write(&key, own.signing_key.serialize_pem()).unwrap();
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": pem, "privateKey": key, "httpPort": router, "tlsPort": router,
        }});
        let file = place.join("acme.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let resolver = format!("127.0.0.1:{dns}");
        let mut names = Command::new("pebble-challtestsrv");
        let none = ["-http01", "", "-https01", "", "-tlsalpn01", ""];
        names.args(none).args(["-dns01", &resolver, "-defaultIPv6", ""]);
        names.args(["-management", &format!("127.0.0.1:{}", free_port())]);
        let mut pebble = Command::new("pebble");
        pebble.arg("-config").arg(file).args(["-dnsserver", &resolver]);
        pebble.env("PEBBLE_VA_NOSLEEP", "1");
        let children = [names, pebble].map(|mut command| {
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        });
        let directory = format!("https://localhost:{port}/dir");
        wait_for("the authority", SOON, || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
        Self { children: children.into(), directory, management }
    }

    /// What its certificates are trusted by.
    fn root(&self, place: &Path) -> std::path::PathBuf {
        let url = format!("https://localhost:{}/roots/0", self.management);
        let mut curl = Command::new("curl");
        let output = curl.args(["--silent", "--insecure", &url]).output().unwrap();
        let path = place.join("acme-root.pem");
        std::fs::write(&path, output.stdout).unwrap();
        path
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[test]
fn an_authority_issues_certificates_for_an_apps_domains() {
    let scene = scene(&Account::all()[0]);
    let place = scene.data().parent().unwrap().to_owned();
    let authority = Authority::start(&place, scene.port);
    let settings = format!(
        "[acme]\ndirectory = \"{}\"\ncontact = \"owner@example.com\"\ntrust = \"acme.pem\"\n",
        authority.directory
    );
    let file = place.join("acme.toml");
    std::fs::write(&file, settings).unwrap();
    let mut server = Server::start_with_options(&scene, &["--config", file.to_str().unwrap()]);
    server.wait_for_release(1);
    let (api, cli) = (server.api(), Cli::new(&mut server));
    cli.run(&["domains:add", "www.example.test"]).ok();
    cli.run(&["certs:auto:enable"]).ok();
    let status = |host: &str| api.get(&format!("/apps/owl/domains/{host}"));
    wait_for("a certificate", SOON, || {
        let domain = status("www.example.test");
        assert_ne!(domain["acm_status"], "failing", "{domain}");
        (domain["acm_status"] == "cert issued").then_some(())
    });
    let root = authority.root(&place);
    let https = format!("https://www.example.test:{}/", scene.port);
    assert!(curl(&scene, &https, &root).unwrap().ends_with(" web.1"));
    let shown = cli.run(&["certs:auto"]).ok();
    assert!(shown.contains("www.example.test") && shown.contains("enabled"), "{shown}");

    // A domain that comes later gets its own, and a wildcard is told that it cannot have one.
    cli.run(&["domains:add", "any.example.test"]).ok();
    wait_for("another certificate", SOON, || {
        (status("any.example.test")["acm_status"] == "cert issued").then_some(())
    });
    cli.run(&["domains:add", "*.wild.example.test"]).ok();
    let wild = status("*.wild.example.test");
    assert_eq!(wild["acm_status"], "failed");
    assert!(wild["acm_status_reason"].as_str().unwrap().contains("certs:add"), "{wild}");

    // An authority that does not answer is tried again later, and what was issued is shown on.
    drop(authority);
    cli.run(&["domains:add", "late.example.test"]).ok();
    let late = wait_for("a failure", SOON, || {
        let domain = status("late.example.test");
        (domain["acm_status"] == "failing").then_some(domain)
    });
    assert_ne!(late["acm_status_reason"], Value::Null);
    assert!(curl(&scene, &https, &root).unwrap().ends_with(" web.1"));

    cli.run(&["certs:auto:disable", "--confirm", "owl"]).ok();
    curl(&scene, &https, &root).unwrap_err();
    assert_eq!(status("www.example.test")["acm_status"], Value::Null);
    drop(server);
}
