//! heroku/python: an interpreter, the requirements, static files, and the app's hooks.

mod bytecode;
mod cache;
mod collectstatic;
mod dependencies;
mod environment;
mod error;
mod explain;
mod install;
mod lock;
mod modules;
mod nltk;
mod package_client;
mod paths;
mod pipfile;
mod profile;
mod requested;
mod requirements;
mod runtime;
mod source_checks;
mod specifier;
mod tool;
mod uv;
mod version;
mod written;

use std::time::{Duration, SystemTime};

use slugline_model::build::exit_code;

use crate::answers::Answers;
use crate::builtin::Call;
use crate::record::{Entry, Failure};
use crate::{hook, log, print_env};
use dependencies::Installing;
use environment::BuildEnvironment;
use error::PythonError;
use package_client::PackageClient;

/// Times of files are a little behind the clock.
const CLOCK_OF_FILES: Duration = Duration::from_secs(1);

/// `bin/detect`: an app with a file that makes it a Python app.
pub(crate) fn detect(call: &Call) -> i32 {
    if package_client::recognises(&call.build_dir) {
        log::line("Python");
        exit_code::OK
    } else {
        1
    }
}

/// `bin/compile`.
pub(crate) fn compile(call: &Call) -> Result<(), Failure> {
    build(call).map_err(|error| Failure::new(error.exit_code(), explain::explain(&error)))
}

/// What the app's hooks get, for `slugline compile --print-env`.
pub(crate) fn hook_environment(call: &Call) -> i32 {
    let Ok(environment) = BuildEnvironment::new(call) else { return exit_code::INTERNAL };
    print_env::write(&environment.with_config_vars());
    exit_code::OK
}

/// `bin/release`: Python apps say in their Procfile what runs.
pub(crate) fn release() {
    log::line("--- {}");
}

/// `bin/report`: what was built with, for whoever collects it.
pub(crate) fn report(call: &Call) {
    let key = cache::read_key(&call.build_dir);
    log::line(&serde_json::to_string(&key).unwrap_or_else(|_| "{}".to_owned()));
}

/// Heroku's order: a hook sees all that came before it, and `bin/post_compile` sees everything.
fn build(call: &Call) -> Result<(), PythonError> {
    let began = SystemTime::now() - CLOCK_OF_FILES;
    let mut environment = BuildEnvironment::new(call)?;
    run_hook(call, "bin/pre_compile", &environment)?;

    let client = PackageClient::of(&call.build_dir)?;
    source_checks::warn(call);
    let last = cache::last_python(&call.cache_dir);
    let requested = requested::read(&call.build_dir, client, last)?;
    let mut answers = Answers::read(&call.cache_dir);
    let runtime = runtime::choose(call, &requested, &mut answers, &environment)?;
    environment.set_runtime(&runtime);
    runtime::link_into_app(call)?;
    let installing = Installing {
        call,
        client,
        requested: &requested,
        runtime: &runtime,
        answers: &mut answers,
        environment: &environment,
    };
    installing.install()?;

    let installed = SystemTime::now();
    let finished = finish(call, &environment, &runtime, began);
    if finished.is_err() {
        cache::distrust_if_changed(&call.build_dir, installed);
    }
    finished
}

fn finish(
    call: &Call,
    environment: &BuildEnvironment,
    runtime: &runtime::Runtime,
    began: SystemTime,
) -> Result<(), PythonError> {
    nltk::say(call);
    collectstatic::run(call, environment)?;
    profile::write(call, runtime)?;
    run_hook(call, "bin/post_compile", environment)?;

    bytecode::compile_own(call, environment, runtime.version())?;
    written::settle(call, began)
}

fn run_hook(call: &Call, name: &str, environment: &BuildEnvironment) -> Result<(), PythonError> {
    if let Some(measure) = hook::run(&call.build_dir, name, &environment.with_config_vars())? {
        call.record(&Entry::Step(measure));
    }
    Ok(())
}

/// For a fuzz target: reads this as each of the files that name packages or a version.
pub(crate) fn fuzz(directory: &std::path::Path, text: &str) {
    let files =
        ["requirements.txt", "Pipfile.lock", "uv.lock", "pyproject.toml", ".python-version"];
    for file in files {
        if fs_err::write(directory.join(file), text).is_err() {
            return;
        }
    }
    let _ = requirements::read(directory, "requirements.txt");
    let _ = pipfile::read(directory);
    let _ = lock::read(directory, "uv.lock");
    let _ = requested::read(directory, PackageClient::Pip, None);
}
