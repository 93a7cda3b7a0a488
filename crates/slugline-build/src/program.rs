//! Programs that the build starts: found, run to the end, their output indented or captured.

use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How long output is still awaited after a program has ended: what it left running in the
/// background may hold the pipe open for ever.
const AFTER_EXIT: Duration = Duration::from_secs(2);

/// Finds a program on a search path.
pub(crate) fn find(name: &str, search_path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(search_path).map(|dir| dir.join(name)).find(|path| is_executable(path))
}

/// Whether a path is a regular file with a run bit.
pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Runs a program with standard output and standard error indented into the build's output. The
/// answer holds the end of that output, for errors that are known by their text.
pub(crate) fn run_indented(command: &mut Command) -> io::Result<Ran> {
    let (reader, writer) = io::pipe()?;
    let mut child = spawn_into(command, writer)?;
    let (done, finished) = mpsc::channel();
    thread::spawn(move || {
        let _ = done.send(crate::indent::copy(reader, io::stdout()));
    });
    let status = child.wait()?;
    let tail = finished.recv_timeout(AFTER_EXIT).ok().and_then(Result::ok).unwrap_or_default();
    Ok(Ran { status, output: String::from_utf8_lossy(&tail).into_owned() })
}

/// Starts a program whose two outputs are one pipe. The command's own copies of the pipe are
/// dropped, else its reader would never see the end.
fn spawn_into(command: &mut Command, writer: io::PipeWriter) -> io::Result<Child> {
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn();
    command.stdout(Stdio::null()).stderr(Stdio::null());
    child
}

/// What a program that ran left behind.
#[derive(Debug)]
pub(crate) struct Ran {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Its two outputs as they came; of a long one the end.
    pub(crate) output: String,
}

/// Runs a program and keeps its two outputs together, for a message should it fail.
pub(crate) fn run_quietly(command: &mut Command) -> io::Result<Ran> {
    let (mut reader, writer) = io::pipe()?;
    let mut child = spawn_into(command, writer)?;
    let mut output = Vec::new();
    reader.read_to_end(&mut output)?;
    let status = child.wait()?;
    Ok(Ran { status, output: String::from_utf8_lossy(&output).into_owned() })
}

/// Runs a program and returns what it wrote to standard output, trimmed, if it succeeded.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}

/// Waits for a program, and ends it when its time is up: then the answer is `None`.
pub(crate) fn wait_for(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let started = Instant::now();
    while started.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// How a program ended, as a person says it: `status 1`, `signal 9`.
pub(crate) fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no status".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_takes_too_long_is_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert_eq!(wait_for(&mut child, Duration::from_millis(30)).unwrap(), None);
    }

    #[test]
    fn both_outputs_of_a_quiet_program_are_kept() {
        let quiet = run_quietly(Command::new("sh").args(["-c", "echo a; echo b >&2; exit 3"]));
        let quiet = quiet.unwrap();
        assert_eq!(
            (quiet.output.as_str(), describe(quiet.status).as_str()),
            ("a\nb\n", "status 3")
        );
    }
}
