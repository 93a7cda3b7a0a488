//! heroku/nodejs: Node.js, the packages, and the scripts of package.json.

mod cache;
mod environment;
mod error;
mod npm;
mod package_json;
mod profile;
mod range;
mod runtime;

use slugline_model::build::exit_code;

use crate::builtin::Call;
use crate::log;
use crate::record::Failure;
use environment::BuildEnvironment;
use error::NodejsError;
use npm::Npm;
use package_json::PackageJson;

/// `bin/detect`: an app with a package.json.
pub(crate) fn detect(call: &Call) -> i32 {
    if call.build_dir.join("package.json").is_file() {
        log::line("Node.js");
        exit_code::OK
    } else {
        1
    }
}

/// `bin/compile`.
pub(crate) fn compile(call: &Call) -> Result<(), Failure> {
    build(call).map_err(|error| Failure::new(error.exit_code(), error::explain(&error)))
}

/// `bin/release`: what runs if the Procfile does not say so.
pub(crate) fn release(call: &Call) {
    let procfile = fs_err::read_to_string(call.build_dir.join("Procfile")).unwrap_or_default();
    let serves_something_else = procfile.lines().any(|line| line.starts_with("mcp"));
    let starts = PackageJson::read(&call.build_dir).is_ok_and(|json| json.has_script("start"))
        || call.build_dir.join("server.js").is_file();
    if starts && !serves_something_else {
        log::line("---\ndefault_process_types:\n  web: npm start");
    } else {
        log::line("--- {}");
    }
}

/// `bin/report`: what was built with, for whoever collects it.
pub(crate) fn report(call: &Call) {
    let key = cache::read_key(&call.cache_dir);
    log::line(&serde_json::to_string(&key).unwrap_or_else(|_| "{}".to_owned()));
}

/// Heroku's order.
fn build(call: &Call) -> Result<(), NodejsError> {
    let package_json = PackageJson::read(&call.build_dir)?;
    npm::check_lock_files(&call.build_dir)?;
    let mut environment = BuildEnvironment::new(call)?;

    let node = runtime::provide(call, &package_json, &mut environment)?;
    let npm = Npm { call, environment: &environment, package_json: &package_json };
    npm.run_script("heroku-prebuild")?;
    npm.install(&node)?;
    npm.build()?;

    npm.save_cache(&node)?;
    npm.prune()?;
    npm.run_script("heroku-cleanup")?;
    profile::write(call, &environment)
}
