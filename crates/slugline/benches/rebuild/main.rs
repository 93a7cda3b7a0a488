//! How long examples/library takes to build, beside podman and, if asked for, Heroku's own buildpacks.
//!
//! `cargo bench -p slugline --bench rebuild`, as root, with podman, runc and debootstrap. All peers
//! build in turn within each round, so that only the ratios of one run are to be compared. A build
//! by Slugline ends when it is released, one by podman when its image is stored. The release phase
//! is left out, since a Dockerfile has none.
//!
//! `SLUGLINE_BENCH_BUILDPACKS` names buildpacks as `.buildpacks` does, separated by spaces, for
//! another app that is built with them; `SLUGLINE_CONFIG` is passed on to the server.

#![expect(clippy::unwrap_used, reason = "a measurement that fails may end as it likes")]
#![expect(clippy::print_stdout, reason = "this is what the program is for")]

#[expect(dead_code, reason = "tests use more of it")]
#[path = "../../tests/support/api.rs"]
mod api;
#[path = "../../tests/support/http.rs"]
mod http;
mod podman;
mod slugline;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use podman::Podman;
use slugline::{App, BUILT_IN, OFFICIAL, Server};

const ROUNDS: usize = 3;

/// A package that the app does not have, with no dependencies of its own.
const PACKAGE: &str = "six==1.16.0 \\\n    \
    --hash=sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254\n";

/// Whoever builds the app.
trait Builder {
    fn name(&self) -> String;
    /// From the source to something that can run.
    fn build(&self, source: &Path);
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path());
    let mut builders: Vec<Box<dyn Builder + '_>> = vec![Box::new(App::new(&server, BUILT_IN, &[]))];
    podman::have_debian(directory.path());
    for dockerfile in ["Dockerfile", "Dockerfile.stages"] {
        builders.push(Box::new(Podman { dockerfile, warm: false.into() }));
    }
    match std::env::var("SLUGLINE_BENCH_BUILDPACKS") {
        Ok(names) => {
            let names: Vec<&str> = names.split_whitespace().collect();
            builders.push(Box::new(App::new(&server, OFFICIAL, &names)));
        }
        Err(_) => {
            println!("Heroku's buildpacks are left out: SLUGLINE_BENCH_BUILDPACKS is not set");
        }
    }
    let mut race = Race { builders, source: library(directory.path()) };
    race.run("first build, empty caches", 1, |_, _| {});
    race.run("one template changed", ROUNDS, |source, round| {
        append(&source.join("books/templates/books/index.html"), &format!("<!-- {round} -->\n"));
    });
    let requirements = race.source.join("requirements.txt");
    let before = fs_err::read_to_string(&requirements).unwrap();
    race.run("one dependency added", ROUNDS, |_, round| {
        // Each round begins without it, which is not measured, and is no round before.
        fs_err::write(&requirements, format!("{before}# {round}\n{PACKAGE}")).unwrap();
    });
}

struct Race<'a> {
    builders: Vec<Box<dyn Builder + 'a>>,
    source: PathBuf,
}

impl Race<'_> {
    fn run(&mut self, what: &str, rounds: usize, change: impl Fn(&Path, usize)) {
        let mut times = vec![Vec::new(); self.builders.len()];
        for round in 0..rounds {
            change(&self.source, round);
            for (builder, times) in self.builders.iter().zip(&mut times) {
                // The last build's leavings are cleared while nobody waits.
                std::thread::sleep(Duration::from_secs(3));
                rustix::fs::sync();
                let start = Instant::now();
                builder.build(&self.source);
                times.push(start.elapsed().as_secs_f64());
            }
        }
        println!("\n{what}, medians of {rounds}");
        let ours = median(&mut times[0]);
        for (builder, times) in self.builders.iter().zip(&mut times) {
            let time = median(times);
            println!("  {:<44} {time:>7.2} s  {:>5.1} times", builder.name(), time / ours);
        }
    }
}

/// The example without its release phase, so that nobody does what the others do not.
fn library(directory: &Path) -> PathBuf {
    let source = directory.join("source");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/library");
    run(std::process::Command::new("cp").args(["-R", example]).arg(&source));
    for built in ["client/node_modules", "client/dist", "staticfiles"] {
        let _ = fs_err::remove_dir_all(source.join(built));
    }
    let procfile = source.join("Procfile");
    let text = fs_err::read_to_string(&procfile).unwrap();
    let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("release:")).collect();
    fs_err::write(&procfile, kept.join("\n") + "\n").unwrap();
    source
}

fn append(path: &Path, text: &str) {
    let before = fs_err::read_to_string(path).unwrap();
    fs_err::write(path, before + text).unwrap();
}

/// Runs a command quietly; its output is shown where it fails.
fn run(command: &mut std::process::Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}{errors}", output.status);
    text
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
