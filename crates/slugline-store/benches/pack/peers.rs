//! Others that pack the same tree.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Bench, report};

pub(crate) fn tar_and_gzip(tree: &Path, to: &Path) {
    shell("tar -C \"$0\" -c . | gzip -6 > \"$1\"", tree, to);
}

pub(crate) fn untar(from: &Path, to: &Path) {
    shell("mkdir \"$1\" && tar -C \"$1\" -xzf \"$0\"", from, to);
}

/// What each costs: a name, a command of the shell with the tree as `$0` and an output as `$1`, and
/// the program that must be there.
const PEERS: [(&str, &str, &str); 5] = [
    ("tar | zstd -1 -T0", "tar -C \"$0\" -c . | zstd -q -1 -T0 > \"$1\"", "zstd"),
    ("mksquashfs, zstd 1", MKSQUASHFS, "mksquashfs"),
    ("mkfs.erofs, raw", "mkfs.erofs --quiet \"$1\" \"$0\"", "mkfs.erofs"),
    ("git add, git write-tree", GIT, "git"),
    ("buildah copy, commit", BUILDAH, "buildah"),
];

const MKSQUASHFS: &str =
    "mksquashfs \"$0\" \"$1\" -quiet -no-progress -comp zstd -Xcompression-level 1";

const GIT: &str =
    "export GIT_DIR=\"$1\" GIT_WORK_TREE=\"$0\"; git init -q && git add -Af . && git write-tree";

/// A storage of its own, in which nothing is known.
const BUILDAH: &str = "set -e; buildah() { command buildah --root \"$1.root\" --runroot \"$1.run\" --storage-driver overlay \"${@:2}\"; }
working=$(buildah \"$1\" from scratch)
buildah \"$1\" copy -q \"$working\" \"$0\" /app
buildah \"$1\" commit -q \"$working\" slug
buildah \"$1\" rm \"$working\"";

pub(crate) fn all(bench: &Bench, tar: f64) {
    for (name, script, program) in PEERS {
        if !is_there(program) {
            println!("{name:<36}   not measured: {program} is not installed");
            continue;
        }
        let slug = name.replace(|c: char| !c.is_ascii_alphanumeric(), "");
        let to = |round: usize| bench.out(&format!("{slug}{round}"));
        let median = bench.median(|round| shell(script, &bench.tree, &to(round)));
        report(name, median, tar);
    }
}

fn is_there(program: &str) -> bool {
    let script = format!("command -v {program}");
    Command::new("sh").args(["-c", &script]).stdout(Stdio::null()).status().unwrap().success()
}

fn shell(script: &str, from: &Path, to: &Path) {
    let mut command = Command::new("bash");
    let status = command.args(["-c", script]).arg(from).arg(to).stdout(Stdio::null()).status();
    assert!(status.unwrap().success(), "{script}");
}
