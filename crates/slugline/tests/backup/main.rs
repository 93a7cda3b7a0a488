//! Everything that a server keeps goes into one archive while it works, and comes back from there.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[path = "../../../slugline-s3/tests/scene/radosgw.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod radosgw;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use radosgw::{Disk, OWNER, Radosgw};
use serde_json::json;
use support::account::Account;
use support::scene::Scene;
use support::serving::Serving;
use support::wait_for;

const SOON: Duration = Duration::from_mins(1);

const WEB: &str = "import http.server, os\n\
    class Answer(http.server.BaseHTTPRequestHandler):\n\
    \x20   def do_GET(self):\n\
    \x20       body = os.environ['GREETING'].encode()\n\
    \x20       self.send_response(200); self.send_header('Content-Length', str(len(body)))\n\
    \x20       self.end_headers(); self.wfile.write(body)\n\
    \x20   def log_message(self, *_): pass\n\
    http.server.ThreadingHTTPServer(('0.0.0.0', int(os.environ['PORT'])), Answer).serve_forever()\n";

fn slugline(scene: &Scene, args: &[&str], data: &Path) -> Output {
    let mut command = scene.account.command(scene.program());
    command.args(args).arg("--data-dir").arg(data);
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A server whose app greets.
fn serving(scene: &Scene) -> Serving<'_> {
    let serving = Serving::start(scene);
    let api = serving.api();
    api.json("POST", "/apps", &json!({ "name": "owl" }));
    api.json("PATCH", "/apps/owl/config-vars", &json!({ "GREETING": "hoot" }));
    scene.write("app/web.py", WEB);
    serving.release(&json!({ "web": "python3 web.py" }));
    serves(scene);
    serving
}

fn serves(scene: &Scene) {
    wait_for("the app", SOON, || {
        let answer = scene.try_get("/").ok()?;
        (answer.status == 200 && answer.text() == "hoot").then_some(())
    });
}

#[test]
fn a_backup_of_a_server_that_works_makes_another_server() {
    for account in Account::all() {
        let scene = Scene::new(&account, "owl");
        let mut first = serving(&scene);
        let archive = scene.data().with_file_name("backup.tar.zst");
        let archive_name = archive.to_str().unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (api, over) = (first.api(), &over);
            scope.spawn(move || {
                for number in (0..).take_while(|_| !over.load(Ordering::Relaxed)) {
                    let vars = json!({ "NUMBER": format!("{number}") });
                    api.json("PATCH", "/apps/owl/config-vars", &vars);
                }
            });
            std::thread::sleep(Duration::from_millis(300));
            let written = slugline(&scene, &["backup", archive_name], &scene.data());
            over.store(true, Ordering::Relaxed);
            assert!(written.status.success(), "{}", text(&written.stderr));
        });
        assert_eq!(archive.metadata().unwrap().mode() & 0o777, 0o600, "it holds secrets");
        let config = first.api().get("/apps/owl/config-vars");
        first.stop();

        let other = Scene::new(&account, "owl");
        let restored = slugline(&other, &["backup:restore", archive_name], &other.data());
        assert!(restored.status.success(), "{}", text(&restored.stderr));
        let second = Serving::start(&other);
        serves(&other);
        let api = second.api();
        let there = api.get("/apps/owl/config-vars");
        let number = |vars: &serde_json::Value| vars["NUMBER"].as_str().unwrap().parse::<u64>();
        assert!(number(&there).unwrap() <= number(&config).unwrap());
        let releases = api.get("/apps/owl/releases");
        let versions: Vec<_> =
            releases.as_array().unwrap().iter().map(|r| r["version"].as_u64().unwrap()).collect();
        assert!(versions.iter().copied().eq(1..=versions.len() as u64), "{versions:?}");
        let port = other.api_port.to_string();
        let checked = slugline(&other, &["store:fsck", "--api-port", &port], &other.data());
        assert!(checked.status.success(), "{}", text(&checked.stdout));
    }
}

