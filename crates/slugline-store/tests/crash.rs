//! Processes that are killed, and processes that come at once.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

#[expect(dead_code, reason = "shared with tests that use more of it")]
mod scene;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use scene::{Scene, contents};
use slugline_model::limits::Limits;
use slugline_model::slug::SlugId;
use slugline_store::{FsckRequest, IngestRequest, Progress, Store, StoreError};

/// Tells a child, which is this program again, which store to use.
const STORE: &str = "STORE_TEST_CHILD_STORE";
/// And which trees to ingest, one after another, with a colon between.
const TREES: &str = "STORE_TEST_CHILD_TREES";

/// How often a process is killed.
const KILLS: u32 = 48;

/// The part of a child: ingests trees; those whose names begin with `kept` must be whole then.
/// False in the parent.
fn is_child() -> bool {
    let (Ok(store), Ok(trees)) = (std::env::var(STORE), std::env::var(TREES)) else {
        return false;
    };
    let store = Store::open(store).unwrap();
    for tree in trees.split(':') {
        let id = ingest(&store, Path::new(tree));
        if Path::new(tree).file_name().unwrap().to_str().unwrap().starts_with("kept") {
            store.verify(&id).unwrap();
        }
        // A sweep waits for a moment in which nobody stores anything.
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

fn child(test: &str, store: &Path, trees: &[PathBuf]) -> Child {
    let trees: Vec<&str> = trees.iter().map(|tree| tree.to_str().unwrap()).collect();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env(STORE, store)
        .env(TREES, trees.join(":"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn ingest(store: &Store, tree: &Path) -> SlugId {
    store.ingest(tree, &IngestRequest::default(), &mut |_| {}).unwrap().id
}

/// Makes a tree of small files; the contents begin at a number.
fn make_tree(tree: &Path, files: u32, first: u32) {
    for number in 0..files {
        let directory = tree.join(format!("d{}", number % 40));
        fs_err::create_dir_all(&directory).unwrap();
        fs_err::write(directory.join(number.to_string()), format!("content {}", first + number))
            .unwrap();
    }
}

fn assert_whole(store: &Store) {
    let checked = store.fsck(&FsckRequest::default(), &mut |_| {}).unwrap();
    assert!(checked.findings.is_empty(), "{:?}", checked.findings);
    assert_eq!(checked.stray_count, 0, "{:?}", checked.strays);
}

fn assert_empty(scene: &Scene) {
    assert_eq!(scene.objects(), Vec::<PathBuf>::new());
    for directory in ["slugs", "pages", "staging", "series", "checkouts"] {
        assert_eq!(contents(&scene.root.join(directory)), Vec::<PathBuf>::new(), "{directory}");
    }
}

#[test]
fn an_ingest_killed_at_any_instant_leaves_a_whole_slug_or_nothing() {
    const TEST: &str = "an_ingest_killed_at_any_instant_leaves_a_whole_slug_or_nothing";
    if is_child() {
        return;
    }
    let scene = Scene::in_memory();
    make_tree(&scene.tree, 2_000, 0);
    let trees = std::slice::from_ref(&scene.tree);
    let start = Instant::now();
    assert!(child(TEST, &scene.root, trees).wait().unwrap().success());
    let whole = start.elapsed();
    let [id] = &scene.store.slugs().unwrap()[..] else { panic!("one slug") };
    let (mut nothing, mut there) = (0, 0);
    for round in 0..KILLS {
        scene.store.sweep(&[]).unwrap();
        assert_empty(&scene);
        let mut child = child(TEST, &scene.root, trees);
        std::thread::sleep(whole * round / (KILLS - 1));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(&scene.root).unwrap();
        match &store.slugs().unwrap()[..] {
            [] => nothing += 1,
            [made] => {
                assert_eq!(made, id);
                store.verify(id).unwrap();
                there += 1;
            }
            more => panic!("{more:?}"),
        }
        if round % 2 == 0 {
            assert_eq!(&ingest(&store, &scene.tree), id);
            store.verify(id).unwrap();
            assert_whole(&store);
        }
    }
    assert!(nothing > 0, "never killed before the end: {nothing} {there}");
    scene.store.sweep(&[]).unwrap();
    assert_empty(&scene);
}

#[test]
fn processes_that_pack_the_same_tree_at_once_make_the_same_slug() {
    const TEST: &str = "processes_that_pack_the_same_tree_at_once_make_the_same_slug";
    if is_child() {
        return;
    }
    let scene = Scene::in_memory();
    make_tree(&scene.tree, 1_000, 0);
    for processes in [2, 4, 4] {
        let trees = std::slice::from_ref(&scene.tree);
        let children: Vec<Child> =
            (0..processes).map(|_| child(TEST, &scene.root, trees)).collect();
        for mut child in children {
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(scene.store.slugs().unwrap().len(), 1);
        assert_eq!(scene.objects().len(), 1_000);
        assert_whole(&scene.store);
        assert!(contents(&scene.root.join("staging")).is_empty());
        assert_eq!(scene.store.sweep(&[]).unwrap().objects, 1_000);
    }
}

/// Kept trees find what the others stored, which sweeps take away at the same time.
#[test]
fn sweeps_beside_ingests_of_other_processes_break_no_slug() {
    const TEST: &str = "sweeps_beside_ingests_of_other_processes_break_no_slug";
    if is_child() {
        return;
    }
    let scene = Scene::in_memory();
    let elsewhere = Store::open(scene.directory.path().join("elsewhere")).unwrap();
    let (mut trees, mut keep) = (vec![], HashSet::new());
    for number in 0..30_u32 {
        let make = |name: String, files| {
            let tree = scene.directory.path().join(name);
            make_tree(&tree, files, number * 1_000);
            tree
        };
        let (other, kept) =
            (make(format!("other{number}"), 120), make(format!("kept{number}"), 100));
        keep.insert(ingest(&elsewhere, &kept));
        trees.extend([other, kept]);
    }
    let (first, second) = (trees.clone(), trees.iter().rev().cloned().collect::<Vec<_>>());
    let children = [first, second].map(|trees| child(TEST, &scene.root, &trees));
    let over = AtomicBool::new(false);
    let removed = std::thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            let mut removed = 0;
            while !over.load(Ordering::Relaxed) {
                let wanted = |there: &[SlugId]| {
                    Some(there.iter().filter(|id| keep.contains(*id)).cloned().collect())
                };
                removed += scene.store.sweep_but(&mut { wanted }).unwrap().unwrap().objects;
            }
            removed
        });
        let ended = children.map(|mut child| child.wait().unwrap().success());
        over.store(true, Ordering::Relaxed);
        assert_eq!(ended, [true, true], "a slug was broken");
        sweeper.join().unwrap()
    });
    assert!(removed > 100, "{removed} objects were swept meanwhile");
    let there: HashSet<SlugId> = scene.store.slugs().unwrap().into_iter().collect();
    assert!(keep.is_subset(&there));
    assert_whole(&scene.store);
    for id in &keep {
        scene.store.checkout(id).unwrap();
    }
}

#[test]
fn an_ingest_that_fails_takes_nothing_from_one_that_came_between() {
    let scene = Scene::in_memory();
    make_tree(&scene.tree, 20, 0);
    let limits = Limits { slug_hard: 3, ..Limits::default() };
    let request = IngestRequest { limits, ..IngestRequest::default() };
    let mut between = None;
    let failed = scene.store.ingest(&scene.tree, &request, &mut |progress| {
        if matches!(progress, Progress::Packed { files, of } if files == of) {
            between = Some(scene.ingest().id);
        }
    });
    assert!(matches!(failed, Err(StoreError::TooLarge { .. })), "{failed:?}");
    scene.store.verify(&between.unwrap()).unwrap();
    assert_whole(&scene.store);
}

#[test]
fn a_sweep_of_much_lets_ingests_and_checkouts_through() {
    let scene = Scene::in_memory();
    make_tree(&scene.tree, 4_000, 0);
    scene.ingest();
    fs_err::remove_dir_all(&scene.tree).unwrap();
    make_tree(&scene.tree, 10, 100_000);
    let kept = scene.ingest().id;
    let removed = std::thread::scope(|scope| {
        let sweep = scope.spawn(|| scene.store.sweep(std::slice::from_ref(&kept)).unwrap());
        let mut while_sweeping = 0;
        while !sweep.is_finished() {
            scene.store.checkout(&kept).unwrap();
            while_sweeping += 1;
            std::thread::sleep(Duration::from_micros(200));
        }
        assert!(while_sweeping > 2, "{while_sweeping} checkouts got through");
        sweep.join().unwrap()
    });
    assert_eq!((removed.slugs, removed.objects), (1, 4_000));
    assert!(scene.store.verify(&kept).is_ok());
}

#[test]
fn a_sweep_may_be_told_to_wait_and_its_preview_removes_nothing() {
    let scene = Scene::in_memory();
    make_tree(&scene.tree, 5, 0);
    let id = scene.ingest_in_series().id;
    let preview = scene.store.sweep_preview(&[]).unwrap();
    assert_eq!((preview.slugs, preview.objects, preview.pages > 0), (1, 5, true));
    assert_eq!(scene.store.sweep_but(&mut |_| None).unwrap(), None);
    assert!(scene.store.verify(&id).is_ok());
    scene.store.sweep(std::slice::from_ref(&id)).unwrap();
    assert_eq!(contents(&scene.root.join("series")).len(), 1, "its slug is still there");
    assert_eq!(scene.store.sweep(&[]).unwrap(), preview);
    assert_empty(&scene);
}
