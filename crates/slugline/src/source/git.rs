//! What git knows of a directory.

use std::path::{Path, PathBuf};
use std::process::Command;

/// What git tracks, and what it would add.
#[derive(Debug, Default)]
pub(super) struct Tracked {
    /// Files and links, submodules' included, in order.
    pub(super) paths: Vec<PathBuf>,
    /// Submodules that were not checked out.
    pub(super) empty_submodules: Vec<PathBuf>,
}

/// Lists a directory. None outside a work tree, and where the whole directory is ignored by the
/// repository around it.
pub(super) fn paths(directory: &Path) -> Option<Tracked> {
    let mut tracked = Tracked::default();
    add_paths(directory, Path::new(""), &mut tracked)?;
    tracked.paths.sort();
    tracked.paths.dedup();
    (!tracked.paths.is_empty()).then_some(tracked)
}

fn add_paths(root: &Path, below: &Path, tracked: &mut Tracked) -> Option<()> {
    let here = root.join(below);
    let listed = run(&here, &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
    let submodules = submodules(&here);
    for path in split(&listed) {
        let full = below.join(&path);
        if !submodules.contains(&path) {
            tracked.paths.push(full);
        } else if root.join(&full).join(".git").exists() {
            add_paths(root, &full, tracked)?;
        } else {
            tracked.empty_submodules.push(full);
        }
    }
    Some(())
}

/// The paths of gitlinks: entries of mode 160000.
fn submodules(directory: &Path) -> Vec<PathBuf> {
    let staged = run(directory, &["ls-files", "-z", "--stage"]).unwrap_or_default();
    let entries = staged.split(|byte| *byte == 0);
    let links = entries.filter(|entry| entry.starts_with(b"160000 "));
    links.filter_map(|entry| entry.splitn(2, |byte| *byte == b'\t').nth(1).map(to_path)).collect()
}

/// The commit that the work tree stands on.
pub(super) fn version(directory: &Path) -> Option<String> {
    let commit = String::from_utf8(run(directory, &["rev-parse", "HEAD"])?).ok()?;
    Some(commit.trim().to_owned())
}

/// The branch that is checked out, and the subject of the commit.
pub(super) fn branch(directory: &Path) -> Option<(String, String)> {
    let told =
        |args: &[&str]| Some(String::from_utf8(run(directory, args)?).ok()?.trim().to_owned());
    let branch = told(&["rev-parse", "--abbrev-ref", "HEAD"])?;
    Some((branch, told(&["log", "-1", "--format=%s"])?))
}

/// What git prints; none where it fails.
pub(super) fn run(directory: &Path, args: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(args)
        .stderr(std::process::Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

fn split(names: &[u8]) -> impl Iterator<Item = PathBuf> {
    names.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(to_path)
}

fn to_path(name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(name))
}
