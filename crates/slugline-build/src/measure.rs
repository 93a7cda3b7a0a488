//! What a step did to the tree: its size before and after, and how long it took.

use std::path::Path;
use std::time::Instant;

use slugline_model::build::{StepMeasure, TreeSize};
use slugline_model::size;

/// A step that is being measured.
#[derive(Debug)]
pub(crate) struct Measuring<'a> {
    step: String,
    tree: &'a Path,
    before: TreeSize,
    started: Instant,
}

impl<'a> Measuring<'a> {
    /// Takes the size before the step and starts the clock.
    pub(crate) fn start(step: impl Into<String>, tree: &'a Path) -> Self {
        let before = tree_size(tree);
        Self { step: step.into(), tree, before, started: Instant::now() }
    }

    /// Stops the clock and takes the size after the step.
    pub(crate) fn stop(self) -> StepMeasure {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        StepMeasure { step: self.step, millis, before: self.before, after: tree_size(self.tree) }
    }
}

/// The regular files and symbolic links below a directory. What vanishes meanwhile does not count.
pub(crate) fn tree_size(tree: &Path) -> TreeSize {
    let mut size = TreeSize::default();
    let Ok(entries) = fs_err::read_dir(tree) else { return size };
    for entry in entries.flatten() {
        let below = match entry.file_type() {
            Ok(kind) if kind.is_dir() => tree_size(&entry.path()),
            Ok(_) => TreeSize { files: 1, bytes: entry.metadata().map_or(0, |m| m.len()) },
            Err(_) => continue,
        };
        size.files += below.files;
        size.bytes += below.bytes;
    }
    size
}

/// `bin/post_compile: 1,204 files and 8.1MB more in 12.3s (before: 8,106 files, 52.9MB; now: 9,310
/// files, 61.0MB)`
pub(crate) fn describe(measure: &StepMeasure) -> String {
    let StepMeasure { step, millis, before, after } = measure;
    format!(
        "{step}: {} in {}.{}s (before: {}, {}; now: {}, {})",
        change(before, after),
        millis / 1000,
        millis % 1000 / 100,
        size::files(before.files),
        size::human(before.bytes),
        size::files(after.files),
        size::human(after.bytes)
    )
}

fn change(before: &TreeSize, after: &TreeSize) -> String {
    let files = size::files(before.files.abs_diff(after.files));
    let bytes = size::human(before.bytes.abs_diff(after.bytes));
    let word = |before: u64, after: u64| if after < before { "less" } else { "more" };
    let files_word = word(before.files, after.files);
    let bytes_word = word(before.bytes, after.bytes);
    if before == after {
        "as many files and bytes as before".to_owned()
    } else if files_word == bytes_word || before.files == after.files {
        format!("{files} and {bytes} {bytes_word}")
    } else {
        format!("{files} {files_word} and {bytes} {bytes_word}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(before: (u64, u64), after: (u64, u64), expect: &str) {
        let size = |(files, bytes)| TreeSize { files, bytes };
        let measure = StepMeasure {
            step: "bin/post_compile".into(),
            millis: 12_345,
            before: size(before),
            after: size(after),
        };
        assert_eq!(describe(&measure), format!("bin/post_compile: {expect}"));
    }

    #[test]
    fn a_measure_reads_as_a_sentence() {
        check(
            (8_106, 52_900_000),
            (9_310, 61_000_000),
            "1,204 files and 8.1MB more in 12.3s (before: 8,106 files, 52.9MB; now: 9,310 \
             files, 61.0MB)",
        );
        check(
            (3, 900),
            (2, 500),
            "1 file and 400B less in 12.3s (before: 3 files, 900B; now: 2 files, 500B)",
        );
        check(
            (3, 900),
            (4, 500),
            "1 file more and 400B less in 12.3s (before: 3 files, 900B; now: 4 files, 500B)",
        );
        check(
            (3, 900),
            (3, 900),
            "as many files and bytes as before in 12.3s (before: 3 files, 900B; now: 3 files, 900B)",
        );
    }

    #[test]
    fn a_tree_is_measured_without_following_links() {
        let tree = tempfile::tempdir().unwrap();
        fs_err::create_dir(tree.path().join("d")).unwrap();
        fs_err::write(tree.path().join("d/f"), "12345").unwrap();
        fs_err::os::unix::fs::symlink("..", tree.path().join("d/up")).unwrap();
        assert_eq!(tree_size(tree.path()), TreeSize { files: 2, bytes: 7 });
    }
}
