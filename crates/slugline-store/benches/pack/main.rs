//! What a slug costs beside what others do with the same tree, in one run.
//!
//! `cargo bench -p slugline-store` makes the tree that a Django and React app has (pip and npm fetch
//! it once, into `target/bench-tree`), and packs it, changes five files and packs it again, and
//! makes a dyno's view of it. `tar | gzip -6`, which is how Heroku packs, runs beside it, and the
//! other peers that are installed. An ingest ends when the slug is safe on the disk, which none of
//! the peers waits for. All times are medians (milliseconds) with a warm page cache.
//!
//! `SLUGLINE_BENCH_TREE` names another tree; `SLUGLINE_BENCH_ROUNDS` how often each is measured.

#![expect(clippy::unwrap_used, reason = "a measurement that fails may end as it likes")]
#![expect(clippy::print_stdout, reason = "this is what the program is for")]

mod peers;
mod tree;

use std::path::{Path, PathBuf};
use std::time::Instant;

use slugline_model::slug::SlugId;
use slugline_store::{IngestRequest, Store};

/// Set for a child that ingests a tree and says how much memory that took.
const CHILD: &str = "SLUGLINE_BENCH_CHILD";

fn main() {
    let tree = std::env::var_os("SLUGLINE_BENCH_TREE").map_or_else(tree::make, PathBuf::from);
    if let Some(store) = std::env::var_os(CHILD) {
        ingest(&Store::open(store).unwrap(), &tree);
        return println!("{}", peak_memory());
    }
    let bench = Bench::new(tree);
    let tar = bench.median(|_| peers::tar_and_gzip(&bench.tree, &bench.out("tgz")));
    println!("{}", bench.describe());
    report("tar | gzip -6", tar, tar);
    peers::all(&bench, tar);
    pack(&bench, tar);
    view(&bench);
    space(&bench);
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .env(CHILD, bench.store_root("memory"))
        .env("SLUGLINE_BENCH_TREE", &bench.tree)
        .output()
        .unwrap();
    let peak = String::from_utf8(child.stdout).unwrap();
    println!("{:<36} {:>9} MB", "peak memory of a first pack", peak.trim());
}

/// A copy of the tree, which may be changed, and room for what is made of it.
pub(crate) struct Bench {
    directory: tempfile::TempDir,
    pub(crate) tree: PathBuf,
    rounds: usize,
}

impl Bench {
    fn new(from: PathBuf) -> Self {
        // Beside the tree, so that all is on one file system, and not one in memory.
        let directory = tempfile::tempdir_in(from.parent().unwrap()).unwrap();
        let tree = directory.path().join("tree");
        let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(&tree).status();
        assert!(copied.unwrap().success());
        let rounds = std::env::var("SLUGLINE_BENCH_ROUNDS").map_or(5, |n| n.parse().unwrap());
        Self { directory, tree, rounds }
    }

    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn store_root(&self, name: &str) -> PathBuf {
        self.out(&format!("store-{name}"))
    }

    pub(crate) fn median(&self, mut measure: impl FnMut(usize)) -> f64 {
        let mut times: Vec<f64> = (0..self.rounds).map(|round| time(|| measure(round))).collect();
        times.sort_by(f64::total_cmp);
        times[self.rounds / 2]
    }

    fn describe(&self) -> String {
        let (entries, bytes) = tree::measure(&self.tree);
        format!("{entries} entries, {} MB; medians of {}", bytes / 1_000_000, self.rounds)
    }

    /// Five files of the app, in five directories, with new contents each round.
    pub(crate) fn change_five(&self, round: usize) {
        for (number, file) in tree::five(&self.tree).iter().enumerate() {
            fs_err::write(file, format!("// round {round} file {number}\n")).unwrap();
        }
    }
}

fn pack(bench: &Bench, tar: f64) {
    // Each in a new store, and none removed before the end: what ext4 does about inodes that were
    // removed just now would be measured too.
    let stores: Vec<Store> = (0..bench.rounds)
        .map(|round| Store::open(bench.store_root(&format!("cold{round}"))).unwrap())
        .collect();
    report("pack, nothing known", bench.median(|round| ingest(&stores[round], &bench.tree)), tar);
    let store = Store::open(bench.store_root("warm")).unwrap();
    ingest(&store, &bench.tree);
    let mut times = Vec::new();
    for round in 0..bench.rounds * 3 {
        bench.change_five(round);
        // Files that were written within a tick of the kernel's clock are not remembered.
        std::thread::sleep(std::time::Duration::from_millis(100));
        times.push(time(|| ingest(&store, &bench.tree)));
    }
    times.sort_by(f64::total_cmp);
    report("pack, five files changed", times[times.len() / 2], tar);
}

fn view(bench: &Bench) {
    let root = bench.store_root("warm");
    let store = Store::open(&root).unwrap();
    let id = store.ingest(&bench.tree, &request(), &mut |_| {}).unwrap().id;
    let untar =
        bench.median(|round| peers::untar(&bench.out("tgz"), &bench.out(&format!("x{round}"))));
    report("tar xzf", untar, untar);
    let checkouts = root.join("checkouts");
    for (name, view) in VIEWS {
        let mut first: Vec<f64> = (0..bench.rounds)
            .map(|round| {
                let old = bench.out(&format!("old-{name}-{round}"));
                fs_err::rename(&checkouts, old).unwrap();
                fs_err::create_dir(&checkouts).unwrap();
                time(|| view(&store, &id))
            })
            .collect();
        first.sort_by(f64::total_cmp);
        report(&format!("{name}, first on this host"), first[bench.rounds / 2], untar);
        report(&format!("{name}, again"), bench.median(|_| view(&store, &id)), untar);
    }
}

type View = fn(&Store, &SlugId);

/// The two ways in which dynos see a slug. An image is then mounted, which the dyno's own benchmark
/// measures.
const VIEWS: [(&str, View); 2] = [
    ("hard links", |store, id| drop(store.checkout(id).unwrap())),
    ("image", |store, id| drop(store.image(id).unwrap())),
];

/// What ten releases take that change five files each, beside what one takes.
fn space(bench: &Bench) {
    let root = bench.store_root("space");
    let store = Store::open(&root).unwrap();
    ingest(&store, &bench.tree);
    let one = tree::on_disk(&root);
    for round in 0..9 {
        bench.change_five(round + 1_000);
        ingest(&store, &bench.tree);
    }
    let ten = tree::on_disk(&root);
    let (times, rest) = (ten / one, ten % one * 1_000 / one);
    println!("{:<36} {times}.{rest:03} times the space of one", "ten releases");
}

pub(crate) fn report(what: &str, milliseconds: f64, peer: f64) {
    println!("{what:<36} {milliseconds:>9.1} ms   peer / this = {:.1}", peer / milliseconds);
}

fn request() -> IngestRequest {
    let limits = slugline_model::limits::Limits { slug_hard: u64::MAX, ..Default::default() };
    IngestRequest { series: Some("bench".parse().unwrap()), limits, ..Default::default() }
}

fn ingest(store: &Store, tree: &Path) {
    store.ingest(tree, &request(), &mut |_| {}).unwrap();
}

/// The most memory that this process has had (MB).
fn peak_memory() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1_000
}

/// Starts with nothing left to be written to the disk.
fn time(work: impl FnOnce()) -> f64 {
    rustix::fs::sync();
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64() * 1_000.0
}
