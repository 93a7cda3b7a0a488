//! How much a noisy neighbour slows a small web program: under Slugline, podman and docker.
//!
//! `cargo bench -p slugline --bench neighbours`, as root; podman and docker are measured where they
//! are installed, with their defaults, and left out with a word where they are not. Requests are
//! sent one after the other, first to the program alone, then while a neighbour spins on all
//! processors, then while one writes to the disk for ever. Only ratios within a run are to be
//! compared.

#![expect(clippy::unwrap_used, reason = "a measurement that fails may end as it likes")]
#![expect(clippy::print_stdout, reason = "this is what the program is for")]

#[expect(dead_code, reason = "tests use more of it")]
#[path = "../../tests/support/api.rs"]
mod api;
mod engines;
#[path = "../../tests/support/http.rs"]
mod http;
mod slugline;

use std::time::{Duration, Instant};

use engines::Engine;
use slugline::Slugline;

/// Requests of one measurement, and the pause after each.
const REQUESTS: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(5);

/// Those before the first one that counts.
const WARM_UP: usize = 100;

/// How long a neighbour makes noise before anything is measured.
const SETTLE: Duration = Duration::from_secs(3);

/// What a neighbour does.
const NOISES: [&str; 2] = ["spin", "thrash"];

/// Whoever runs programs beside each other.
trait Host {
    fn name(&self) -> String;
    /// Where the web program answers, and the host that it is asked for.
    fn address(&self) -> (u16, String);
    /// Starts the noise.
    fn start(&self, noise: &str);
    /// Ends it, and waits until it has ended.
    fn stop(&self, noise: &str);
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    println!("{:<10} {:<16} {:>9} {:>9} {:>16}", "", "beside", "p50", "p99", "p99, of alone's");
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

fn measure(host: &dyn Host) {
    let alone = requests(host);
    tell(host, "nobody", &alone, &alone);
    for noise in NOISES {
        host.start(noise);
        std::thread::sleep(SETTLE);
        let times = requests(host);
        host.stop(noise);
        tell(host, noise, &times, &alone);
    }
}

fn tell(host: &dyn Host, beside: &str, times: &[Duration], alone: &[Duration]) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (half, most) = (ms(part(times, 50)), ms(part(times, 99)));
    let ratio = most / ms(part(alone, 99));
    let name = host.name();
    println!("{name:<10} {beside:<16} {half:>6.2} ms {most:>6.2} ms {ratio:>10.1} times");
}

/// How long each of many requests took, the shortest first.
fn requests(host: &dyn Host) -> Vec<Duration> {
    let (port, name) = host.address();
    let mut times: Vec<Duration> = (0..WARM_UP + REQUESTS)
        .map(|_| {
            let (method, path, headers, body) = ("GET", "/", &[], &[]);
            let start = Instant::now();
            let request = http::Request { port, host: &name, method, path, headers, body };
            assert_eq!(request.send().unwrap().status, 200);
            let time = start.elapsed();
            std::thread::sleep(PAUSE);
            time
        })
        .collect();
    times.drain(..WARM_UP);
    times.sort();
    times
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
