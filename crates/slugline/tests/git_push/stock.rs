//! The stock command line, unmodified: accounts, tokens, keys, access, and the way to a push.

use serde_json::{Value, json};

use crate::person::Person;
use crate::support::cli::installed;
use crate::support::http::Request;
use crate::support::scene::Scene;
use crate::terminal::Typist;
use crate::{scene, serving};

/// A token for whoever knows a password, as clients ask for one.
pub(crate) fn token_of(scene: &Scene, email: &str, password: &str) -> String {
    use base64::Engine as _;
    let pair = base64::engine::general_purpose::STANDARD.encode(format!("{email}:{password}"));
    let authorization = format!("Basic {pair}");
    let headers = [("Authorization", authorization.as_str())];
    let (port, host, path) = (scene.api_port, "localhost", "/oauth/authorizations");
    let asked = Request { port, host, method: "POST", path, headers: &headers, body: b"{}" };
    let answer: Value = serde_json::from_slice(&asked.send().unwrap().body).unwrap();
    answer["access_token"]["token"].as_str().unwrap().to_owned()
}

#[test]
fn one_logs_in_creates_pushes_clones_and_logs_out() {
    let scene = scene();
    let serving = serving(&scene);
    let api = serving.api();
    api.json("POST", "/accounts", &json!({ "email": "ann@x.org", "password": "sesame-open" }));
    let ann = Person::new(&scene, None);
    let home = ann.home();
    let mut login = ann.command(installed(), home);
    login.args(["login", "-i"]);
    let mut typist = Typist::start(login);
    typist.sees("Email");
    typist.types("ann@x.org\r");
    typist.sees("Password");
    typist.types("sesame-open\r");
    typist.sees("Logged in as");
    typist.sees("ann@x.org");
    assert_eq!(typist.ends(), Some(0));
    assert_eq!(ann.heroku(home, &["auth:whoami"]).ok().trim(), "ann@x.org");
    assert!(ann.heroku(home, &["auth:token"]).ok().contains("SLUGLINE-"));
    assert!(ann.heroku(home, &["sessions"]).ok().contains("Heroku CLI login"));
    let tree = ann.work_tree("hen");
    let created = ann.heroku(&tree, &["create", "hen"]);
    assert!(created.out.contains(&format!("https://localhost:{}/hen.git", scene.api_port)));
    let pushed = ann.git(&tree, &["push", "heroku", "main"]);
    assert_eq!(pushed.code, Some(0), "{pushed:?}");
    assert!(pushed.err.contains("Released v1"), "{pushed:?}");
    let releases = ann.heroku(&tree, &["releases"]).ok();
    assert!(releases.contains("ann@x.org"), "{releases}");
    ann.heroku(home, &["git:clone", "-a", "hen", "back"]).ok();
    assert!(home.join("back/Procfile").is_file());
    let info = ann.heroku(&tree, &["info"]).ok();
    assert!(info.contains("Owner:          ann@x.org"), "{info}");
    // Nothing but their own.
    let apps = ann.heroku(home, &["apps"]).ok();
    assert!(apps.contains("hen") && !apps.contains("owl"), "{apps}");
    let other = ann.heroku(home, &["info", "-a", "owl"]);
    assert!(other.err.contains("Couldn't find that app."), "{other:?}");
    ann.heroku(home, &["logout"]).ok();
    assert_ne!(ann.heroku(home, &["auth:whoami"]).code, Some(0));
    let token = std::fs::read_to_string(home.join(".netrc")).unwrap_or_default();
    assert!(!token.contains("SLUGLINE-"), "{token}");
    let all = api.get("/audit").to_string();
    assert!(all.contains("DELETE /oauth/"), "{all}");
}

