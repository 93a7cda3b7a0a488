//! A server that others reach: at an address of its own, by names below its domain.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[path = "support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::net::TcpStream;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::json;
use support::account::{Account, run};
use support::scene::Scene;
use support::serving::Serving;
use support::wait_for;

const DOMAIN: &str = "house.example";

const SOON: Duration = Duration::from_mins(1);

/// What curl says of a URL whose host is at an address.
fn curl(scene: &Scene, url: &str, address: &str, more: &[&str]) -> Output {
    let (host, port) =
        url.split_once("://").unwrap().1.split('/').next().unwrap().split_once(':').unwrap();
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--max-time", "20", "--noproxy", "*", "--cacert"]);
    curl.arg(scene.data().join("tls/ca.pem")).arg("--resolve");
    curl.arg(format!("{host}:{port}:{address}")).args(more).arg(url);
    curl.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn apps_and_the_api_answer_at_names_of_a_domain_and_another_address() {
    for account in Account::all() {
        let scene = Scene::new(&account, "owl");
        let there = ["--bind", "127.0.0.2", "--domain", DOMAIN];
        let mut serving = Serving::start_with_options(&scene, &there);
        let api = serving.api();
        // This machine's own commands come by loopback.
        let app = api.json("POST", "/apps", &json!({ "name": "owl" }));
        let url = format!("http://owl.{DOMAIN}:{}/", scene.port);
        assert_eq!(app["web_url"], url.as_str());
        scene.write("app/index.html", "hoot");
        serving.release(&json!({ "web": "exec python3 -m http.server $PORT" }));
        let answer = wait_for("the app's answer", SOON, || {
            let answer = said(&curl(&scene, &url, "127.0.0.2", &[]));
            answer.contains("hoot").then_some(answer)
        });
        assert_eq!(answer, "hoot");
        let by_tls = url.replace("http:", "https:");
        assert_eq!(said(&curl(&scene, &by_tls, "127.0.0.2", &[])), "hoot");
        let bearer = format!("Authorization: Bearer {}", api.token);
        let own = format!("https://api.{DOMAIN}:{}/apps/owl", scene.api_port);
        let info = said(&curl(&scene, &own, "127.0.0.2", &["-H", &bearer]));
        assert!(
            info.contains(&format!("https://api.{DOMAIN}:{}/owl.git", scene.api_port)),
            "{info}"
        );
        // The authority signs for its domain and this machine, and for nobody else.
        let other = format!("https://api.house.test:{}/", scene.api_port);
        let refused = curl(&scene, &other, "127.0.0.2", &[]);
        assert!(!refused.status.success(), "{}", said(&refused));
        variables_lead_there(&scene);
        git_pushes_there(&scene, &api.token);
        serving.stop();
        assert!(TcpStream::connect(("127.0.0.2", scene.api_port)).is_err());
    }
}

fn variables_lead_there(scene: &Scene) {
    let mut trust = Command::new(scene.program());
    trust.args(["trust", "--domain", DOMAIN, "--api-port", &scene.api_port.to_string()]);
    let variables = run(trust.arg("--data-dir").arg(scene.data()));
    let host = format!("https://api.{DOMAIN}:{}", scene.api_port);
    assert!(variables.contains(&format!("export HEROKU_HOST={host}\n")), "{variables}");
    assert!(variables.contains(&format!("=http.{host}/.sslCAInfo\n")), "{variables}");
}

/// A push, whose hook comes to the server by loopback. git knows no `--resolve` but by curl's setting.
fn git_pushes_there(scene: &Scene, token: &str) {
    let home = tempfile::tempdir().unwrap();
    let git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.current_dir(home.path()).env("HOME", home.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        git.args(["-c", "user.name=Ann", "-c", "user.email=ann@x.org", "-c"]);
        git.arg(format!("http.curloptResolve=api.{DOMAIN}:{}:127.0.0.2", scene.api_port));
        git.arg("-c").arg(format!("http.sslCAInfo={}", scene.data().join("tls/ca.pem").display()));
        git.env("GIT_TERMINAL_PROMPT", "0").env_remove("GIT_SSL_CAINFO").args(args);
        git.output().unwrap()
    };
    assert!(git(&["init", "-q", "-b", "main"]).status.success());
    std::fs::write(home.path().join("Procfile"), "web: exec python3 -m http.server $PORT\n")
        .unwrap();
    assert!(git(&["add", "-A"]).status.success());
    assert!(git(&["commit", "-q", "-m", "First"]).status.success());
    let url = format!("https://x:{token}@api.{DOMAIN}:{}/owl.git", scene.api_port);
    let pushed = git(&["push", &url, "main"]);
    let told = said(&pushed);
    assert!(pushed.status.success() && told.contains("Released v2"), "{told}");
    assert!(told.contains(&format!("http://owl.{DOMAIN}:{}/ deployed", scene.port)), "{told}");
}

/// A machine of its own, as far as the network goes: nobody is reached whom this concerns not.
#[test]
fn beyond_its_machine_a_server_speaks_tls_alone_and_needs_a_domain() {
    let scene = Scene::new(&Account::all()[0], "owl");
    let script = format!(
        "set -e\n\
         ip link set lo up\n\
         ip address add 192.0.2.7/32 dev lo\n\
         {program} serve --data-dir {data} --port 5080 --api-port 5055 --bind 192.0.2.7 && exit 9\n\
         {program} serve --data-dir {data} --port 5080 --api-port 5055 --bind 192.0.2.7 \
           --domain {DOMAIN} & server=$!\n\
         trap 'kill $server; wait $server' EXIT\n\
         for n in $(seq 300); do\n\
           curl -s -o /dev/null http://127.0.0.1:5055/ && break; sleep 0.1\n\
         done\n\
         token=$(cat {data}/token)\n\
         ask() {{ curl -sS --noproxy '*' --max-time 20 --cacert {data}/tls/ca.pem -w ' %{{http_code}}\\n' \
           --resolve api.{DOMAIN}:5055:192.0.2.7 -H \"Authorization: Bearer $token\" \"$@\"; }}\n\
         echo plain: $(ask http://api.{DOMAIN}:5055/account)\n\
         echo token: $(printf '%064d\\r\\n' 0 | timeout 5 curl -s telnet://192.0.2.7:5055)\n\
         echo tls: $(ask https://api.{DOMAIN}:5055/account)\n\
         echo here: $(ask http://127.0.0.1:5055/account)\n",
        program = scene.program().display(),
        data = scene.data().display(),
    );
    let mut apart = Command::new("unshare");
    apart.args(["--net", "--map-root-user", "sh", "-c", &script]).stdin(Stdio::null());
    let output = apart.output().unwrap();
    let told = said(&output);
    let line = |name: &str| {
        let found = told.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_else(|| panic!("{name} {told}")).to_owned()
    };
    assert!(told.contains("cannot listen on 192.0.2.7 as `localhost`"), "{told}");
    assert!(line("plain:").contains("tls_required") && line("plain:").ends_with("403"), "{told}");
    assert!(line("token:").contains("tls_required"), "{told}");
    assert!(line("tls:").contains("owner@localhost") && line("tls:").ends_with("200"), "{told}");
    assert!(line("here:").ends_with("200"), "{told}");
}
