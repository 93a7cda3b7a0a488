//! A push of much, which passes through the server in little memory.

use std::io::Write as _;

use crate::person::Person;
use crate::{scene, serving};

/// What is pushed (MiB): nothing of it can be squeezed.
const MIB: usize = 64;

/// What the server's process may have of it (kB).
const MEMORY: u64 = 150 * 1024;

#[test]
fn a_large_push_passes_through_in_little_memory() {
    let scene = scene();
    let serving = serving(&scene);
    let person = Person::new(&scene, Some(&serving.api().token));
    let tree = person.work_tree("owl");
    person.remote(&tree, "owl");
    let mut noise = std::fs::File::create(tree.join("noise")).unwrap();
    let mut block = vec![0; 1 << 20];
    for _ in 0..MIB {
        getrandom::fill(&mut block).unwrap();
        noise.write_all(&block).unwrap();
    }
    person.commit(&tree, "last", "one");
    let pushed = person.git(&tree, &["push", "heroku", "main"]);
    assert_eq!(pushed.code, Some(0), "{pushed:?}");
    let status = format!("/proc/{}/status", serving.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(status).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < MEMORY, "the server had {peak} kB at most");
    let size = serving.api().get("/apps/owl")["repo_size"].as_u64().unwrap();
    assert!(size > (MIB as u64) << 20, "{size}");
    person
        .git(
            person.home(),
            &["clone", "-q", &format!("https://localhost:{}/owl.git", scene.api_port), "back"],
        )
        .ok();
    let length = std::fs::metadata(person.home().join("back/noise")).unwrap().len();
    assert_eq!(length, (MIB as u64) << 20);
}
