//! Files that git-lfs keeps elsewhere: what lies in the work tree may be a pointer to them.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The first line of every pointer, by git-lfs's specification.
pub(super) const VERSION: &str = "version https://git-lfs.github.com/spec/v1";

/// A pointer is shorter than this, by the same specification (bytes).
const LONGEST: u64 = 1024;

/// Finds pointers, and asks git-lfs for what they point to.
#[derive(Debug)]
pub(super) struct Files<'a> {
    directory: &'a Path,
    /// Pointers that nobody could follow.
    left: Vec<PathBuf>,
}

impl<'a> Files<'a> {
    pub(super) fn new(directory: &'a Path) -> Self {
        Self { directory, left: Vec::new() }
    }

    /// What a pointer points to; none for any other file, and where git-lfs is not installed or
    /// cannot fetch it.
    pub(super) fn content_of(&mut self, path: &Path, full: &Path) -> Option<Vec<u8>> {
        let pointer = pointer(full)?;
        let content = self.smudge(path, &pointer);
        if content.is_none() {
            self.left.push(path.to_owned());
        }
        content
    }

    /// What git itself would do at a checkout; the work tree is not touched.
    fn smudge(&self, path: &Path, pointer: &[u8]) -> Option<Vec<u8>> {
        let mut child = Command::new("git")
            .arg("-C")
            .arg(self.directory)
            .args(["lfs", "smudge", "--"])
            .arg(path)
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        // A pointer fits in a pipe, so this cannot wait for the other end. Without git-lfs there
        // is no other end.
        let _ = child.stdin.take()?.write_all(pointer);
        let output = child.wait_with_output().ok()?;
        (output.status.success() && output.stdout != pointer).then_some(output.stdout)
    }

    pub(super) fn warning(&self) -> Option<String> {
        let first = self.left.first()?;
        let more = match self.left.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Some(format!(
            "{}{more}: only the pointer of git-lfs is here, and so it will be in the slug: \
             git lfs install && git lfs pull",
            first.display()
        ))
    }
}

fn pointer(path: &Path) -> Option<Vec<u8>> {
    let metadata = path.symlink_metadata().ok()?;
    if !metadata.is_file() || metadata.len() >= LONGEST {
        return None;
    }
    let mut content = Vec::new();
    fs_err::File::open(path).ok()?.take(LONGEST).read_to_end(&mut content).ok()?;
    content.starts_with(VERSION.as_bytes()).then_some(content)
}
