//! What a sweep of 100,000 objects costs, and how long others wait for it.
//!
//! `cargo bench -p slugline-store --bench sweep`. While the sweep goes on, another thread stores a
//! small tree and looks at a slug again and again: the longest of those calls is what a build or a
//! starting dyno may have to wait. Times are milliseconds.

#![expect(clippy::unwrap_used, reason = "a measurement that fails may end as it likes")]

use std::path::Path;
use std::time::Instant;

use slugline_model::slug::SlugId;
use slugline_store::{IngestRequest, Store};

const OBJECTS: u32 = 100_000;
const KEPT: u32 = 20_000;

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path().join("store")).unwrap();
    let kept = stored(&store, &directory.path().join("kept"), 0..KEPT);
    stored(&store, &directory.path().join("gone"), KEPT..KEPT + OBJECTS);
    let small = directory.path().join("small");
    make_tree(&small, 0..5);
    let keep = |there: &[SlugId]| {
        Some(there.iter().filter(|id| **id == kept).cloned().collect::<Vec<_>>())
    };
    let started = Instant::now();
    let (mut ingests, mut looks) = (vec![], vec![]);
    std::thread::scope(|scope| {
        let sweep = scope.spawn(|| store.sweep_but(&mut { keep }).unwrap().unwrap());
        while !sweep.is_finished() {
            ingests.push(time(|| drop(ingest(&store, &small))));
            looks.push(time(|| drop(store.checkout(&kept).unwrap())));
        }
        let swept = sweep.join().unwrap();
        assert_eq!((swept.slugs >= 1, swept.objects), (true, u64::from(OBJECTS)));
    });
    report("a sweep of 100,000 objects, beside others", started.elapsed().as_secs_f64() * 1_000.0);
    // The first one makes the checkout.
    looks.remove(0);
    for (what, mut times) in [("ingest of 5 files", ingests), ("checkout that is there", looks)] {
        times.sort_by(f64::total_cmp);
        report(&format!("{what}, median of {}", times.len()), times[times.len() / 2]);
        report(&format!("{what}, longest"), times[times.len() - 1]);
    }
    let started = Instant::now();
    store.sweep(std::slice::from_ref(&kept)).unwrap();
    report("a sweep with nothing to remove", started.elapsed().as_secs_f64() * 1_000.0);
}

fn stored(store: &Store, tree: &Path, numbers: std::ops::Range<u32>) -> SlugId {
    make_tree(tree, numbers);
    ingest(store, tree)
}

fn ingest(store: &Store, tree: &Path) -> SlugId {
    store.ingest(tree, &IngestRequest::default(), &mut |_| {}).unwrap().id
}

fn make_tree(tree: &Path, numbers: std::ops::Range<u32>) {
    for number in numbers {
        let directory = tree.join(format!("d{}", number / 500));
        fs_err::create_dir_all(&directory).unwrap();
        fs_err::write(directory.join(number.to_string()), format!("content {number}")).unwrap();
    }
}

fn time(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1_000.0
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn report(what: &str, milliseconds: f64) {
    println!("{what:<48} {milliseconds:>9.1} ms");
}
