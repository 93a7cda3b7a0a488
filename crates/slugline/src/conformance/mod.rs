//! `slugline conformance buildpack PATH`: the published tests of a buildpack, carried out here.
//!
//! Each build of a test is a real one, on a private server, in the same sandbox and from the same
//! API as everyone's. What a test does beside building is left out, and told.

mod builds;
mod case;
mod fixtures;
mod hatchet;
mod judge;
mod ruby;
mod score;
mod shunit;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use slugline_model::build::exit_code;

use crate::console::say;
use crate::errors::CommandError;
use crate::server::End;
use builds::Builds;
use case::{Asked, Case, Check, Step};
use judge::{Built, holds, missing, unreachable};
use score::{Score, Scored, Verdict};

/// What a shell gives for a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// What is held against a contract.
#[derive(Debug, Subcommand)]
pub(crate) enum Conformance {
    /// Carry out the published tests of a buildpack
    #[command(after_help = "Example:\n  slugline conformance buildpack ../heroku-buildpack-python")]
    Buildpack(BuildpackArgs),
}

/// What `conformance buildpack` is asked for.
#[derive(Debug, Args)]
pub(crate) struct BuildpackArgs {
    /// A checkout of the buildpack, with its tests
    path: PathBuf,
    /// Test the buildpack of this name that comes with Slugline, on the same fixtures: python
    #[arg(long)]
    builtin: Option<String>,
    /// Only tests whose name holds this
    #[arg(long)]
    only: Option<String>,
    /// Config vars that every build gets, NAME=VALUE. May be repeated
    #[arg(long = "config-var")]
    config_vars: Vec<String>,
    /// Where to keep the output of each build
    #[arg(long)]
    keep: Option<PathBuf>,
    /// The operator's configuration, such as the mirrors of a closed network
    #[arg(long, env = "SLUGLINE_CONFIG")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Carries out the tests and prints what came of them; gives 1 where one failed.
pub(crate) async fn conformance(command: Conformance) -> Result<i32, CommandError> {
    let Conformance::Buildpack(args) = command;
    let path = args.path.canonicalize().map_err(unreadable(&args.path))?;
    let builds = Builds::start(&path, args.builtin.as_deref(), args.config.as_deref()).await?;
    let mut end = End::new()?;
    let tested = tokio::select! {
        tested = carry_out_all(&builds, &args, &path) => tested.map(Some),
        () = end.wait() => Ok(None),
    };
    builds.stop().await;
    let Some(tests) = tested? else { return Ok(INTERRUPTED) };
    let score = Score::new(tests);
    if args.json {
        say(&serde_json::to_string_pretty(&score).unwrap_or_default());
    } else {
        say(&format!("\n{}", score.total()));
    }
    Ok(if score.failed == 0 { exit_code::OK } else { 1 })
}

async fn carry_out_all(
    builds: &Builds,
    args: &BuildpackArgs,
    path: &Path,
) -> Result<Vec<Scored>, CommandError> {
    let cases = read(path, builds.tested(), builds.stack()).map_err(unreadable(path))?;
    let wanted = |case: &Case| args.only.as_ref().is_none_or(|only| case.name.contains(only));
    let mut tests = vec![];
    for (number, case) in cases.into_iter().filter(wanted).enumerate() {
        let scored = Run::new(builds, args, number).carry_out(case).await?;
        if !args.json {
            say(&scored.line());
        }
        tests.push(scored);
    }
    Ok(tests)
}

fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> CommandError {
    let path = path.to_path_buf();
    move |source| CommandError::Source { path: path.clone(), source }
}

/// All tests that a checkout publishes in a way that can be read, else its bare fixtures.
fn read(root: &Path, tested: &str, stack: &str) -> std::io::Result<Vec<Case>> {
    let mut cases = vec![];
    if hatchet::is_there(root) {
        cases.extend(hatchet::read(root, tested, stack)?);
    }
    if shunit::is_there(root) {
        cases.extend(shunit::read(root)?);
    }
    if cases.is_empty() { fixtures::read(root) } else { Ok(cases) }
}

/// One test under way.
struct Run<'a> {
    builds: &'a Builds,
    args: &'a BuildpackArgs,
    number: usize,
    /// The name of the app that builds, as the test names it.
    app: String,
    created: Vec<String>,
    source: Option<tempfile::TempDir>,
    vars: Vec<(String, String)>,
    buildpacks: Vec<String>,
    last: Built,
    scored: Scored,
}

