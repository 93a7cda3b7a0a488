//! Builds from the command line: followed, watched, canceled, replayed, and killed with their server.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

#[path = "support/ports.rs"]
mod ports;
#[path = "support/trace.rs"]
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod trace;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ports::free_port;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// Leaves something in the cache, goes on for as long as `slow` says, and writes a secret.
const COMPILE: &str = "#!/bin/bash
echo '-----> Compiling'; echo kept > \"$2/kept\"; head -c 200000 /dev/zero > \"$1/blob\"
echo \"key=$(cat \"$3/SECRET_KEY\" 2>/dev/null)\" > \"$1/conf\"
for i in $(seq \"$(cat \"$1/slow\")\"); do echo \"       tick $i\"; sleep 0.1; done
";

/// A server, and a directory with an app that brings its own buildpack.
struct Scene {
    directory: tempfile::TempDir,
    api_port: u16,
    server: Option<Child>,
}

impl Scene {
    /// The app's build takes so many tenths of a second.
    fn new(slow: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let app = directory.path().join("owl");
        std::fs::create_dir_all(app.join("bin")).unwrap();
        std::fs::write(app.join("Procfile"), "worker: sleep 100\n").unwrap();
        std::fs::write(app.join("slow"), slow.to_string()).unwrap();
        let scripts = [
            ("detect", "#!/bin/sh\necho Tiny\n"),
            ("compile", COMPILE),
            ("release", "#!/bin/sh\n"),
        ];
        for (name, text) in scripts {
            let path = app.join("bin").join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut scene = Self { directory, api_port: free_port(), server: None };
        scene.serve();
        scene.api("POST", "/apps", "{\"name\":\"owl\"}");
        scene
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn serve(&mut self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slugline"));
        command.arg("serve").arg("--data-dir").arg(self.data());
        command.args(["--port", &free_port().to_string()]);
        command.args(["--api-port", &self.api_port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut server = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("Platform API:"), "{line}");
        self.server = Some(server);
    }

    /// A crash: no chance to clean up.
    fn kill_server(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().unwrap();
        server.wait().unwrap();
    }

    /// A command about the app's builds.
    fn command(&self, arguments: &[&str]) -> Command {
        self.command_by(self.api_port, arguments)
    }

    fn command_by(&self, api_port: u16, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slugline"));
        command.args(arguments).current_dir(self.directory.path().join("owl"));
        command.arg("--data-dir").arg(self.data()).args(["--api-port", &api_port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Its exit code and all that it prints.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        ended(self.command(arguments).spawn().unwrap())
    }

    fn api(&self, method: &str, path: &str, body: &str) -> Value {
        let token = std::fs::read_to_string(self.data().join("token")).unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", self.api_port)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
            token.trim(),
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// The app's builds, the newest first.
    fn builds(&self) -> Vec<Value> {
        let (code, json) = self.run(&["builds", "--json"]);
        assert_eq!(code, 0, "{json}");
        serde_json::from_str(&json).unwrap()
    }

    /// Starts a build, and waits until its buildpack runs.
    fn build_begun(&self) -> Child {
        let mut build = self.command(&["builds:create"]).spawn().unwrap();
        let mut byte = [0];
        let mut shown = Vec::new();
        let output = build.stdout.as_mut().unwrap();
        while !shown.ends_with(b"tick 1\n") {
            assert_eq!(output.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&shown));
            shown.push(byte[0]);
        }
        build
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            let _ = kill_process(Pid::from_child(server), Signal::TERM);
            let _ = server.wait();
        }
        for (pid, _) in trace::processes(&self.data()) {
            let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
        }
    }
}

fn ended(child: Child) -> (i32, String) {
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// Waits until something is so.
fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_mins(1), "waited for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_build_is_shown_watched_and_explained() {
    let scene = Scene::new(5);
    scene.api("PATCH", "/apps/owl/config-vars", "{\"SECRET_KEY\":\"dj4ngo-s3cret\"}");
    let build = scene.build_begun();
    let (code, watched) = scene.run(&["build:watch"]);
    assert_eq!(code, 0, "{watched}");
    assert!(watched.starts_with("-----> Building on the Host stack"), "{watched}");
    for line in [
        "-----> Tiny app detected\n-----> Compiling\n       tick 1\n       tick 2\n",
        "-----> Biggest parts of the slug\n         200kB  ./, ",
        " !       SECRET_KEY: conf, line 1\n",
        "       Released v2\n",
    ] {
        assert!(watched.contains(line), "{line} in {watched}");
    }
    let (code, rest) = ended(build);
    assert_eq!(code, 0);
    assert!(watched.ends_with(&rest), "both terminals show the same:\n{rest}");
    assert!(scene.run(&["builds:output"]).1 == watched, "and so does a later look");

    let (_, json) = scene.run(&["build:info", "--json"]);
    let info: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(info["steps"][0]["step"], "heroku/inline");
    assert_eq!(info["steps"][0]["added"]["files"], 2);
    assert_eq!(info["leaks"][0]["config_var"], "SECRET_KEY");
    assert_eq!(
        (&info["biggest"][0]["name"], &info["parts"][0]["name"]),
        (&"./".into(), &"./".into())
    );
    assert!(!json.contains("dj4ngo-s3cret"));
    let (_, info) = scene.run(&["builds:info"]);
    assert!(info.contains("Status:      succeeded\n"), "{info}");
    assert!(info.contains("s  heroku/inline: 2 files (200kB) added\n"), "{info}");

    let (code, replayed) = scene.run(&["build:replay"]);
    assert_eq!(code, 0, "{replayed}");
    assert!(replayed.starts_with("-----> Replaying build "), "{replayed}");
    let (code, purged) = scene.run(&["build:cache:purge"]);
    assert_eq!((code, purged.as_str()), (0, "Purging build cache of owl... done\n"));
    let (_, list) = scene.run(&["builds"]);
    assert!(list.starts_with("=== owl builds\n"), "{list}");
    assert!(list.ends_with("Build cache: 0B of at most 4.2GB\n"), "{list}");
}

#[test]
fn a_canceled_build_says_so_to_everybody() {
    let scene = Scene::new(1_000);
    let build = scene.build_begun();
    let second = scene.command(&["builds:create"]).spawn().unwrap();
    until("the second build", || scene.builds().len() == 2);
    let first = scene.builds()[1]["id"].as_str().unwrap().to_owned();
    // The newest one waits; it goes first.
    let (code, _) = scene.run(&["builds:cancel"]);
    assert_eq!(code, 0);
    let (code, shown) = ended(second);
    assert_eq!(code, 91, "{shown}");
    assert_eq!(
        shown,
        format!(
            "-----> Waiting for the app's other build to finish: {first}\n       To cancel that one: \
             slugline builds:cancel {first} -a owl\n !     Build canceled\n !\n !     Nothing was \
             released. owl has no release yet.\n"
        )
    );
    let (code, shown) = scene.run(&["build:cancel", &first[..8]]);
    assert_eq!((code, shown), (0, format!("Canceling build {first}... done\n")));
    let (code, shown) = ended(build);
    assert_eq!(code, 91);
    assert!(
        shown.ends_with(
            " !     Build canceled\n !\n !     Nothing was released. owl has no release yet.\n"
        ),
        "{shown}"
    );
    let (code, shown) = scene.run(&["build:cancel", &first]);
    assert_eq!(code, 10);
    assert!(shown.contains(&format!("Build {first} cannot be canceled: it has failed")), "{shown}");
}

#[test]
fn a_killed_server_leaves_a_failed_build_and_nothing_else() {
    let mut scene = Scene::new(3);
    assert_eq!(ended(scene.build_begun()).0, 0);
    std::fs::write(scene.directory.path().join("owl/slow"), "1000").unwrap();
    let build = scene.build_begun();
    scene.kill_server();
    scene.serve();
    // The terminal has found the next server by itself, and lost no line.
    let (code, shown) = ended(build);
    assert_eq!(code, 10, "{shown}");
    assert!(shown.contains(" !     The build ended with the server that ran it\n !\n"), "{shown}");
    assert!(shown.ends_with(" !     Nothing was released. owl still runs v1.\n"), "{shown}");
    let ticks: Vec<&str> = shown.lines().filter(|line| line.contains("tick")).collect();
    let expected: Vec<String> =
        (2..2 + ticks.len()).map(|number| format!("       tick {number}")).collect();
    assert_eq!(ticks, expected, "each line once");
    let build = &scene.builds()[0];
    assert_eq!(
        [&build["status"], &build["failure"]],
        [&Value::from("failed"), &Value::from("the server was killed")]
    );
    let is_empty =
        |name: &str| std::fs::read_dir(scene.data().join(name)).unwrap().next().is_none();
    until("the workspace to go", || is_empty("builds") && is_empty("dynos"));
    until("the build's processes to go", || trace::processes(&scene.data()).len() <= 1);
    let kept = scene.data().join("cache/owl/kept");
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "kept\n");
    std::fs::write(scene.directory.path().join("owl/slow"), "1").unwrap();
    assert_eq!(scene.run(&["builds:create"]).0, 0, "the next one is built");
}

#[test]
fn an_output_whose_connection_breaks_goes_on_where_it_broke() {
    let scene = Scene::new(20);
    let port = cutting_relay(scene.api_port, 700);
    let created = scene.command(&["builds:create"]).spawn().unwrap();
    until("the build", || scene.builds().len() == 1);
    let (code, cut) = ended(scene.command_by(port, &["build:watch"]).spawn().unwrap());
    let (_, whole) = ended(created);
    assert_eq!((code, cut), (0, whole));
}

/// Passes bytes on between a client and a server, and cuts streams of output after so many bytes of
/// an answer. Ends with the test's process.
fn cutting_relay(server: u16, after: usize) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || relay(client, server, after));
        }
    });
    port
}

