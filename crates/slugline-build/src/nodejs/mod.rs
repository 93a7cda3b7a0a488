//! heroku/nodejs: Node.js, the packages, and the scripts of package.json.

mod cache;
mod client;
mod environment;
mod error;
mod package_client;
mod package_json;
mod profile;
mod range;
mod runtime;
mod tools;

use slugline_model::build::exit_code;

use crate::answers::Answers;
use crate::builtin::Call;
use crate::record::Failure;
use crate::{files, log};
use client::Client;
use environment::BuildEnvironment;
use error::NodejsError;
use package_client::PackageClient;
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
    let kind = PackageClient::of(&call.build_dir, &package_json)?;
    let mut environment = BuildEnvironment::new(call)?;
    client::check_berry(kind, &environment)?;
    let wanted = kind.tool(&call.build_dir, &package_json)?;
    let brought_modules = modules_in_source(call, kind)?;

    let mut answers = Answers::read(&call.cache_dir);
    let node = runtime::provide(call, &package_json, &mut environment, &mut answers)?;
    if let Some(asked) = package_json.engine("npm") {
        tools::provide_npm(call, &environment, asked)?;
    }
    let version = match &wanted {
        Some(wanted) => tools::provide(call, &environment, wanted)?,
        None => String::new(),
    };
    client::set_caches(kind, call, &mut environment);
    let client = Client {
        call,
        environment: &environment,
        package_json: &package_json,
        kind,
        version,
        node: node.version,
        brought_modules,
    };
    client.restore_directories()?;
    client.run_script("heroku-prebuild")?;
    let key = client.install()?;
    client.build()?;

    client.save_cache(&key)?;
    client.prune()?;
    client.run_script("heroku-cleanup")?;
    profile::write(call, &environment, &client)
}

/// Packages in the source are those of another machine. npm is asked to build them again, as on
/// Heroku; Yarn and pnpm install afresh.
fn modules_in_source(call: &Call, kind: PackageClient) -> Result<bool, NodejsError> {
    let modules = call.build_dir.join("node_modules");
    if !modules.exists() {
        return Ok(false);
    }
    let rest = match kind {
        PackageClient::Npm => "its programs are built again",
        _ => "it is installed afresh",
    };
    log::warning(format!(
        "node_modules is in the source: {rest}. To leave it out: git rm -r --cached node_modules \
         && echo node_modules/ >> .gitignore"
    ));
    if kind != PackageClient::Npm {
        files::remove(&modules).map_err(NodejsError::io("remove node_modules"))?;
    }
    Ok(true)
}

/// For a fuzz target: reads this as package.json, and what it asks for.
pub(crate) fn fuzz(text: &str) {
    let Ok(package) = serde_json::from_str::<PackageJson>(text) else { return };
    for name in ["node", "npm", "yarn", "pnpm"] {
        if let Some((version, _)) = package.asked_version(name)
            && let Some(range) = range::Range::parse(&version)
        {
            let _ = range.major_below(99);
        }
    }
}
