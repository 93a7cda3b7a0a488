//! How much a noisy neighbour slows a small web program: under Slugline, podman and docker.
//!
//! `cargo bench -p slugline --bench neighbours`, as root; podman and docker are measured where they
//! are installed, with their defaults, and left out with a word where they are not. Requests are
//! sent one after the other: to the program alone, while a neighbour spins on all processors, and
//! while one writes to the disk for ever, each in turn and that several times. The two engines have
//! nothing before the program; so Slugline is measured twice, through its router as its users do,
//! and past it. Only ratios within a run are to be compared.

#![expect(clippy::unwrap_used, reason = "a measurement that fails may end as it likes")]
#![expect(clippy::print_stdout, reason = "this is what the program is for")]

#[expect(dead_code, reason = "tests use more of it")]
#[path = "../../tests/support/api.rs"]
mod api;
mod engines;
#[path = "../../tests/support/http.rs"]
mod http;
mod slugline;

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use engines::Engine;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use slugline::Slugline;

/// How many times each of a host's measurements is made, and the requests of one, with the pause
/// after each.
const ROUNDS: usize = 3;
const REQUESTS: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(5);

/// Those before the first one that counts.
const WARM_UP: usize = 100;

/// How long a neighbour makes noise before anything is measured.
const SETTLE: Duration = Duration::from_secs(3);

/// Beside whom the program is measured.
const BESIDE: [Option<&str>; 3] = [None, Some("spin"), Some("thrash")];

/// Whoever runs programs beside each other.
trait Host {
    /// The ways that lead to the web program.
    fn ways(&self) -> Vec<Way>;
    /// Starts the noise.
    fn start(&self, noise: &str);
    /// Ends it, and waits until it has ended.
    fn stop(&self, noise: &str);
}

/// A way to the web program.
struct Way {
    name: &'static str,
    port: u16,
    /// The host that is asked for.
    host: &'static str,
    /// The network namespace to ask from, where it is not the machine's.
    network: Option<PathBuf>,
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    println!("{:<22} {:<8} {:>9} {:>9} {:>16}", "", "beside", "p50", "p99", "p99, of alone's");
    {
        let slugline = Slugline::start(directory.path());
        measure(&slugline);
    }
    for engine in Engine::each(directory.path()) {
        match engine {
            Ok(engine) => measure(&engine),
            Err(why) => println!("{why}"),
        }
    }
}

/// Measures all ways to the program in turn, so that what else goes on in the machine meanwhile
/// meets them all.
fn measure(host: &dyn Host) {
    let ways = host.ways();
    let mut times = vec![[const { Vec::new() }; BESIDE.len()]; ways.len()];
    for _ in 0..ROUNDS {
        for (number, noise) in BESIDE.into_iter().enumerate() {
            if let Some(noise) = noise {
                host.start(noise);
            }
            std::thread::sleep(SETTLE);
            for (way, times) in ways.iter().zip(&mut times) {
                times[number].extend(way.requests());
            }
            if let Some(noise) = noise {
                host.stop(noise);
            }
        }
    }
    for (way, mut times) in ways.iter().zip(times) {
        for times in &mut times {
            times.sort();
        }
        for (noise, of_noise) in BESIDE.into_iter().zip(&times) {
            tell(way.name, noise.unwrap_or("nobody"), of_noise, &times[0]);
        }
    }
}

fn tell(name: &str, beside: &str, times: &[Duration], alone: &[Duration]) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (half, most) = (ms(part(times, 50)), ms(part(times, 99)));
    let ratio = most / ms(part(alone, 99));
    println!("{name:<22} {beside:<8} {half:>6.2} ms {most:>6.2} ms {ratio:>10.1} times");
}

impl Way {
    /// How long each of many requests took.
    fn requests(&self) -> Vec<Duration> {
        // A thread of its own: it stays in the namespace.
        let asked = std::thread::scope(|scope| scope.spawn(|| self.ask()).join());
        asked.unwrap()
    }

    fn ask(&self) -> Vec<Duration> {
        if let Some(network) = &self.network {
            let network = std::fs::File::open(network).unwrap();
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        }
        let (port, host) = (self.port, self.host);
        let (method, path, headers, body) = ("GET", "/", &[], &[]);
        let mut times = Vec::new();
        for _ in 0..WARM_UP + REQUESTS {
            let start = Instant::now();
            let request = http::Request { port, host, method, path, headers, body };
            assert_eq!(request.send().unwrap().status, 200);
            times.push(start.elapsed());
            std::thread::sleep(PAUSE);
        }
        times.split_off(WARM_UP)
    }
}

fn part(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// Waits until the program answers.
fn wait_for(port: u16, host: &str) {
    for _ in 0..1_200 {
        let request =
            http::Request { port, host, method: "GET", path: "/", headers: &[], body: &[] };
        if request.send().is_ok_and(|answer| answer.status == 200) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("nobody answers on port {port}");
}

/// Runs a command quietly; its output is shown where it fails.
fn run(command: &mut std::process::Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}{errors}", output.status);
    text
}
