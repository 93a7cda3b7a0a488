//! heroku/python: an interpreter, the requirements, static files, and the app's hooks.

mod bytecode;
mod cache;
mod collectstatic;
mod dependencies;
mod environment;
mod error;
mod explain;
mod package_client;
mod paths;
mod profile;
mod requirements;
mod runtime;
mod uv;
mod version;

use slugline_model::build::exit_code;

use crate::builtin::Call;
use crate::record::{Entry, Failure};
use crate::{hook, log, print_env};
use environment::BuildEnvironment;
use error::PythonError;
use package_client::PackageClient;

/// `bin/detect`: an app with requirements, or with a lock file, is a Python app.
pub(crate) fn detect(call: &Call) -> i32 {
    if package_client::RECOGNISED.iter().any(|name| call.build_dir.join(name).is_file()) {
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
    let key = cache::read_key(&call.cache_dir);
    log::line(&serde_json::to_string(&key).unwrap_or_else(|_| "{}".to_owned()));
}

/// Heroku's order: a hook sees all that came before it, and `bin/post_compile` sees everything.
fn build(call: &Call) -> Result<(), PythonError> {
    let mut environment = BuildEnvironment::new(call)?;
    run_hook(call, "bin/pre_compile", &environment)?;

    let client = PackageClient::of(&call.build_dir)?;
    let requested = version::requested(&call.build_dir)?;
    if client == PackageClient::UvLock && requested.origin == version::Origin::Default {
        return Err(PythonError::NoVersionForUvLock);
    }
    let uv = uv::find_or_install(call, &environment)?;
    let runtime = runtime::choose(call, &requested, &uv, &environment)?;
    environment.set_runtime(&runtime);
    runtime::link_into_app(call)?;
    dependencies::install(call, client, &runtime, &uv, &environment)?;

    collectstatic::run(call, &environment)?;
    profile::write(call, &runtime)?;
    run_hook(call, "bin/post_compile", &environment)?;

    bytecode::settle(call, &environment)?;
    paths::name_the_app_dir(call)
}

fn run_hook(call: &Call, name: &str, environment: &BuildEnvironment) -> Result<(), PythonError> {
    if let Some(measure) = hook::run(&call.build_dir, name, &environment.with_config_vars())? {
        call.record(&Entry::Step(measure));
    }
    Ok(())
}