#[test]
fn authorizations_clients_and_keys_are_kept() {
    let scene = scene();
    let serving = serving(&scene);
    let person = Person::new(&scene, Some(&serving.api().token));
    let home = person.home();
    let heroku = |args: &[&str]| person.heroku(home, args).ok();
    let made = heroku(&["authorizations:create", "-d", "ci", "-s", "read", "-e", "3600", "-j"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    let (id, token) =
        (made["id"].as_str().unwrap(), made["access_token"]["token"].as_str().unwrap());
    let ci = Person::new(&scene, Some(token));
    assert!(ci.heroku(home, &["info", "-a", "owl"]).ok().contains("owl"));
    let refused = ci.heroku(home, &["config", "-a", "owl"]);
    assert!(refused.err.contains("good for read"), "{refused:?}");
    assert!(heroku(&["authorizations"]).contains("ci"));
    assert!(heroku(&["authorizations:info", id]).contains("read"));
    heroku(&["authorizations:update", id, "-d", "nightly"]);
    assert!(heroku(&["authorizations"]).contains("nightly"));
    heroku(&["authorizations:rotate", id]);
    assert_ne!(ci.heroku(home, &["info", "-a", "owl"]).code, Some(0));
    heroku(&["authorizations:revoke", id]);
    assert!(!heroku(&["authorizations"]).contains("nightly"));
    let made = heroku(&["clients:create", "site", "https://site.example/", "-j"]);
    let made: Value = serde_json::from_str(&made).unwrap();
    let id = made["id"].as_str().unwrap();
    assert!(heroku(&["clients"]).contains("site"));
    let secret = format!("HEROKU_OAUTH_SECRET={}", made["secret"].as_str().unwrap());
    assert!(heroku(&["clients:info", id, "-s"]).contains(&secret));
    heroku(&["clients:update", id, "-n", "shop"]);
    assert!(!heroku(&["clients:rotate", id, "-s"]).contains(&secret));
    assert!(heroku(&["clients"]).contains("shop"));
    heroku(&["clients:destroy", id]);
    let key = home.join("key.pub");
    let line =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g jo@owl";
    std::fs::write(&key, line).unwrap();
    heroku(&["keys:add", key.to_str().unwrap(), "-y"]);
    assert!(heroku(&["keys"]).contains("jo@owl"));
    heroku(&["keys:remove", "jo@owl"]);
    assert!(!heroku(&["keys"]).contains("jo@owl"));
    heroku(&["keys:clear"]);
}

#[test]
fn apps_are_shared_and_given_away() {
    let scene = scene();
    let serving = serving(&scene);
    let api = serving.api();
    api.json("POST", "/accounts", &json!({ "email": "ann@x.org", "password": "sesame-open" }));
    let owner = Person::new(&scene, Some(&api.token));
    let ann = Person::new(&scene, Some(&token_of(&scene, "ann@x.org", "sesame-open")));
    let home = owner.home();
    let own = |args: &[&str]| owner.heroku(home, args);
    assert_ne!(ann.heroku(home, &["info", "-a", "owl"]).code, Some(0));
    own(&["access:add", "ann@x.org", "-a", "owl"]).ok();
    let access = own(&["access", "-a", "owl"]).ok();
    assert!(access.contains("ann@x.org") && access.contains("collaborator"), "{access}");
    assert!(ann.heroku(home, &["apps"]).ok().contains("owl"));
    ann.heroku(home, &["config:set", "A=1", "-a", "owl"]).ok();
    let refused = ann.heroku(home, &["apps:destroy", "-a", "owl", "--confirm", "owl"]);
    assert!(refused.err.contains("Only the owner of owl may do that."), "{refused:?}");
    own(&["access:remove", "ann@x.org", "-a", "owl"]).ok();
    assert_ne!(ann.heroku(home, &["info", "-a", "owl"]).code, Some(0));
    own(&["apps:transfer", "ann@x.org", "-a", "owl"]).ok();
    let transfers = api.get("/account/app-transfers");
    let id = transfers[0]["id"].as_str().unwrap();
    let ann_api = crate::support::api::Api {
        port: scene.api_port,
        token: token_of(&scene, "ann@x.org", "sesame-open"),
    };
    let accept = json!({ "state": "accepted" });
    ann_api.json("PATCH", &format!("/account/app-transfers/{id}"), &accept);
    let info = ann.heroku(home, &["info", "-a", "owl"]).ok();
    assert!(info.contains("Owner:          ann@x.org"), "{info}");
}

#[test]
fn slugline_login_lets_git_in_without_the_stock_command_line() {
    let scene = scene();
    let _serving = serving(&scene);
    let person = Person::new(&scene, None);
    let (home, port) = (person.home(), scene.api_port.to_string());
    let data = scene.data();
    let args = ["--data-dir", data.to_str().unwrap(), "--api-port", &port];
    let login = person.command(scene.program(), home).arg("login").args(args).output().unwrap();
    assert!(login.status.success(), "{}", String::from_utf8_lossy(&login.stderr));
    let variables = String::from_utf8(login.stdout).unwrap();
    assert_eq!(person.heroku(home, &["auth:whoami"]).ok().trim(), "owner@localhost");
    let tree = person.work_tree("owl");
    let push = format!(
        "{variables}\nexport PATH=/usr/bin:/bin\ngit push https://localhost:{port}/owl.git main"
    );
    let pushed = person.command("sh", &tree).args(["-ec", &push]).output().unwrap();
    let said = String::from_utf8_lossy(&pushed.stderr).into_owned();
    assert!(pushed.status.success() && said.contains("Released v1"), "{said}");
}
