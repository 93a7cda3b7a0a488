//! Fixtures without tests that can be read: each has to build.

use std::io;
use std::path::Path;

use super::case::{Asked, Case, Check, Step};

/// Where buildpacks keep them.
const PLACES: [&str; 3] = ["test/fixtures", "spec/fixtures", "fixtures"];

/// One test for each directory of fixtures.
pub(super) fn read(root: &Path) -> io::Result<Vec<Case>> {
    let mut cases = vec![];
    for place in PLACES {
        let Ok(entries) = fs_err::read_dir(root.join(place)) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
                let steps = vec![
                    Step::Source(path),
                    Step::Buildpacks(vec![Asked::Tested]),
                    Step::Build,
                    Step::Check(Check::Succeeds),
                ];
                cases.push(Case { name, steps, left_out: vec![] });
            }
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}