/// Somebody pushes all the while, and every backup has whole branches.
#[test]
fn a_backup_during_pushes_has_no_branch_without_its_objects() {
    let scene = Scene::new(&Account::all()[0], "owl");
    let server = serving(&scene);
    let (api, over) = (server.api(), AtomicBool::new(false));
    let archive = scene.data().with_file_name("backup.tar.zst");
    let tree = tempfile::tempdir().unwrap();
    let git = |args: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.current_dir(tree.path()).env("HOME", tree.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        git.args(["-c", "user.name=Ann", "-c", "user.email=ann@x.org"]).args(args);
        support::account::run(&mut git)
    };
    git(&["init", "-q", "-b", "topic"]);
    let url = format!("http://x:{}@127.0.0.1:{}/owl.git", api.token, api.port);
    let push = |number: u32| {
        let noise: Vec<String> = (0..20_000).map(|n| (n * number % 9_973).to_string()).collect();
        let noise = noise.join(" ");
        std::fs::write(tree.path().join("noise"), noise).unwrap();
        git(&["add", "-A"]);
        git(&["commit", "-q", "-m", &number.to_string()]);
        git(&["push", "-q", &url, "HEAD:topic"]);
        git(&["push", "-q", &url, &format!("HEAD:topic-{number}")]);
    };
    push(1);
    std::thread::scope(|scope| {
        let (over, push) = (&over, &push);
        // However this ends.
        let _over = Over(over);
        scope.spawn(move || {
            for number in (2..).take_while(|_| !over.load(Ordering::Relaxed)) {
                push(number);
            }
        });
        for round in 0..8 {
            let written = slugline(&scene, &["backup", archive.to_str().unwrap()], &scene.data());
            assert!(written.status.success(), "{}", text(&written.stderr));
            let other = tree.path().join(format!(".git/restored-{round}"));
            let restore = ["backup:restore", archive.to_str().unwrap()];
            let restored = slugline(&scene, &restore, &other);
            assert!(restored.status.success(), "{}", text(&restored.stderr));
            let repositories = std::fs::read_dir(other.join("git")).unwrap().flatten();
            let repository = repositories.map(|entry| entry.path());
            let mut repository = repository.filter(|path| path.join("HEAD").exists());
            let mut git = std::process::Command::new("git");
            git.arg("--git-dir").arg(repository.next().unwrap()).args(["fsck", "--full"]);
            support::account::run(&mut git);
        }
    });
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn what_is_no_backup_or_has_no_room_leaves_nothing() {
    let scene = Scene::new(&Account::all()[0], "owl");
    let mut server = serving(&scene);
    let archive = scene.data().with_file_name("backup.tar.zst");
    let name = archive.to_str().unwrap();
    assert!(slugline(&scene, &["backup", name], &scene.data()).status.success());
    let full = slugline(&scene, &["backup:restore", name], &scene.data());
    assert!(text(&full.stderr).contains("the data directory is not empty"), "{full:?}");
    serves(&scene);
    server.stop();

    let new = scene.data().with_file_name("new");
    let whole = std::fs::read(&archive).unwrap();
    for cut in [0, 10, whole.len() / 2, whole.len() - 4] {
        std::fs::write(&archive, &whole[..cut]).unwrap();
        let refused = slugline(&scene, &["backup:restore", name], &new);
        assert!(!refused.status.success(), "cut at {cut} of {}", whole.len());
        assert!(!new.exists() && !new.with_file_name("new.unfinished").exists());
    }
    let nothing = slugline(&scene, &["backup", name], &scene.source());
    assert!(text(&nothing.stderr).contains("no server keeps anything there"), "{nothing:?}");
}

/// Ceph's, and what becomes of a backup when it is away.
#[test]
fn a_backup_in_a_bucket_makes_another_server() {
    let ceph = Radosgw::start(Path::new(env!("CARGO_TARGET_TMPDIR")), Disk::Memory);
    ceph.make_bucket(OWNER, "attic");
    let scene = Scene::new(&Account::all()[0], "owl");
    let mut first = serving(&scene);
    // More than one part, and nothing that can be packed.
    let mut noise = vec![0; 70 << 20];
    blake3::Hasher::new().update(b"noise").finalize_xof().fill(&mut noise);
    std::fs::write(scene.data().join("noise"), &noise).unwrap();
    let told = |args: &[&str], data: &Path| {
        let Output { status, stdout, stderr } = slugline(&scene, args, data);
        (status.success(), text(&stdout) + &text(&stderr))
    };
    let none = told(&["backup", "s3:one.tar.zst"], &scene.data());
    assert!(!none.0 && none.1.contains("has no table [backups]"), "{}", none.1);
    let config = configure(&scene, &ceph);
    let made = told(&["backup", "s3:one.tar.zst"], &scene.data());
    assert!(made.0, "{}", made.1);
    let again = told(&["backup", "s3:one.tar.zst"], &scene.data());
    assert!(!again.0 && again.1.contains("is there already"), "{}", again.1);
    let listed = told(&["backup:list"], &scene.data());
    assert!(listed.0 && listed.1.contains("s3:one.tar.zst") && listed.1.contains("1 file in"));
    let missing = scene.data().with_file_name("missing");
    let not = told(&["backup:restore", "s3:two", "--config", &config], &missing);
    assert!(!not.0 && not.1.contains("The data directory is as it was."), "{}", not.1);
    assert!(!missing.exists());
    first.stop();

    let other = Scene::new(&scene.account, "owl");
    let restored = told(&["backup:restore", "s3:one.tar.zst", "--config", &config], &other.data());
    assert!(restored.0, "{}", restored.1);
    assert!(std::fs::read(other.data().join("noise")).unwrap() == noise);
    let second = Serving::start(&other);
    serves(&other);

    // The bucket goes away in the middle, and the server does not care.
    let writing = scene
        .account
        .command(scene.program())
        .args(["backup", "s3:two.tar.zst", "--config", &config, "--data-dir"])
        .arg(other.data())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    drop(ceph);
    let ended = writing.wait_with_output().unwrap();
    assert!(!ended.status.success());
    let said = text(&ended.stderr);
    for part in ["cannot back up", "[backups]", "No archive was written, and the server runs on."] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains(OWNER.secret), "{said}");
    serves(&other);
    drop(second);
}

/// Gives the configuration's path.
fn configure(scene: &Scene, ceph: &Radosgw) -> String {
    let credentials = scene.data().join("attic.credentials");
    let keys =
        format!("aws_access_key_id = {}\naws_secret_access_key = {}\n", OWNER.key, OWNER.secret);
    std::fs::write(&credentials, keys).unwrap();
    let config = scene.data().join("slugline.toml");
    let table = format!(
        "[backups]\nbucket = \"s3://attic/of/owl\"\nendpoint = \"{}\"\n\
         credentials = \"attic.credentials\"\n",
        ceph.endpoint()
    );
    std::fs::write(&config, table).unwrap();
    config.to_str().unwrap().to_owned()
}