fn relay(mut client: TcpStream, server: u16, after: usize) {
    let mut request = vec![0; 8_192];
    let Ok(length) = client.read(&mut request) else { return };
    let request = &request[..length];
    let limit = if request.starts_with(b"GET /streams/") { after } else { usize::MAX };
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)) else { return };
    server.write_all(request).unwrap();
    let mut passed = 0;
    let mut piece = [0; 64];
    while let Ok(length @ 1..) = server.read(&mut piece) {
        passed += length;
        if passed > limit || client.write_all(&piece[..length]).is_err() {
            return;
        }
    }
}

#[test]
fn errors_of_build_commands_say_what_to_do() {
    let scene = Scene::new(1);
    let (code, shown) = scene.run(&["builds:info"]);
    assert_eq!(code, 10);
    assert_eq!(
        shown,
        "error: cannot find a build of owl\n  owl has no builds yet.\n  A build is named by its id, \
         or by the beginning of its id.\n  Next: slugline builds -a owl\n  Nothing was started or \
         changed.\n"
    );
    let (_, shown) = ended(scene.command_by(1, &["builds"]).spawn().unwrap());
    assert!(shown.starts_with("error: cannot reach the server on 127.0.0.1:1\n"), "{shown}");
}

#[test]
fn the_environment_of_scripts_and_hooks_is_printed_without_secrets() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("SECRET_KEY"), "dj4ngo-s3cret").unwrap();
    let print = |option: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slugline"));
        command.args(["compile", option, "--env-dir"]).arg(directory.path());
        command.env_clear().env("PATH", "/usr/bin:/bin").env("AWS_SECRET", "no");
        command.env("PIP_INDEX_URL", "https://me:pa55@pypi.example/simple");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let place = directory.path().display().to_string();
    let shown = print("--print-env").replace(&place, "$ENV_DIR");
    assert_eq!(
        shown,
        "\
# bin/detect, bin/compile, bin/report and bin/release of buildpacks, where config vars
# are files in ENV_DIR, the third argument of bin/compile
BUILDPACK_LOG_FILE=/dev/fd/3
HOME=/app
LANG=en_US.UTF-8
PATH=/usr/bin:/bin
PIP_INDEX_URL=https://me:****@pypi.example/simple
STACK=host

# bin/pre_compile and bin/post_compile, as heroku/python runs them
BUILDPACK_LOG_FILE=/dev/fd/3
BUILD_DIR=/tmp/build_01234567
CACHE_DIR=/tmp/codon/tmp/cache
CPLUS_INCLUDE_PATH=/app/.heroku/python/include
C_INCLUDE_PATH=/app/.heroku/python/include
ENV_DIR=$ENV_DIR
HOME=/app
LANG=en_US.UTF-8
LD_LIBRARY_PATH=/app/.heroku/python/lib
LIBRARY_PATH=/app/.heroku/python/lib
PATH=/app/.heroku/python/bin:/usr/bin:/bin
PIP_INDEX_URL=https://me:****@pypi.example/simple
PKG_CONFIG_PATH=/app/.heroku/python/lib/pkg-config
PYTHONUNBUFFERED=1
SECRET_KEY=(a config var; --print-env=values shows it)
STACK=host
"
    );
    let shown = print("--print-env=values");
    assert!(shown.contains("\nSECRET_KEY=dj4ngo-s3cret\n"), "{shown}");
    assert!(shown.contains("\nPIP_INDEX_URL=https://me:pa55@"), "{shown}");
}