impl<'a> Run<'a> {
    fn new(builds: &'a Builds, args: &'a BuildpackArgs, number: usize) -> Self {
        let scored = Scored {
            name: String::new(),
            verdict: Verdict::NotJudged,
            checks: 0,
            builds: 0,
            reason: None,
            left_out: vec![],
        };
        Self {
            builds,
            args,
            number,
            app: String::new(),
            created: vec![],
            source: None,
            vars: vec![],
            buildpacks: vec![],
            last: Built::default(),
            scored,
        }
    }

    /// Carries a test out until something is not as it has to be. What cannot be judged is not
    /// built either.
    async fn carry_out(mut self, case: Case) -> Result<Scored, CommandError> {
        let judged = case.is_judged();
        self.scored.name = case.name;
        self.scored.left_out = case.left_out;
        for step in case.steps.into_iter().filter(|_| judged) {
            self.step(step).await?;
            if self.scored.verdict == Verdict::Failed {
                break;
            }
        }
        for app in &self.created {
            self.builds.destroy(app).await?;
        }
        Ok(self.scored)
    }

    async fn step(&mut self, step: Step) -> Result<(), CommandError> {
        match step {
            Step::App(name) => self.app = name,
            Step::ConfigVars(vars) => self.vars = vars,
            Step::Buildpacks(asked) => {
                let name = |asked: Asked| match asked {
                    Asked::Tested => self.builds.tested().to_owned(),
                    Asked::Other(name) => name,
                };
                self.buildpacks = asked.into_iter().map(name).collect();
            }
            Step::Build => self.build().await?,
            Step::Check(check) => self.check(&check),
            Step::Source(fixture) => {
                let source = self.builds.source()?;
                copy(&fixture, source.path()).map_err(unreadable(&fixture))?;
                self.source = Some(source);
            }
            change => self.change(&change).map_err(unreadable(&self.args.path))?,
        }
        Ok(())
    }

    fn change(&self, change: &Step) -> std::io::Result<()> {
        let Some(source) = &self.source else { return Ok(()) };
        match change {
            Step::Write { path, text, append } => {
                let mut options = fs_err::OpenOptions::new();
                options.create(true).write(true).append(*append).truncate(!append);
                let mut file = options.open(source.path().join(path))?;
                std::io::Write::write_all(&mut file, text.as_bytes())
            }
            Step::Copy { from, to } => fs_err::copy(from, source.path().join(to)).map(drop),
            Step::Remove(path) => fs_err::remove_file(source.path().join(path)),
            _ => Ok(()),
        }
    }

    async fn build(&mut self) -> Result<(), CommandError> {
        let Some(source) = &self.source else { return Ok(()) };
        let app = format!("test-{}-{}", self.number, self.app.to_lowercase().replace('_', "-"));
        let app = app.trim_end_matches('-').to_owned();
        if !self.created.contains(&app) {
            self.builds.create(&app).await?;
            self.created.push(app.clone());
        }
        let general = self.args.config_vars.iter().filter_map(|var| var.split_once('='));
        let general = general.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let vars: Vec<_> = general.chain(self.vars.iter().cloned()).collect();
        self.builds.set(&app, &vars).await?;
        self.last = self.builds.build(&app, source.path(), &self.buildpacks).await?;
        self.scored.builds += 1;
        if let Some(keep) = &self.args.keep {
            let name = self.scored.name.replace(['/', ' ', ':'], "_");
            let path = keep.join(format!("{name}.{}.log", self.scored.builds));
            fs_err::create_dir_all(keep).map_err(unreadable(keep))?;
            fs_err::write(&path, &self.last.output).map_err(unreadable(&path))?;
        }
        Ok(())
    }

    fn check(&mut self, check: &Check) {
        self.scored.checks += 1;
        if holds(check, &self.last) {
            self.scored.verdict = Verdict::Passed;
        } else {
            self.scored.verdict = Verdict::Failed;
            let build = self.scored.builds;
            let what = check.describe();
            let lines = match missing(check, &self.last)[..] {
                [] => String::new(),
                [only] => format!("; one line is missing: {only}"),
                [first, .., _] => {
                    let number = missing(check, &self.last).len();
                    format!("; {number} lines are missing, the first: {first}")
                }
            };
            let hosts: Vec<&str> = unreachable(&self.last).into_iter().collect();
            let hosts = match hosts[..] {
                [] => String::new(),
                _ => format!("; it could not reach {}", hosts.join(", ")),
            };
            let reason = format!("build {build}: not so: {what}{lines}{hosts}");
            self.scored.reason = Some(reason);
        }
    }
}

/// Copies a fixture with its links and modes.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    let status = std::process::Command::new("cp").arg("-RPpT").arg(from).arg(to).status()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other("cp failed")) }
}
