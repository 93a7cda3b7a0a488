//! What packing costs, beside what Heroku's own slug format costs, in one run.
//!
//! `cargo bench -p slugline-store` makes a tree of about 40,000 small files in a temporary
//! directory. An ingest ends when the slug is safe on the disk, which `tar` does not wait for. All
//! times are medians (milliseconds) with a warm page cache.

#![expect(clippy::unwrap_used, reason = "a measurement that fails may end as it likes")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use slugline_store::{IngestRequest, Store};

const DIRECTORIES: u32 = 2_000;
const FILES: u32 = 20;
const ROUNDS: usize = 5;

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    make_tree(&tree);
    let tar = median(|_| time(|| tar_and_gzip(&tree)));
    // Each in a new store, and none removed before the end: what ext4 does about inodes that were
    // removed just now would be measured too.
    let cold = median(|round| {
        let store = Store::open(directory.path().join(format!("cold{round}"))).unwrap();
        time(|| ingest(&store, &tree))
    });
    let store = Store::open(directory.path().join("store")).unwrap();
    ingest(&store, &tree);
    let changed = median(|round| {
        for file in 0..5 {
            fs_err::write(tree.join(format!("d{file}/f0.js")), format!("{round} {file}")).unwrap();
        }
        time(|| ingest(&store, &tree))
    });
    let id = store.ingest(&tree, &IngestRequest::default(), &mut |_| {}).unwrap().id;
    let first = median(|_| {
        let _ = fs_err::remove_dir_all(directory.path().join("store/checkouts").join(id.as_str()));
        time(|| drop(store.checkout(&id).unwrap()))
    });
    let again = median(|_| time(|| drop(store.checkout(&id).unwrap())));
    report("tar | gzip -6", tar, tar);
    report("ingest, nothing known", cold, tar);
    report("ingest, five files changed", changed, tar);
    report("checkout, first", first, tar);
    report("checkout, again", again, tar);
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn report(what: &str, milliseconds: f64, tar: f64) {
    println!("{what:<28} {milliseconds:>9.1} ms   tar | gzip / this = {:.1}", tar / milliseconds);
}

fn make_tree(tree: &Path) {
    let mut seed = 1_u64;
    for directory in 0..DIRECTORIES {
        let path = tree.join(format!("d{directory}"));
        fs_err::create_dir_all(&path).unwrap();
        for file in 0..FILES {
            fs_err::write(path.join(format!("f{file}.js")), script(&mut seed)).unwrap();
        }
    }
}

/// Something like source code, of 0.5 to 16 kB, that packs about as well.
fn script(seed: &mut u64) -> String {
    let mut random = || {
        *seed =
            seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *seed >> 33
    };
    let mut out = String::new();
    for _ in 0..random() % 250 + 8 {
        let (name, value) = (random() % 500, random());
        let _ = writeln!(out, "export const name{name} = (value) => value + {value:x};");
    }
    out
}

fn tar_and_gzip(tree: &Path) {
    let script = r#"tar -C "$0" -c . | gzip -6 > "$0.tgz""#;
    assert!(Command::new("sh").args(["-c", script]).arg(tree).status().unwrap().success());
}

fn ingest(store: &Store, tree: &Path) {
    let request = IngestRequest { series: Some("bench".parse().unwrap()), ..Default::default() };
    store.ingest(tree, &request, &mut |_| {}).unwrap();
}

/// Starts with nothing left to be written to the disk.
fn time(work: impl FnOnce()) -> f64 {
    rustix::fs::sync();
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1_000.0
}

fn median(mut measure: impl FnMut(usize) -> f64) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS).map(&mut measure).collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}
