//! What it costs to see what a dyno has written: `cargo bench -p slugline --bench ledger`.
//!
//! A dyno writes 100,000 files; the ledger is read beside `find`, which lists the same layer. Then a
//! dyno that writes and reads files does so alone, while it is told who writes them, and while its
//! ledger is read every second. Then
//! dynos with 100,000 files stop, and what they wrote is put aside, or removed.

#[path = "../dyno/host.rs"]
mod host;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use slugline_model::dyno::{DynoId, Event, Layer};
use slugline_model::port::Engine as _;
use slugline_model::slug::SlugView;

use host::{Host, spec};

pub(crate) type Failed = Box<dyn std::error::Error + Send + Sync>;

const RUNS: usize = 9;

const MANY: &str = "import os, time\nfor d in range(100):\n    os.makedirs(f'media/{d}')\n    \
    for n in range(1000):\n        with open(f'media/{d}/{n}.png', 'w') as f: f.write('x' * n)\n\
    print('written', flush=True)\ntime.sleep(600)\n";

const WORK: &str = "import time, os\nos.makedirs('media')\nstart = time.monotonic()\n\
    for n in range(20000):\n    with open(f'media/{n % 5000}.png', 'w') as f: f.write('x' * 2000)\n    \
    with open(f'media/{n % 5000}.png') as f: f.read()\n    sum(range(2000))\n\
    print(time.monotonic() - start, flush=True)\n";

fn main() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let app = directory.path().join("slug/app");
    std::fs::create_dir_all(&app)?;
    std::fs::write(app.join("many.py"), MANY)?;
    std::fs::write(app.join("work.py"), WORK)?;
    let slug = SlugView::Tree(directory.path().join("slug"));
    let dynos = directory.path().join("dynos");
    let host = Host::open(&dynos)?;
    let id = write_many(&host, &slug, false)?;
    read(&host, &dynos, id)?;
    stop(&host, id, "removed")?;
    let id = write_many(&host, &slug, true)?;
    stop(&host, id, "put aside")?;
    watched(&host, &slug)
}

/// Starts a dyno, and waits until it has written its files.
fn write_many(host: &Host, slug: &SlugView, keep: bool) -> Result<DynoId, Failed> {
    let layer = Layer { keep, ..Layer::default() };
    let spec = slugline_model::dyno::DynoSpec { layer, ..spec(slug, "exec python3 many.py")? };
    host.engine.start(&spec)?;
    host.wait(spec.id, |event| matches!(event, Event::Line { .. }).then_some(()))?;
    Ok(spec.id)
}

fn read(host: &Host, dynos: &Path, id: DynoId) -> Result<(), Failed> {
    let layer = dynos.join(id.to_string()).join("disk/layer");
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let start = Instant::now();
        let ledger = host.engine.ledger(id)?;
        ours.push(start.elapsed());
        assert_eq!(ledger.content.files, 100_000);
        let start = Instant::now();
        let output = Command::new("find").arg(&layer).args(["-printf", "%p %s %T@\n"]).output()?;
        peers.push(start.elapsed());
        assert!(output.stdout.len() > 1_000_000);
    }
    let (ours, peer) = (median(ours), median(peers));
    let ratio = ours.as_secs_f64() / peer.as_secs_f64();
    println!("the ledger of 100,000 files: {ours:.0?}; find -printf {peer:.0?}, {ratio:.2} times");
    Ok(())
}

fn stop(host: &Host, id: DynoId, how: &str) -> Result<(), Failed> {
    let start = Instant::now();
    host.engine.stop(id)?;
    host.wait(id, |event| matches!(event, Event::Exited { .. }).then_some(()))?;
    let exited = start.elapsed();
    host.wait_for_end(id)?;
    let whole = start.elapsed();
    println!("its stop: exited after {exited:.0?}, its files told and {how} after {whole:.0?}");
    host.engine.discard_layer(id)?;
    Ok(())
}

/// The same work alone and watched, in turns.
fn watched(host: &Host, slug: &SlugView) -> Result<(), Failed> {
    let (mut alone, mut told, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        alone.push(work(host, slug, false, None)?);
        told.push(work(host, slug, true, None)?);
        seen.push(work(host, slug, false, Some(Duration::from_secs(1)))?);
    }
    let (alone, told, seen) = (median(alone), median(told), median(seen));
    let times = |took: Duration| took.as_secs_f64() / alone.as_secs_f64();
    println!("a dyno at work: {alone:.0?} alone");
    println!("its writers told (as root): {told:.0?}, {:.3} times", times(told));
    println!("its ledger read every second: {seen:.0?}, {:.3} times", times(seen));
    Ok(())
}

fn work(
    host: &Host,
    slug: &SlugView,
    keep: bool,
    every: Option<Duration>,
) -> Result<Duration, Failed> {
    let layer = Layer { keep, ..Layer::default() };
    let spec = slugline_model::dyno::DynoSpec { layer, ..spec(slug, "exec python3 work.py")? };
    host.engine.start(&spec)?;
    let (done, engine, id) = (AtomicBool::new(false), &host.engine, spec.id);
    let took = std::thread::scope(|scope| {
        if let Some(every) = every {
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let _ = engine.ledger(id);
                    std::thread::sleep(every);
                }
            });
        }
        let line = host.wait(spec.id, |event| match event {
            Event::Line { text, .. } => Some(text.clone()),
            _ => None,
        });
        done.store(true, Ordering::Relaxed);
        line
    })?;
    host.wait_for_end(spec.id)?;
    host.engine.discard_layer(spec.id)?;
    Ok(Duration::try_from_secs_f64(took.parse()?)?)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
