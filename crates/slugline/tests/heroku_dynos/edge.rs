//! Where an app meets the world: `heroku domains`, `heroku certs` and `heroku drains`.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use crate::scene;
use crate::support::account::Account;
use crate::support::cli::Cli;
use crate::support::scene::Scene;
use crate::support::server::Server;
use crate::support::wait_for;

const SOON: Duration = Duration::from_mins(1);

/// A request for a host, as a browser makes it: body, or what curl complains of.
pub(crate) fn curl(scene: &Scene, url: &str, trusted: &PathBuf) -> Result<String, String> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "20", "--cacert"]).arg(trusted);
    let port = scene.port;
    for host in ["www.example.test", "any.example.test", "owl.localhost"] {
        curl.args(["--resolve", &format!("{host}:{port}:127.0.0.1")]);
    }
    let output = curl.arg(url).output().expect("curl, which this test needs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// A certificate that signs itself: files of chain and key.
fn certificate(scene: &Scene, name: &str, hosts: &[&str]) -> [PathBuf; 2] {
    let hosts: Vec<_> = hosts.iter().map(|&host| host.to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(hosts).unwrap();
    let texts = [("pem", made.cert.pem()), ("key", made.signing_key.serialize_pem())];
    texts.map(|(kind, text)| {
        let path = scene.data().with_file_name(format!("{name}.{kind}"));
        std::fs::write(&path, text).unwrap();
        path
    })
}

#[test]
fn an_app_answers_at_its_domains_with_its_certificates() {
    let scene = scene(&Account::all()[0]);
    let mut server = Server::start(&scene);
    server.wait_for_release(1);
    let cli = Cli::new(&mut server);
    let (port, ca) = (scene.port, scene.data().join("tls/ca.pem"));
    let own = format!("https://owl.localhost:{port}/");
    assert!(curl(&scene, &own, &ca).unwrap().ends_with(" web.1"), "its own name, its own CA");
    assert!(cli.run(&["domains"]).ok().contains("owl.localhost"));

    cli.run(&["domains:add", "WWW.example.test"]).ok();
    let taken = cli.run(&["domains:add", "www.example.test"]);
    assert!(taken.err.contains("currently in use by this app"), "{taken:?}");
    let odd = cli.run(&["domains:add", "10.0.0.1"]);
    assert!(odd.err.contains("is an address, not a name"), "{odd:?}");
    let http = format!("http://www.example.test:{port}/");
    assert!(curl(&scene, &http, &ca).unwrap().ends_with(" web.1"));
    let https = format!("https://www.example.test:{port}/");
    curl(&scene, &https, &ca).unwrap_err();

    let [chain, key] = certificate(&scene, "one", &["www.example.test"]);
    let [other_chain, other_key] = certificate(&scene, "two", &["*.example.test"]);
    let path = |path: &PathBuf| path.to_str().unwrap().to_owned();
    let mixed = cli.run(&["certs:add", &path(&chain), &path(&other_key)]);
    assert!(mixed.err.contains("is not the one of the certificate"), "{mixed:?}");
    // With a domain there it would ask for which one the certificate is.
    cli.run(&["domains:remove", "www.example.test"]).ok();
    let added = cli.run(&["certs:add", &path(&chain), &path(&key)]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let certs = cli.run(&["certs"]).ok();
    assert!(certs.contains("www.example.test"), "{certs}");
    let name = certs.split_whitespace().find(|word| word.starts_with("owl-")).unwrap().to_owned();
    cli.run(&["domains:add", "www.example.test"]).ok();
    assert!(curl(&scene, &https, &chain).unwrap().ends_with(" web.1"));

    // Another one in its place, and a name that only a wildcard covers.
    let updated =
        cli.run(&["certs:update", &path(&other_chain), &path(&other_key), "--confirm", "owl"]);
    assert_eq!(updated.code, Some(0), "{updated:?}");
    assert!(curl(&scene, &https, &other_chain).unwrap().ends_with(" web.1"));
    cli.run(&["domains:add", "*.example.test", "--cert", &name]).ok();
    let any = format!("https://any.example.test:{port}/");
    assert!(curl(&scene, &any, &other_chain).unwrap().ends_with(" web.1"));
    let info = cli.run(&["certs:info"]).ok();
    assert!(info.contains("Self Signed") || info.contains("self signed"), "{info}");

    cli.run(&["certs:remove", "--name", &name, "--confirm", "owl"]).ok();
    curl(&scene, &https, &other_chain).unwrap_err();
    cli.run(&["domains:remove", "www.example.test"]).ok();
    let http = format!("http://any.example.test:{port}/");
    assert!(curl(&scene, &http, &ca).unwrap().ends_with(" web.1"), "the wildcard is left");
    cli.run(&["domains:clear"]).ok();
    assert!(!curl(&scene, &http, &ca).unwrap().ends_with(" web.1"));
    drop(server);
}

#[test]
fn a_drain_is_sent_the_log_also_after_the_server_was_killed() {
    let scene = scene(&Account::all()[0]);
    std::fs::create_dir_all(scene.data()).unwrap();
    let config = "[outbound]\nallow = [\"127.0.0.1\"]\n";
    let file = scene.data().with_file_name("outbound.toml");
    std::fs::write(&file, config).unwrap();
    let options = ["--config", file.to_str().unwrap()];
    let mut server = Server::start_with_options(&scene, &options);
    server.wait_for_release(1);
    let cli = Cli::new(&mut server);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("syslog://127.0.0.1:{}", listener.local_addr().unwrap().port());
    let (lines, received) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            for line in BufReader::new(stream.unwrap()).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        }
    });
    let next = |words: &str| {
        wait_for(words, SOON, || received.try_iter().find(|line| line.contains(words)))
    };
    let odd = cli.run(&["drains:add", "ftp://127.0.0.1"]);
    assert!(odd.err.contains("A drain is a URL that begins with"), "{odd:?}");
    cli.run(&["drains:add", &url]).ok();
    let again = cli.run(&["drains:add", &url]);
    assert!(again.err.contains("already been taken"), "{again:?}");
    let listed = cli.run(&["drains"]).ok();
    let token = listed.split(['(', ')']).find(|word| word.starts_with("d.")).unwrap().to_owned();
    assert!(listed.contains(&url), "{listed}");
    scene.get("/first");
    let line = next("path=\"/first\"");
    assert!(line.contains(&format!(" {token} heroku router - - at=info method=GET ")), "{line}");
    // How far it is is written down now and then.
    std::thread::sleep(Duration::from_secs(6));
    server.kill();
    let mut server = Server::start_with_options(&scene, &options);
    server.wait_for_release(2);
    scene.get("/second");
    let line = next("path=\"/second\"");
    assert!(line.contains(&token), "{line}");
    let cli = Cli::new(&mut server);
    cli.run(&["drains:remove", &url]).ok();
    assert!(!cli.run(&["drains"]).ok().contains(&url));
    scene.get("/third");
    server.wait_for_line(0, &["path=\"/third\""]);
    std::thread::sleep(Duration::from_secs(1));
    assert!(!received.try_iter().any(|line| line.contains("/third")));
    drop(server);
}
