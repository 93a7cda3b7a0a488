//! What a build leaves running when its command has exited: said, and ended with it.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long those who are about to end may take: not everybody who is still there was left.
const GRACE: Duration = Duration::from_millis(300);
const PAUSE: Duration = Duration::from_millis(10);

/// How many are named, and how much of each one's command line (bytes). The kernel hands over all
/// of that at once, so init never waits.
const MOST: usize = 10;
const LONGEST: usize = 100;

/// Tells the supervisor who is still there, in the dyno whose init this is. `reap` says whether
/// anyone is.
pub(crate) fn tell(to: &OwnedFd, mut reap: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < GRACE {
        std::thread::sleep(PAUSE);
        if !reap() {
            return;
        }
    }
    let text = others().join("\n");
    let _ = rustix::io::write(to, text.as_bytes());
}

/// Reads what init told, once it is gone.
pub(crate) fn read(from: &OwnedFd) -> Vec<String> {
    let mut text = [0; 4_096];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut waiting = [PollFd::new(from, PollFlags::IN)];
    if !matches!(poll(&mut waiting, Some(&now)), Ok(1..)) {
        return Vec::new();
    }
    let length = rustix::io::read(from.as_fd(), &mut text).unwrap_or(0);
    let text = String::from_utf8_lossy(&text[..length]);
    text.lines().map(str::to_owned).collect()
}

/// The command lines of all processes but init.
fn others() -> Vec<String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids.into_iter().filter(|pid| *pid != 1).filter_map(command_line).take(MOST).collect()
}

/// None of one that has ended.
fn command_line(pid: u32) -> Option<String> {
    let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).ok();
    let line = read("cmdline")?;
    let words: Vec<_> = line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).collect();
    let mut text = String::from_utf8_lossy(&words.join(&b' ')).into_owned();
    if text.is_empty() {
        let status = String::from_utf8_lossy(&read("stat")?).into_owned();
        if status.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X'])) {
            return None;
        }
        String::from_utf8_lossy(&read("comm")?).trim_end().clone_into(&mut text);
    }
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let end = text.floor_char_boundary(LONGEST);
    Some(if end < text.len() { format!("{}…", &text[..end]) } else { text })
}
