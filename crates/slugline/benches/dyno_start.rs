//! How long a dyno takes to start, beside other ways of isolating a process.
//!
//! `cargo bench -p slugline`. Each row runs `/bin/true` to its end, in turn with the others, so
//! that only the ratios of one run are to be compared. A peer that is not installed says so.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use slugline_dyno::LocalEngine;
use slugline_model::dyno::{DynoSpec, Event, Network, Streams, TimedEvent, Times};
use slugline_model::port::Engine as _;
use slugline_model::resources::Resources;
use slugline_model::slug::SlugView;
use slugline_store::{IngestRequest, Store};

const ROUNDS: usize = 40;

type Failed = Box<dyn std::error::Error>;

/// One way of running `/bin/true`; none where it cannot be run here.
struct Row {
    name: &'static str,
    times: Vec<Duration>,
    run: Box<dyn FnMut() -> Result<Duration, Failed>>,
}

fn main() -> Result<(), Failed> {
    let directory = tempfile::tempdir()?;
    let mut rows = vec![
        command("a process, and nothing around it", &["/bin/true"]),
        command("bwrap --unshare-all", &BWRAP),
    ];
    let plain = directory.path().join("slug");
    std::fs::create_dir_all(plain.join("app"))?;
    if slugline_dyno::is_host_root() {
        for (name, files) in [(SMALL, 1), (LARGE, 40_000)] {
            let slug = mounted(&directory.path().join(files.to_string()), files)?;
            rows.push(dyno(&directory.path().join(format!("dynos{files}")), name, slug)?);
        }
    }
    let dynos = directory.path().join("dynos");
    rows.push(dyno(&dynos, "a dyno, start to end of its command", SlugView::Tree(plain))?);
    for round in 0..=ROUNDS {
        for row in &mut rows {
            match (row.run)() {
                // The first round only warms up.
                Ok(time) if round > 0 => row.times.push(time),
                Ok(_) | Err(_) => {}
            }
        }
    }
    report(&mut rows);
    Ok(())
}

const BWRAP: [&str; 13] = [
    "bwrap",
    "--unshare-all",
    "--ro-bind",
    "/usr",
    "/usr",
    "--symlink",
    "usr/bin",
    "/bin",
    "--symlink",
    "usr/lib",
    "/lib",
    "--symlink",
    "usr/lib64",
];

fn command(name: &'static str, words: &[&'static str]) -> Row {
    let mut words: Vec<&str> = words.to_vec();
    if words.len() > 1 {
        words.extend(["/lib64", "--proc", "/proc", "--dev", "/dev", "/bin/true"]);
    }
    let run = move || {
        let started = Instant::now();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null());
        let status = command.status()?;
        if status.success() { Ok(started.elapsed()) } else { Err("it failed".into()) }
    };
    Row { name, times: vec![], run: Box::new(run) }
}

/// From the engine's call until the command runs: supervisor, namespaces, overlay, bash twice.
fn dyno(directory: &Path, name: &'static str, slug: SlugView) -> Result<Row, Failed> {
    let (send, events) = mpsc::channel();
    let sink = Box::new(move |_, event| {
        let _ = send.send(event);
    });
    let program = Path::new(env!("CARGO_BIN_EXE_slugline"));
    let engine = LocalEngine::open(directory, program, sink)?;
    let run = move || {
        let spec = spec(slug.clone())?;
        let started = Instant::now();
        engine.start(&spec)?;
        let mut ran = None;
        loop {
            let TimedEvent { event, .. } = events.recv_timeout(Duration::from_secs(10))?;
            match event {
                Event::Exited { status: 0 } => ran = Some(started.elapsed()),
                Event::Discarded { .. } => break,
                _ => {}
            }
        }
        engine.forget(spec.id)?;
        ran.ok_or_else(|| "it failed".into())
    };
    Ok(Row { name, times: vec![], run: Box::new(run) })
}

const SMALL: &str = "a dyno, its slug of 1 file mounted";
const LARGE: &str = "a dyno, its slug of 40,000 files mounted";

/// A slug of so many files, as an image.
fn mounted(directory: &Path, files: u32) -> Result<SlugView, Failed> {
    let tree = directory.join("tree");
    for number in 0..files {
        let parent = tree.join(format!("d{}", number / 20));
        std::fs::create_dir_all(&parent)?;
        std::fs::write(parent.join(format!("f{number}")), number.to_string())?;
    }
    let store = Store::open(directory.join("store"))?;
    let id = store.ingest(&tree, &IngestRequest::default(), &mut |_| {})?.id;
    Ok(SlugView::Image { image: store.image(&id)?, objects: store.objects() })
}

fn spec(slug: SlugView) -> Result<DynoSpec, Failed> {
    Ok(DynoSpec {
        id: uuid::Uuid::new_v4(),
        app: "bench".parse()?,
        dyno: "worker.1".parse()?,
        release: 1,
        command: "/bin/true".to_owned(),
        env: BTreeMap::from([("HOME".to_owned(), "/app".to_owned())]),
        slug: Some(slug),
        slug_id: None,
        binds: vec![],
        port: None,
        host_uid: None,
        times: Times { boot: 1_000, stop: 1_000, run: None },
        resources: Resources::default(),
        network: Network::Own,
        streams: Streams::Lines,
    })
}

#[expect(clippy::print_stdout, reason = "the bench's report")]
fn report(rows: &mut [Row]) {
    for row in rows.iter_mut() {
        row.times.sort();
    }
    let median = |row: &Row| row.times.get(row.times.len() / 2).copied();
    let dyno = rows.last().and_then(median);
    println!("{ROUNDS} rounds, medians");
    for row in rows.iter() {
        match (median(row), dyno) {
            (Some(time), Some(dyno)) => println!(
                "{:<40} {:>8.2} ms   a dyno takes {:.2} times as long",
                row.name,
                time.as_secs_f64() * 1e3,
                dyno.as_secs_f64() / time.as_secs_f64()
            ),
            _ => println!("{:<40} cannot be run here", row.name),
        }
    }
}
