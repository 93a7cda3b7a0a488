//! Yarn, pnpm, and an npm other than the one at hand: installed with npm into the cache, and part of
//! the slug, whose Procfile may say `yarn start`.

use std::path::{Path, PathBuf};
use std::process::Command;

use semver::Version;
use serde_json::Value;

use super::environment::BuildEnvironment;
use super::error::NodejsError;
use super::package_client::WantedTool;
use super::range::Range;
use crate::builtin::Call;
use crate::kept::{self, Restored};
use crate::{files, log, program};

/// Puts a tool into `.heroku/NAME` of the app; the answer is its version.
pub(crate) fn provide(
    call: &Call,
    environment: &BuildEnvironment,
    wanted: &WantedTool,
) -> Result<String, NodejsError> {
    let WantedTool { program, package, version, why } = wanted;
    let io = NodejsError::io("keep a package client in the cache");
    let name: String = format!("{package}@{version}")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .collect();
    let kept = call.cache_dir.join("nodejs/tools").join(name);
    let home = call.build_dir.join(".heroku").join(program);
    if kept::is_kept(&kept)
        && kept::restore(&kept, &home).map_err(&io)? == Restored::Whole
        && let Some(found) = version_in(&home, package)
    {
        log::detail(format!("Using {program} {found} from the cache ({why})"));
        return Ok(found);
    }
    files::remove(&home).map_err(&io)?;
    let mut npm = Command::new(find_npm(environment));
    environment.apply(&mut npm);
    npm.args(["install", "--global", "--no-audit", "--no-fund", "--no-progress", "--quiet"]);
    npm.arg("--prefix").arg(&home).arg(format!("{package}@{version}"));
    let ran = program::run_quietly(&mut npm).map_err(NodejsError::io("run npm"))?;
    let found = ran.status.success().then(|| version_in(&home, package)).flatten();
    let found = found.ok_or_else(|| NodejsError::Tool {
        program,
        version: version.clone(),
        why: why.clone(),
        output: ran.output,
    })?;
    kept::keep(&home, &kept, &[]).map_err(io)?;
    log::detail(format!("Installed {program} {found} ({why})"));
    Ok(found)
}

/// The npm that the app asks for, where the one at hand is another.
pub(crate) fn provide_npm(
    call: &Call,
    environment: &BuildEnvironment,
    asked: &str,
) -> Result<Option<String>, NodejsError> {
    let wrong = || NodejsError::Range { name: "npm", range: asked.to_owned() };
    let range = Range::parse(asked).ok_or_else(wrong)?;
    if npm_version(environment).is_some_and(|found| range.contains(&found)) {
        return Ok(None);
    }
    let why = "engines.npm of package.json".to_owned();
    let wanted = WantedTool { program: "npm", package: "npm", version: asked.to_owned(), why };
    provide(call, environment, &wanted).map(Some)
}

/// Where npm is.
pub(crate) fn find_npm(environment: &BuildEnvironment) -> PathBuf {
    let search = environment.get("PATH").unwrap_or_default();
    program::find("npm", search.as_ref()).unwrap_or_else(|| "npm".into())
}

/// The version of the npm at hand. Its package.json says it a hundred times faster than npm does.
pub(crate) fn npm_version(environment: &BuildEnvironment) -> Option<Version> {
    let script = find_npm(environment).canonicalize().ok()?;
    let json = script.parent()?.parent()?.join("package.json");
    read_version(&json)?.parse().ok()
}

fn version_in(home: &Path, package: &str) -> Option<String> {
    read_version(&home.join("lib/node_modules").join(package).join("package.json"))
}

fn read_version(package_json: &Path) -> Option<String> {
    let json: Value = serde_json::from_slice(&fs_err::read(package_json).ok()?).ok()?;
    json["version"].as_str().map(str::to_owned)
}
