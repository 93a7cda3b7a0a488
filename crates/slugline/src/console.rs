//! Running a command of people's: a runtime, diagnostics, and errors in five parts.

use std::io::Write as _;

use slugline_model::build::exit_code;

use crate::errors::CommandError;

/// Runs a command to its end; gives its exit code.
pub(crate) fn run(command: impl Future<Output = Result<i32, CommandError>>) -> i32 {
    run_and_then(command, Ok)
}

/// Runs a command to its end, and something else once nothing of it runs any more; gives the exit
/// code.
pub(crate) fn run_and_then<T>(
    command: impl Future<Output = Result<T, CommandError>>,
    next: impl FnOnce(T) -> Result<i32, CommandError>,
) -> i32 {
    start_diagnostics();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("error: the machine has no room for another process: {error}"));
            return exit_code::INTERNAL;
        }
    };
    let ended = runtime.block_on(command);
    drop(runtime);
    match ended.and_then(next) {
        Ok(code) => code,
        Err(error) => {
            complain(&error.explain().plain());
            error.exit_code()
        }
    }
}

/// What is logged where nobody asks for more. The library that reads S3's requests tells of every one
/// that is refused, which is the client's business.
const QUIET: &str = "warn,s3s=off";

/// The server's own diagnostics, for its operator: `SLUGLINE_LOG=debug`.
fn start_diagnostics() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("SLUGLINE_LOG").unwrap_or_else(|_| EnvFilter::new(QUIET));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// A line for people on stdout. A reader that went away is no reason to fail.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A line for people on stderr.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
