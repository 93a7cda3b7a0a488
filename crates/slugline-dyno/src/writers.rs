//! Which process wrote which file of a dyno, as far as the kernel tells: root of the machine alone.
//!
//! Looked at a few times a second at most, and a bounded number of files each time, so that a dyno
//! that writes a lot is not slowed; who ended before is told by nobody.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;
use slugline_model::ledger::{Change, ChangeKind};

use crate::{host, sys};

/// The name of the file in the dyno's directory: a JSON array of path and command to a line.
const NAME: &str = "writers";

/// How long it waits between two looks, and for how many files it asks then.
const PAUSE: Duration = Duration::from_millis(200);
const AT_ONCE: usize = 200;

/// How often it is tried whether the dyno is in its own root, and for how long.
const TRY_AGAIN: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(5);

/// Files whose writer is known at most.
const MOST: usize = 20_000;

/// How long a command is told (characters).
const LONGEST: usize = 100;

/// Hears who writes what.
pub(crate) struct Writers {
    watch: OwnedFd,
    init: Pid,
    /// Until the dyno is in its own root.
    waiting_since: Option<Instant>,
    next: Instant,
    known: HashSet<(String, String)>,
    file: std::fs::File,
}

impl Writers {
    /// None where the kernel does not tell.
    pub(crate) fn of(dyno_directory: Option<&Path>, init: Pid) -> Option<Self> {
        if !host::is_host_root() {
            return None;
        }
        let watch = sys::watch_writes().ok()?;
        let options = || std::fs::OpenOptions::new();
        let file = options().append(true).create(true).open(dyno_directory?.join(NAME)).ok()?;
        let now = Instant::now();
        let known = HashSet::new();
        Some(Self { watch, init, waiting_since: Some(now), next: now, known, file })
    }

    /// What becomes readable when somebody has written, if it is time to hear of it.
    pub(crate) fn notice(&self) -> Option<&OwnedFd> {
        (self.waiting_since.is_none() && Instant::now() >= self.next).then_some(&self.watch)
    }

    /// When it wants to look, though nothing may have happened.
    pub(crate) fn next_look(&self) -> Option<Instant> {
        (Instant::now() < self.next || self.waiting_since.is_some()).then_some(self.next)
    }

    /// Looks, if it is time; false once it has nothing more to tell.
    pub(crate) fn look(&mut self) -> bool {
        if Instant::now() < self.next {
            return true;
        }
        if let Some(since) = self.waiting_since {
            self.next = Instant::now() + TRY_AGAIN;
            if self.begin() {
                self.waiting_since = None;
            }
            return since.elapsed() < PATIENCE || self.waiting_since.is_none();
        }
        self.hear()
    }

    /// Watches the dyno's overlay, once that is its root.
    fn begin(&self) -> bool {
        let root = format!("/proc/{}/root", self.init.as_raw_nonzero());
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |path: &str| rustix::fs::open(path, flags, Mode::empty()).ok();
        let device = |fd: &OwnedFd| rustix::fs::fstat(fd).ok().map(|stat| stat.st_dev);
        let (Some(root), Some(own)) = (open(&root), open("/")) else { return false };
        // Before, its root is this machine's.
        device(&root) != device(&own) && sys::watch_file_system(&self.watch, &root).is_ok()
    }

    fn hear(&mut self) -> bool {
        let Ok(written) = sys::read_written(&self.watch, AT_ONCE) else { return false };
        if written.is_empty() {
            return true;
        }
        self.next = Instant::now() + PAUSE;
        let mut commands: HashMap<i32, Option<String>> = HashMap::new();
        let mut lines = Vec::new();
        for sys::Written { file, pid } in written {
            let command = commands.entry(pid).or_insert_with(|| command(pid));
            let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
            if let (Some(command), Ok(path)) = (command.as_ref(), path) {
                // The next time it is the same one, most likely.
                let _ = sys::watch_no_more(&self.watch, &file);
                let pair = (path.display().to_string(), command.clone());
                if self.known.len() < MOST && !self.known.contains(&pair) {
                    lines.extend(serde_json::to_vec(&pair).unwrap_or_default());
                    lines.push(b'\n');
                    self.known.insert(pair);
                }
            }
        }
        // A full disk keeps nothing of it.
        let _ = self.file.write_all(&lines);
        self.known.len() < MOST
    }
}

/// What a process was started as, on one line.
fn command(pid: i32) -> Option<String> {
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).ok().filter(|w| !w.is_empty())?;
    let text = String::from_utf8_lossy(&words);
    let text = text.trim_end_matches('\0').replace('\0', " ");
    Some(text.replace(char::is_control, "\u{fffd}").chars().take(LONGEST).collect())
}

/// Says of changes who made them, where that was heard. The last one who wrote a file counts.
pub(crate) fn name_writers(dyno_directory: &Path, changes: &mut [Change]) {
    let text = std::fs::read_to_string(dyno_directory.join(NAME)).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let writers: HashMap<String, String> = pairs.collect();
    for change in changes.iter_mut().filter(|change| change.kind != ChangeKind::Deleted) {
        change.by = writers.get(&change.path).cloned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_writer_of_a_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let lines = "[\"/app/a\",\"bash\"]\n[\"/app/a\",\"python3 b\"]\ntorn";
        std::fs::write(directory.path().join(NAME), lines).unwrap();
        let (kind, class) = (ChangeKind::Created, slugline_model::ledger::Class::Other);
        let change = |path: &str| Change {
            path: path.into(),
            kind,
            bytes: 1,
            class,
            time: 0,
            hash: None,
            by: None,
        };
        let mut changes = [change("/app/a"), change("/app/b")];
        name_writers(directory.path(), &mut changes);
        assert_eq!(changes.map(|change| change.by), [Some("python3 b".to_owned()), None]);
        let own = command(rustix::process::getpid().as_raw_nonzero().get()).unwrap();
        assert!(!own.contains('\0') && own.chars().count() <= LONGEST, "{own}");
    }
}
