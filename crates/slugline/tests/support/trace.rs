//! What a server and its dynos leave on the machine: processes, mounts, directories.

use std::path::{Path, PathBuf};

/// Processes that have to do with a data directory: it stands on their command line, or in what
/// they see mounted in a namespace of their own.
pub(crate) fn processes(data: &Path) -> Vec<(i32, String)> {
    let data = data.display().to_string();
    let me = std::process::id().to_string();
    pids()
        .filter(|pid| *pid != me)
        .filter_map(|pid| {
            let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}"));
            let command_line = readable(&read("cmdline").ok()?);
            let mounts = readable(&read("mountinfo").unwrap_or_default());
            let is_apart = mount_namespace(&pid) != mount_namespace("self");
            let concerned = command_line.contains(&data) || is_apart && mounts.contains(&data);
            concerned.then_some((pid.parse().ok()?, command_line))
        })
        .collect()
}

/// The processes that run a program of this name now.
pub(crate) fn named(program: &str) -> Vec<String> {
    let name = |pid: &String| std::fs::read_to_string(format!("/proc/{pid}/comm"));
    pids().filter(|pid| name(pid).is_ok_and(|name| name.trim_end() == program)).collect()
}

fn pids() -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted");
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
}

fn mount_namespace(pid: &str) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/mnt")).ok()
}

fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', " ")
}

/// The test's own mounts below a data directory.
pub(crate) fn mounts(data: &Path) -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("/proc is mounted");
    let data = data.display().to_string();
    mounts.lines().filter(|line| line.contains(&data)).map(str::to_owned).collect()
}

/// The directories of dynos that a data directory holds, a dyno each.
pub(crate) fn dyno_directories(data: &Path) -> Vec<PathBuf> {
    listed(&data.join("dynos"))
}

/// The control groups that dynos have now, as their directories record them.
pub(crate) fn groups(data: &Path) -> Vec<PathBuf> {
    let records = dyno_directories(data).into_iter().map(|dyno| dyno.join("groups"));
    let texts = records.filter_map(|record| std::fs::read_to_string(record).ok());
    texts.flat_map(|text| text.lines().map(PathBuf::from).collect::<Vec<_>>()).collect()
}

fn listed(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory);
    entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// How long those may take to leave who leave by themselves once the server has.
const LEAVING: std::time::Duration = std::time::Duration::from_secs(10);

/// Fails with whatever is left.
pub(crate) fn assert_none(data: &Path) {
    let start = std::time::Instant::now();
    while !processes(data).is_empty() && start.elapsed() < LEAVING {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let processes = processes(data);
    assert!(processes.is_empty(), "processes are left: {processes:#?}");
    let mounts = mounts(data);
    assert!(mounts.is_empty(), "mounts are left: {mounts:#?}");
    let directories = [dyno_directories(data), listed(&data.join("builds"))].concat();
    let content: Vec<_> = directories.iter().map(|left| (left, listed(left))).collect();
    assert!(content.is_empty(), "dynos or builds are left: {content:#?}");
}
