//! The app's hooks, `bin/pre_compile` and `bin/post_compile`.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Command, ExitStatus};

use slugline_model::build::StepMeasure;
use slugline_model::message::Message;

use crate::measure::{self, Measuring};
use crate::snapshot::Snapshot;
use crate::{files, log, program};

/// Linux's "this is no program": what a shell then does is to run the file itself.
const ENOEXEC: i32 = 8;

/// Why a hook did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HookError {
    /// It ran, and failed.
    #[error("{hook} exited with {}", program::describe(*status))]
    Failed {
        /// `bin/post_compile`.
        hook: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// Its first line ends as Windows ends lines, so that the interpreter's name is another.
    #[error("{hook} has Windows line endings in `{shebang}`")]
    WindowsLineEndings {
        /// `bin/post_compile`.
        hook: String,
        /// Its first line.
        shebang: String,
    },
    /// The interpreter of its first line is not on the stack.
    #[error("{hook} asks for an interpreter that is not there: `{shebang}`")]
    Interpreter {
        /// `bin/post_compile`.
        hook: String,
        /// Its first line.
        shebang: String,
    },
    /// It could not be started, or its output not be read.
    #[error("run {hook}")]
    Start {
        /// `bin/post_compile`.
        hook: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// Runs a hook, if the app has it. `environment` is all that it gets.
pub(crate) fn run(
    build_dir: &Path,
    hook: &str,
    environment: &[(OsString, OsString)],
) -> Result<Option<StepMeasure>, HookError> {
    let path = build_dir.join(hook);
    if !path.is_file() {
        return Ok(None);
    }
    log::heading(format!("Running {hook} hook"));
    let started = |source| HookError::Start { hook: hook.to_owned(), source };
    let shebang = first_line(&path).map_err(started)?;
    if let Some(shebang) = windows_shebang(&shebang) {
        return Err(HookError::WindowsLineEndings { hook: hook.to_owned(), shebang });
    }
    // Apps that come by way of Windows, or of a zip file, have lost the bit.
    files::make_executable(&path).map_err(started)?;
    let before = Snapshot::take(build_dir);
    let measuring = Measuring::start(hook, build_dir, &before);
    let status = execute(build_dir, &path, environment).map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound {
            HookError::Interpreter { hook: hook.to_owned(), shebang }
        } else {
            started(source)
        }
    })?;
    let (measure, _) = measuring.stop();
    log::detail(measure::describe(&measure));
    if status.success() {
        Ok(Some(measure))
    } else {
        Err(HookError::Failed { hook: hook.to_owned(), status })
    }
}

/// A first line that ends as Windows ends lines, without that end.
pub(crate) fn windows_shebang(text: &str) -> Option<String> {
    let line = text.split('\n').next().filter(|line| line.starts_with("#!"))?;
    Some(line.strip_suffix('\r')?.trim_end().to_owned())
}

fn execute(
    build_dir: &Path,
    path: &Path,
    environment: &[(OsString, OsString)],
) -> io::Result<ExitStatus> {
    let run = |mut command: Command| {
        command.current_dir(build_dir).env_clear().envs(environment.iter().cloned());
        program::run_indented(&mut command).map(|ran| ran.status)
    };
    match run(Command::new(path)) {
        Err(error) if error.raw_os_error() == Some(ENOEXEC) => {
            let mut command = Command::new("/bin/bash");
            command.arg(path);
            run(command)
        }
        other => other,
    }
}

fn first_line(path: &Path) -> io::Result<String> {
    let mut start = Vec::new();
    fs_err::File::open(path)?.take(256).read_to_end(&mut start)?;
    let line = start.split(|&b| b == b'\n').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(line).into_owned())
}

/// What to tell the app's author.
pub(crate) fn explain(error: &HookError) -> Message {
    let message = |what: String, found: &str, allowed: String, next: &str| Message {
        what,
        found: found.to_owned(),
        allowed,
        next: next.to_owned(),
        state: String::new(),
    };
    match error {
        HookError::Failed { hook, .. } => message(
            error.to_string(),
            "The reason is in its output above.",
            "A hook has to exit with status 0. It sees the config vars and the programs of the \
             stack, and may write in $BUILD_DIR and $CACHE_DIR."
                .to_owned(),
            &format!("put `set -x` into {hook} to see each of its commands, and build again"),
        ),
        HookError::WindowsLineEndings { hook, shebang } => message(
            format!("{hook} cannot run: its first line ends with a carriage return"),
            &format!("Found `{shebang}` with a Windows line ending."),
            "Hooks need Unix line endings. `* text=auto eol=lf` in .gitattributes keeps them."
                .to_owned(),
            &format!("sed -i 's/\\r$//' {hook} && git commit -am 'Unix line endings'"),
        ),
        HookError::Interpreter { hook, shebang } => message(
            format!("{hook} cannot run: its interpreter is not on this stack"),
            &format!("Its first line is `{shebang}`."),
            "The first line has to name a program of the stack, such as `#!/usr/bin/env bash`."
                .to_owned(),
            &format!("sed -i '1s|.*|#!/usr/bin/env bash|' {hook}, if it is a script of bash"),
        ),
        HookError::Start { hook, source } => message(
            format!("{hook} cannot be started"),
            &source.to_string(),
            "A hook is an executable file: a script with `#!` in its first line, or a program."
                .to_owned(),
            &format!("file {hook}"),
        ),
    }
}
