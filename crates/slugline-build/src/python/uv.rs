//! uv, which makes environments and fills them: the one at hand, else one installed into the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::environment::BuildEnvironment;
use super::error::PythonError;
use crate::answers::Answers;
use crate::builtin::Call;
use crate::{files, log, program};

/// A uv that runs.
#[derive(Debug, Clone)]
pub(crate) struct Uv {
    program: PathBuf,
    cache: PathBuf,
    /// `0.13.9`
    version: String,
}

/// Finds uv on the search path, then in the cache; else installs it there with pip.
pub(crate) fn find_or_install(
    call: &Call,
    environment: &BuildEnvironment,
    answers: &mut Answers,
) -> Result<Uv, PythonError> {
    let home = call.cache_dir.join("uv-program");
    let found = program::find("uv", environment.path()).into_iter().chain([home.join("bin/uv")]);
    for program in found {
        if let Some(version) = answers.of(&program, || version(&program, environment)) {
            return Ok(Uv { program, version, cache: call.cache_dir.join("uv") });
        }
    }
    install(&home, environment)?;
    let program = home.join("bin/uv");
    let version = answers.of(&program, || version(&program, environment));
    let version = version.ok_or_else(|| PythonError::Uv {
        output: "The uv that pip installed does not run.".into(),
    })?;
    log::heading(format!("Installing uv {version}"));
    Ok(Uv { program, version, cache: call.cache_dir.join("uv") })
}

fn version(program: &Path, environment: &BuildEnvironment) -> Option<String> {
    let mut command = Command::new(program);
    environment.apply(command.arg("--version"));
    let answer = program::answer(&mut command)?;
    answer.split_whitespace().nth(1).map(str::to_owned)
}

/// pip as it is; where the stack's python3 has none, the pip of a throw-away environment.
fn install(home: &Path, environment: &BuildEnvironment) -> Result<(), PythonError> {
    files::remove(home).map_err(PythonError::io("clear the cache"))?;
    let throw_away = home.with_extension("pip");
    let python = throw_away.join("bin/python");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
    let target = [Path::new("--target"), home, Path::new("uv")];
    let mut output = String::new();
    let mut runs = |command: &mut Command| {
        environment.apply(command);
        let quiet = program::run_quietly(command);
        let (succeeded, told) = quiet.map_or_else(
            |e| (false, e.to_string()),
            |quiet| (quiet.status.success(), quiet.output),
        );
        output.push_str(&told);
        succeeded
    };
    let installed = runs(Command::new("python3").args(pip).args(target))
        || (runs(Command::new("python3").args(["-m", "venv"]).arg(&throw_away))
            && runs(Command::new(python).args(pip).args(target)));
    files::remove(&throw_away).map_err(PythonError::io("clear the cache"))?;
    if installed { Ok(()) } else { Err(PythonError::Uv { output }) }
}

impl Uv {
    /// A uv command with the operator's mirrors and certificates.
    pub(crate) fn command(&self, environment: &BuildEnvironment) -> Command {
        let mut command = Command::new(&self.program);
        environment.apply(&mut command);
        command.env("UV_CACHE_DIR", &self.cache);
        command.env("UV_NO_PROGRESS", "1").env("UV_SYSTEM_CERTS", "true");
        if self.is_before_system_certs() {
            command.env("UV_NATIVE_TLS", "true");
        }
        // Links into the cache would let a hook that edits a package in place spoil later builds.
        command.env("UV_LINK_MODE", "copy");
        // A slug keeps no times, so bytecode must not be compared with the times of its source.
        command.env("PYC_INVALIDATION_MODE", "UNCHECKED_HASH");
        for (ours, theirs, separator) in FROM_PIP {
            if let (None, Some(value)) = (environment.get(ours), environment.get(theirs)) {
                let words: Vec<&str> = value.split_whitespace().collect();
                command.env(ours, words.join(separator));
            }
        }
        command
    }

    fn is_before_system_certs(&self) -> bool {
        let minor = self.version.strip_prefix("0.").and_then(|rest| rest.split('.').next());
        minor.and_then(|minor| minor.parse::<u32>().ok()).is_some_and(|minor| minor < 11)
    }
}

/// uv reads none of pip's variables, but an operator's mirrors are often set for pip only.
const FROM_PIP: [(&str, &str, &str); 4] = [
    ("UV_DEFAULT_INDEX", "PIP_INDEX_URL", " "),
    ("UV_INDEX", "PIP_EXTRA_INDEX_URL", " "),
    ("UV_FIND_LINKS", "PIP_FIND_LINKS", ","),
    ("SSL_CERT_FILE", "PIP_CERT", " "),
];
