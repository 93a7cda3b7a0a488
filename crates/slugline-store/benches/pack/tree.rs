//! The tree that is packed: a Django environment and a React `node_modules`.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const PYTHON: &str =
    "Django djangorestframework gunicorn psycopg2-binary whitenoise boto3 Pillow celery";
const NODE: &str = "react@18 react-dom@18 react-scripts@5.0.1";

/// Fetched once, below the target directory.
pub(crate) fn make() -> PathBuf {
    // The program lies in `target/release/deps`.
    let program = std::env::current_exe().unwrap();
    let target = program.ancestors().nth(3).unwrap();
    let (tree, new) = (target.join("bench-tree/tree"), target.join("bench-tree/new"));
    if !tree.exists() {
        let _ = fs_err::remove_dir_all(&new);
        fs_err::create_dir_all(&new).unwrap();
        let script = format!(
            "set -e; cd \"$0\"
             python3 -m venv ../venv
             ../venv/bin/pip install -q --target .heroku/python/lib/python3/site-packages {PYTHON}
             mkdir client && cd client && npm init -y >/dev/null
             npm install --silent --no-audit --no-fund {NODE}"
        );
        println!("fetching the tree with pip and npm …");
        let status = Command::new("bash").args(["-c", &script]).arg(&new).status();
        assert!(
            status.unwrap().success(),
            "the tree could not be fetched: name one by SLUGLINE_BENCH_TREE"
        );
        for n in 0..5 {
            let directory = new.join(format!("app{n}"));
            fs_err::create_dir(&directory).unwrap();
            fs_err::write(directory.join("views.py"), "").unwrap();
        }
        fs_err::rename(&new, &tree).unwrap();
    }
    tree
}

/// Five files of five directories.
pub(crate) fn five(tree: &Path) -> Vec<PathBuf> {
    (0..5)
        .map(|n| {
            let directory = tree.join(format!("app{n}"));
            fs_err::create_dir_all(&directory).unwrap();
            directory.join("views.py")
        })
        .collect()
}

/// How many entries a tree has, and the bytes of its files.
pub(crate) fn measure(tree: &Path) -> (u64, u64) {
    walk(tree, &|metadata| if metadata.is_file() { metadata.len() } else { 0 })
}

/// What a tree takes on the disk, its directories with it (bytes).
pub(crate) fn on_disk(tree: &Path) -> u64 {
    walk(tree, &|metadata| metadata.blocks() * 512).1
}

fn walk(tree: &Path, weigh: &dyn Fn(&std::fs::Metadata) -> u64) -> (u64, u64) {
    let (mut entries, mut bytes) = (0, 0);
    for entry in fs_err::read_dir(tree).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        entries += 1;
        bytes += weigh(&metadata);
        if metadata.is_dir() {
            let below = walk(&entry.path(), weigh);
            entries += below.0;
            bytes += below.1;
        }
    }
    (entries, bytes)
}
