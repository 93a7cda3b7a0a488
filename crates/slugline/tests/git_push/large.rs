//! A push of much, which passes through the server in little memory.

use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::person::Person;
use crate::support::scene::Scene;
use crate::{scene, serving};

/// What is pushed (MiB): nothing of it can be squeezed. The environment may ask for more.
const MIB: usize = 64;

/// What a commit has of it (MiB): a build may not have all.
const PER_COMMIT: usize = 64;

/// What the server's process may have of it (kB).
const MEMORY: u64 = 150 * 1024;

/// What git on the server may have of it (kB): most are pages of packs, which the kernel takes back.
const MEMORY_OF_GIT: u64 = 400 * 1024;

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A number of kB in what the kernel says of a process; zero where that is gone.
fn kilobytes(pid: i32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

/// The processes whose directory is below another.
fn working_in(directory: &Path) -> Vec<i32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let is_there = |entry: &std::fs::DirEntry| {
        let works = std::fs::read_link(entry.path().join("cwd"));
        works.is_ok_and(|works| works.starts_with(directory))
    };
    all.filter(is_there).filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// What git on the server had of its own at most, while something was done (kB).
fn most_of_git(scene: &Scene, work: impl FnOnce()) -> u64 {
    let (over, most) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for pid in working_in(&scene.data().join("git")) {
                    most.fetch_max(kilobytes(pid, "RssAnon:"), Ordering::Relaxed);
                }
                std::thread::sleep(LOOK_EVERY);
            }
        });
        // However it ends.
        let _over = Over(&over);
        work();
    });
    most.into_inner()
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_large_push_passes_through_in_little_memory() {
    let asked = std::env::var("SLUGLINE_MIB").ok().and_then(|mib| mib.parse().ok());
    let mib: usize = asked.unwrap_or(MIB);
    let scene = scene();
    let serving = serving(&scene);
    let person = Person::new(&scene, Some(&serving.api().token));
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    let mut block = vec![0; 1 << 20];
    for commit in 0..mib.div_ceil(PER_COMMIT) {
        let mut noise = std::fs::File::create(tree.join("noise")).unwrap();
        for _ in 0..PER_COMMIT {
            getrandom::fill(&mut block).unwrap();
            noise.write_all(&block).unwrap();
        }
        person.commit(&tree, "last", &commit.to_string());
    }
    let start = Instant::now();
    let of_git = most_of_git(&scene, || {
        // Noise has no deltas to be looked for.
        let as_it_is = ["-c", "core.bigFileThreshold=16m", "push", "heroku", "main"];
        let pushed = person.git(&tree, &as_it_is);
        assert_eq!(pushed.code, Some(0), "{pushed:?}");
    });
    let took = start.elapsed();
    let peak = kilobytes(serving.pid().as_raw_nonzero().get(), "VmHWM:");
    eprintln!("{mib} MiB: {took:?}; the server had {peak} kB at most, git {of_git} kB");
    assert!(peak < MEMORY, "the server had {peak} kB at most");
    assert!(of_git < MEMORY_OF_GIT, "git had {of_git} kB at most");
    // It is written down once git has ended, which whoever pushes need not wait for.
    let size = || serving.api().get("/apps/owl")["repo_size"].as_u64();
    let size = crate::support::wait_for("the repository's size", Duration::from_secs(30), size);
    assert!(size > (mib as u64) << 20, "{size}");
    let start = Instant::now();
    person
        .git(
            person.home(),
            &["clone", "-q", &format!("https://localhost:{}/owl.git", scene.api_port), "back"],
        )
        .ok();
    let peak = kilobytes(serving.pid().as_raw_nonzero().get(), "VmHWM:");
    eprintln!("cloned back: {:?}; the server had {peak} kB at most", start.elapsed());
    assert!(peak < MEMORY, "the server had {peak} kB at most");
    let length = std::fs::metadata(person.home().join("back/noise")).unwrap().len();
    assert_eq!(length, (PER_COMMIT as u64) << 20);
}
