//! What dynos cost: how fast they start beside other ways of isolating a program, how fast they
//! answer and stop, and what many of them take.
//!
//! `cargo bench -p slugline --bench dyno`; `-- start`, `-- answer`, `-- stop` or `-- many` for one of
//! the tables. Peers that are not installed say so. Docker is measured where its daemon runs.

mod host;
mod many;
mod peers;
mod rows;
mod serve;
mod stop;

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use slugline_model::dyno::Event;
use slugline_model::port::Engine as _;
use slugline_model::slug::SlugView;
use slugline_store::{IngestRequest, Store};

use host::Host;
use rows::Row;

type Failed = Box<dyn std::error::Error>;

fn main() -> Result<(), Failed> {
    let asked: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wants = |name: &str| asked.is_empty() || asked.iter().any(|word| word == name);
    let directory = tempfile::tempdir()?;
    if wants("start") {
        start(directory.path())?;
    }
    if wants("answer") {
        serve::answer(directory.path())?;
    }
    if wants("stop") {
        stop::stop(directory.path())?;
    }
    if wants("many") {
        many::many(directory.path())?;
    }
    Ok(())
}

/// Since boot (nanoseconds), by the clock of `stamp.c`.
fn now() -> Result<u64, Failed> {
    let time = clock_gettime(ClockId::Monotonic);
    Ok(u64::try_from(time.tv_sec)? * 1_000_000_000 + u64::try_from(time.tv_nsec)?)
}

/// From being asked for to the first instruction of the command.
fn start(directory: &Path) -> Result<(), Failed> {
    let root = directory.join("root");
    for name in ["app", "proc", "dev", "tmp", "etc", "sys", "run"] {
        std::fs::create_dir_all(root.join(name))?;
    }
    let stamp = peers::compile("stamp", &root.join("app"))?;
    let mut rows = peers::rows(directory, &root, &stamp);
    let slug = directory.join("slug");
    std::fs::create_dir_all(slug.join("app"))?;
    std::fs::copy(&stamp, slug.join("app/stamp"))?;
    if slugline_dyno::is_host_root() {
        for files in [1, 40_000] {
            let view = mounted(&directory.join(files.to_string()), files, &stamp)?;
            let name = format!("a dyno, its slug of {files} files mounted");
            rows.push(dyno(&directory.join(format!("dynos-{files}")), &name, view, false)?);
        }
    }
    let plain = SlugView::Tree(slug);
    let cold = directory.join("dynos-cold");
    rows.push(dyno(&cold, "a dyno, nothing ready beforehand", plain.clone(), true)?);
    rows.push(dyno(&directory.join("dynos"), "a dyno", plain, false)?);
    rows::measure("From the call to the first instruction of the command", 25, &mut rows);
    Ok(())
}

/// With a dyno beside it, as on a server that has one: so a supervisor stands ready. Without, where
/// the dyno is to be the only one, nothing does.
fn dyno(directory: &Path, name: &str, slug: SlugView, cold: bool) -> Result<Row, Failed> {
    let host = Rc::new(Host::open(directory)?);
    if !cold {
        let beside = host::spec(&slug, "exec sleep 3600")?;
        host.engine.start(&beside)?;
        host.wait(beside.id, |event| (*event == Event::Up).then_some(()))?;
        // Stopped with the bench's engine, which is dropped at the end.
        let (engine, id) = (Rc::clone(&host), beside.id);
        let ending = Ending(engine, id);
        return Ok(Row::new(name, move || timed(&ending.0, &slug)));
    }
    Ok(Row::new(name, move || timed(&host, &slug)))
}

/// Stops the dyno beside when its row is done with.
struct Ending(Rc<Host>, slugline_model::dyno::DynoId);

impl Drop for Ending {
    fn drop(&mut self) {
        let Self(host, id) = self;
        let _ = host.engine.stop(*id);
        let _ = host.wait_for_end(*id);
    }
}

fn timed(host: &Host, slug: &SlugView) -> Result<Duration, Failed> {
    let spec = host::spec(slug, "exec ./stamp")?;
    let started = now()?;
    host.engine.start(&spec)?;
    let stamp: u64 = host.wait(spec.id, |event| match event {
        Event::Line { text, .. } => text.parse().ok(),
        _ => None,
    })?;
    host.wait_for_end(spec.id)?;
    Ok(Duration::from_nanos(stamp - started))
}

/// A slug of so many files, as an image.
fn mounted(directory: &Path, files: u32, stamp: &Path) -> Result<SlugView, Failed> {
    let tree = directory.join("tree");
    for number in 0..files {
        let parent = tree.join(format!("d{}", number / 20));
        std::fs::create_dir_all(&parent)?;
        std::fs::write(parent.join(format!("f{number}")), number.to_string())?;
    }
    std::fs::copy(stamp, tree.join("stamp"))?;
    let store = Store::open(directory.join("store"))?;
    let id = store.ingest(&tree, &IngestRequest::default(), &mut |_| {})?.id;
    Ok(SlugView::Image { image: store.image(&id)?, objects: store.objects() })
}
