//! The same programs under podman and docker, each with its defaults but for the network, which is
//! the machine's: so that no proxy stands between, and nothing but the neighbour slows them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{Host, Way, run, wait_for};

/// What both know the files by: a Python of this machine, and no more.
const FILES: &str = "localhost/slugline-bench-neighbours";

/// Gathers Python with all that it needs to start, and the two programs.
const GATHER: &str = r#"
    set -e
    python=$(readlink -f /usr/bin/python3)
    library=$(/usr/bin/python3 -c 'import os; print(os.path.dirname(os.__file__))')
    mkdir -p "$0/tmp" "$0/usr/bin" && cp "$1"/*.py "$0"
    for file in "$python" "$library"/lib-dynload/*.so; do
        ldd "$file" 2>/dev/null | grep -o '/[^ ]*' | while read -r needed; do
            mkdir -p "$0$(dirname "$needed")" && cp -Ln "$needed" "$0$needed"
        done
    done
    cp "$python" "$0/usr/bin/python3"
    mkdir -p "$0$library"
    tar -C "$library" --exclude=__pycache__ --exclude=test -cf - . | tar -C "$0$library" -xf -
    chmod 1777 "$0/tmp" && tar -C "$0" -cf "$0.tar" .
"#;

/// podman or docker, with the web program running.
pub(crate) struct Engine {
    name: &'static str,
    /// How it is called.
    command: Vec<String>,
    port: u16,
    /// docker's server and its directory, where it is docker.
    daemon: Option<(Child, PathBuf)>,
}

impl Engine {
    /// podman and docker, one after the other; why not, where one cannot be had.
    pub(crate) fn each(directory: &Path) -> impl Iterator<Item = Result<Self, String>> {
        let root = directory.join("python");
        let programs = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/neighbours");
        run(Command::new("bash").args(["-c", GATHER]).arg(&root).arg(programs));
        let tar = root.with_extension("tar");
        let place = directory.join("docker");
        [0, 1].into_iter().map(move |number| match number {
            0 => Self::podman(&tar),
            _ => Self::docker(&place, &tar),
        })
    }

    fn podman(tar: &Path) -> Result<Self, String> {
        if !is_there("podman") {
            return Err("podman is left out: it is not installed".to_owned());
        }
        let mut command = vec!["podman".to_owned()];
        if is_there("runc") {
            command.push("--runtime=runc".to_owned());
        }
        Self { name: "podman", command, port: 7_781, daemon: None }.begin(tar)
    }

    fn docker(place: &Path, tar: &Path) -> Result<Self, String> {
        if !is_there("docker") || !is_there("dockerd") {
            return Err("docker is left out: it is not installed".to_owned());
        }
        let socket = format!("unix://{}", place.join("socket").display());
        let command = vec!["docker".to_owned(), "--host".to_owned(), socket.clone()];
        let child = daemon(place, &socket).map_err(|why| format!("docker is left out: {why}"))?;
        let engine = Self {
            name: "docker",
            command,
            port: 7_782,
            daemon: Some((child, place.to_path_buf())),
        };
        for _ in 0..600 {
            if engine.call(&["info"]).output().is_ok_and(|output| output.status.success()) {
                return engine.begin(tar);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err("docker is left out: its server does not answer".to_owned())
    }

    fn begin(self, tar: &Path) -> Result<Self, String> {
        run(self.call(&["import"]).arg(tar).arg(FILES));
        self.launch("web", &["/serve.py", &self.port.to_string()])
            .map_err(|why| format!("{} is left out: {why}", self.name))?;
        wait_for(self.port, "localhost");
        Ok(self)
    }

    fn call(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).args(arguments);
        command
    }

    fn launch(&self, name: &str, program: &[&str]) -> Result<(), String> {
        let name = Self::label(name);
        // Where root itself may have no more, their defaults of a million are refused.
        let limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096"];
        let mut command = self.call(&["run", "--detach", "--network=host", "--name", &name]);
        command.args(limits).args([FILES, "/usr/bin/python3"]).args(program);
        let output = command.output().map_err(|error| error.to_string())?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(()) } else { Err(errors) }
    }

    fn remove(&self, name: &str) {
        run(&mut self.call(&["rm", "--force", &Self::label(name)]));
    }

    fn label(name: &str) -> String {
        format!("slugline-bench-{name}")
    }
}

impl Host for Engine {
    fn ways(&self) -> Vec<Way> {
        vec![Way { name: self.name, port: self.port, host: "localhost", network: None }]
    }

    fn start(&self, noise: &str) {
        self.launch(noise, &["/noise.py", noise]).unwrap();
    }

    fn stop(&self, noise: &str) {
        self.remove(noise);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // After a measurement that failed, one of them may still run.
        for name in ["web", "spin", "thrash"] {
            let _ = self.call(&["rm", "--force", &Self::label(name)]).output();
        }
        let _ = self.call(&["rmi", FILES]).output();
        if let Some((mut child, place)) = self.daemon.take() {
            let pid = rustix::process::Pid::from_child(&child);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = child.wait();
            // It leaves its own network namespace mounted.
            let namespace = place.join("exec/netns/default");
            let _ = rustix::mount::unmount(namespace, rustix::mount::UnmountFlags::empty());
        }
    }
}

/// docker's server, on a place of its own, which touches nothing of the machine's network.
fn daemon(place: &Path, socket: &str) -> Result<Child, String> {
    std::fs::create_dir_all(place).map_err(|error| error.to_string())?;
    let log = std::fs::File::create(place.join("log")).map_err(|error| error.to_string())?;
    Command::new("dockerd")
        .args(["--host", socket, "--bridge=none", "--iptables=false", "--ip6tables=false"])
        .arg("--data-root")
        .arg(place.join("data"))
        .arg("--exec-root")
        .arg(place.join("exec"))
        .arg("--pidfile")
        .arg(place.join("pid"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(|error| error.to_string())
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
