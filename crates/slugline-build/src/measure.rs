//! What a step did to the tree, and how long it took.

use std::path::Path;
use std::time::Instant;

use slugline_model::build::StepMeasure;
use slugline_model::size;

use crate::snapshot::{Changes, Snapshot};

/// A step that is being measured.
#[derive(Debug)]
pub(crate) struct Measuring<'a> {
    step: String,
    tree: &'a Path,
    before: &'a Snapshot,
    started: Instant,
}

impl<'a> Measuring<'a> {
    /// Starts the clock. The tree is as the snapshot of it says.
    pub(crate) fn start(step: impl Into<String>, tree: &'a Path, before: &'a Snapshot) -> Self {
        Self { step: step.into(), tree, before, started: Instant::now() }
    }

    /// Stops the clock; gives the snapshot after the step too, from which the next one starts.
    pub(crate) fn stop(self) -> (StepMeasure, Snapshot) {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let after = Snapshot::take(self.tree);
        let Changes { added, changed, removed } = after.since(self.before);
        let measure = StepMeasure {
            step: self.step,
            millis,
            before: self.before.size(),
            after: after.size(),
            added,
            changed,
            removed,
        };
        (measure, after)
    }
}

/// `bin/post_compile: 1,204 files (8.1MB) added, 3 files (12kB) changed in 12.3s (now 9,310 files,
/// 61.0MB)`
pub(crate) fn describe(measure: &StepMeasure) -> String {
    let StepMeasure { millis, after, .. } = measure;
    format!(
        "{} in {}.{}s (now {}, {})",
        measure.effect(),
        millis / 1000,
        millis % 1000 / 100,
        size::files(after.files),
        size::human(after.bytes)
    )
}

#[cfg(test)]
mod tests {
    use slugline_model::build::TreeSize;

    use super::*;

    fn check(added: (u64, u64), changed: (u64, u64), removed: (u64, u64), expect: &str) {
        let size = |(files, bytes)| TreeSize { files, bytes };
        let measure = StepMeasure {
            step: "bin/post_compile".into(),
            millis: 12_345,
            before: size((8_106, 52_900_000)),
            after: size((9_310, 61_000_000)),
            added: size(added),
            changed: size(changed),
            removed: size(removed),
        };
        let tail = "in 12.3s (now 9,310 files, 61.0MB)";
        assert_eq!(describe(&measure), format!("bin/post_compile: {expect} {tail}"));
    }

    #[test]
    fn a_measure_reads_as_a_sentence() {
        check(
            (1_204, 8_100_000),
            (3, 12_000),
            (1, 400),
            "1,204 files (8.1MB) added, 3 files (12kB) changed, 1 file (400B) removed",
        );
        check((1, 2), (0, 0), (0, 0), "1 file (2B) added");
        check((0, 0), (0, 0), (0, 0), "no file changed");
    }

    #[test]
    fn a_step_is_measured_from_snapshot_to_snapshot() {
        let tree = tempfile::tempdir().unwrap();
        fs_err::write(tree.path().join("f"), "12345").unwrap();
        let before = Snapshot::take(tree.path());
        let measuring = Measuring::start("step", tree.path(), &before);
        fs_err::write(tree.path().join("g"), "123").unwrap();
        let (measure, after) = measuring.stop();
        assert_eq!(measure.before, TreeSize { files: 1, bytes: 5 });
        assert_eq!(measure.added, TreeSize { files: 1, bytes: 3 });
        assert_eq!(measure.after, after.size());
    }
}
