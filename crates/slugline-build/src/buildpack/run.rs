//! Runs a buildpack's scripts, each as its own process with the environment it is promised.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use slugline_model::build::BuildpackReport;
use slugline_model::test_run::BUILDPACK;

use super::environment::Environment;
use super::fetch::Buildpack;
use crate::files;

/// Opens descriptor 3, where `BUILDPACK_LOG_FILE` points, and becomes the script. In bash because
/// a descriptor of a chosen number takes unsafe code here.
const WITH_LOG_FILE: &str = "exec 3>>\"$0\" && exec \"$@\"";

/// The directories that a buildpack's scripts are given.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// The app.
    pub(crate) build_dir: PathBuf,
    /// What outlives a build.
    pub(crate) cache_dir: PathBuf,
    /// The config vars, a file each.
    pub(crate) env_dir: PathBuf,
    /// Where descriptor 3 leads.
    pub(crate) log_file: PathBuf,
    /// Whether `bin/test-compile` is preferred to `bin/compile`, as on Heroku CI.
    pub(crate) test: bool,
}

/// `bin/detect`: the name that it gives the app, or what it says of one that it does not recognise.
pub(crate) fn detect(
    context: &Context,
    buildpack: &Buildpack,
    environment: &Environment,
) -> io::Result<Result<String, String>> {
    if !script(buildpack, "detect").is_file() {
        return Ok(Err(String::new()));
    }
    let mut command = start(context, buildpack, "detect", environment);
    let output = command.arg(&context.build_dir).output()?;
    if output.status.success() {
        io::stderr().write_all(&output.stderr)?;
        return Ok(Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()));
    }
    let said = [output.stdout, output.stderr].concat();
    Ok(Err(String::from_utf8_lossy(&said).into_owned()))
}

/// `bin/compile`, its output going straight into the build's.
pub(crate) fn compile(
    context: &Context,
    buildpack: &Buildpack,
    environment: &Environment,
) -> io::Result<ExitStatus> {
    let for_tests = context.test && script(buildpack, "test-compile").is_file();
    let name = if for_tests { "test-compile" } else { "compile" };
    let mut command = start(context, buildpack, name, environment);
    command.args([&context.build_dir, &context.cache_dir, &context.env_dir]);
    let status = command.stdin(Stdio::null()).status()?;
    if context.test && status.success() && script(buildpack, "test").is_file() {
        keep_for_tests(context, buildpack)?;
    }
    Ok(status)
}

/// Leaves a buildpack in the slug, so that its `bin/test` runs from there, in place of one before it.
fn keep_for_tests(context: &Context, buildpack: &Buildpack) -> io::Result<()> {
    let place = context.build_dir.join(BUILDPACK);
    files::remove(&place)?;
    if buildpack.directory == context.build_dir {
        // The app is its own buildpack.
        return fs_err::os::unix::fs::symlink(".", place);
    }
    files::copy_tree(&buildpack.directory, &place)?;
    files::remove(&place.join(".git"))
}

/// `bin/report`, which also runs after a failure, and whose own failure has no consequence: the JSON
/// that it prints, if it prints any.
pub(crate) fn report(
    context: &Context,
    buildpack: &Buildpack,
    environment: &Environment,
) -> Option<BuildpackReport> {
    if !script(buildpack, "report").is_file() {
        return None;
    }
    let mut command = start(context, buildpack, "report", environment);
    command.args([&context.build_dir, &context.cache_dir, &context.env_dir]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let report = serde_json::from_slice(&output.stdout).ok()?;
    Some(BuildpackReport { buildpack: buildpack.name.clone(), report })
}

/// The environment of the next buildpack: this one's `export` is sourced, if it wrote one.
pub(crate) fn export(buildpack: &Buildpack, environment: &Environment) -> io::Result<Environment> {
    let path = buildpack.directory.join("export");
    if path.is_file() { environment.after_sourcing(&path) } else { Ok(environment.clone()) }
}

/// `bin/release`: the YAML that it prints; empty if there is no such script.
pub(crate) fn release(
    context: &Context,
    buildpack: &Buildpack,
    environment: &Environment,
) -> io::Result<(ExitStatus, String)> {
    if !script(buildpack, "release").is_file() {
        return Ok((ExitStatus::default(), String::new()));
    }
    let mut command = start(context, buildpack, "release", environment);
    let output = command.arg(&context.build_dir).stderr(Stdio::inherit()).output()?;
    Ok((output.status, String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn script(buildpack: &Buildpack, name: &str) -> PathBuf {
    buildpack.directory.join("bin").join(name)
}

fn start(
    context: &Context,
    buildpack: &Buildpack,
    name: &str,
    environment: &Environment,
) -> Command {
    let mut command = Command::new("/bin/bash");
    command.args(["-c", WITH_LOG_FILE]).arg(&context.log_file);
    command.arg(script(buildpack, name)).current_dir(&context.build_dir);
    environment.apply(&mut command);
    command
}
