//! A thousand dynos that sleep: what they take, and how fast one more starts.

use std::path::Path;
use std::time::Duration;

use slugline_model::dyno::{DynoId, Event};
use slugline_model::port::Engine as _;
use slugline_model::slug::SlugView;

use crate::Failed;
use crate::host::{self, Host};

/// After so many, starts are measured.
const STATIONS: [usize; 4] = [1, 100, 500, 1_000];
const SAMPLES: usize = 9;

#[expect(clippy::print_stdout, reason = "the bench's report")]
pub(crate) fn many(directory: &Path) -> Result<(), Failed> {
    let slug = directory.join("many");
    std::fs::create_dir_all(slug.join("app"))?;
    crate::peers::compile("stamp", &slug.join("app"))?;
    let view = SlugView::Tree(slug);
    let host = Host::open(&directory.join("dynos-many"))?;
    let before = available()?;
    let mut running: Vec<DynoId> = Vec::new();
    println!("\nMany dynos that sleep");
    let mut first = None;
    for station in STATIONS {
        while running.len() < station {
            let spec = host::spec(&view, "exec sleep 3600")?;
            host.engine.start(&spec)?;
            host.wait(spec.id, |event| (*event == Event::Up).then_some(()))?;
            running.push(spec.id);
        }
        let next = median(&host, &view)?;
        let first = *first.get_or_insert(next);
        println!(
            "  with {station:>5} running, one more starts in {:>6.2} ms, {:.2} times the first; {:.2} MB of \
             memory each, {} of them private to its supervisor",
            next.as_secs_f64() * 1e3,
            next.as_secs_f64() / first.as_secs_f64(),
            megabytes(before.saturating_sub(available()?) / u64::try_from(running.len())?),
            private_memory(directory)?
        );
    }
    let asked = std::time::Instant::now();
    for id in &running {
        host.engine.stop(*id)?;
    }
    for id in &running {
        host.engine.forget(*id)?;
    }
    println!("  all of them are gone after {:.1} s", asked.elapsed().as_secs_f64());
    Ok(())
}

fn median(host: &Host, slug: &SlugView) -> Result<Duration, Failed> {
    let mut times = Vec::new();
    for _ in 0..SAMPLES {
        std::thread::sleep(crate::rows::REST);
        times.push(crate::timed(host, slug)?);
    }
    times.sort();
    Ok(times[SAMPLES / 2])
}

/// What the machine has left (kB).
fn available() -> Result<u64, Failed> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    Ok(line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no MemAvailable")?.parse()?)
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with two digits")]
fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 / 1_024.0
}

/// Of one supervisor of this bench.
fn private_memory(directory: &Path) -> Result<String, Failed> {
    let ours = directory.display().to_string();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let read = |name: &str| std::fs::read_to_string(entry.path().join(name)).ok();
        if read("cmdline").is_some_and(|line| line.contains(&ours) && line.contains("supervise")) {
            let rollup = read("smaps_rollup").unwrap_or_default();
            let dirty = rollup.lines().find_map(|line| line.strip_prefix("Private_Dirty:"));
            return Ok(dirty.unwrap_or(" unknown").trim().to_owned());
        }
    }
    Err("there is no supervisor".into())
}
