//! `slugline prove`: whether a release's slug has all that its pages need, and what an app decides
//! about that.

use clap::{Args, Subcommand, ValueEnum};
use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;

use crate::builds::{App, Options};
use crate::client::Lines;
use crate::console::say;
use crate::errors::CommandError;

/// The commands about proofs, and about files of earlier releases.
#[derive(Debug, Subcommand)]
pub(crate) enum ProveCommand {
    /// Prove that all that an app's pages need is in its slug
    #[command(
        after_help = "Examples:\n  slugline prove -a library\n  slugline prove -r v42 --json"
    )]
    Prove(Prove),
    /// Show or set what releases are proven for
    #[command(name = "prove:gate", after_help = "Example:\n  slugline prove:gate block -a library")]
    Gate(GateArgs),
    /// Show or set whether the router answers for files of earlier releases
    #[command(after_help = "Example:\n  slugline assets bridge -a library")]
    Assets(AssetsArgs),
}

/// What to prove.
#[derive(Debug, Args)]
pub(crate) struct Prove {
    /// The release; the current one where it is not given
    #[arg(long, short)]
    release: Option<String>,
    #[command(flatten)]
    options: Options,
}

/// What to decide.
#[derive(Debug, Args)]
pub(crate) struct GateArgs {
    /// What becomes of a release whose slug lacks something
    #[arg(value_enum)]
    gate: Option<Gate>,
    #[command(flatten)]
    options: Options,
}

/// What to decide.
#[derive(Debug, Args)]
pub(crate) struct AssetsArgs {
    /// What is answered for a file, with a hash in its name, that the release has not
    #[arg(value_enum)]
    assets: Option<Assets>,
    #[command(flatten)]
    options: Options,
}

/// What becomes of a release whose slug lacks something.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Gate {
    /// Releases are not proven
    Off,
    /// It is told, and takes effect
    Warn,
    /// It fails, and the old one serves on
    Block,
}

/// What is answered for files of earlier releases.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Assets {
    /// What the dyno answers
    Off,
    /// The file, from the slugs of the last releases
    Bridge,
}

/// Runs one of the commands; gives the exit code.
pub(crate) async fn run(command: ProveCommand) -> Result<i32, CommandError> {
    let done = match command {
        ProveCommand::Prove(prove) => prove.run().await,
        ProveCommand::Gate(args) => {
            let gate = args.gate.and_then(|gate| gate.to_possible_value());
            decide(&args.options, "gate", gate).await
        }
        ProveCommand::Assets(args) => {
            let assets = args.assets.and_then(|assets| assets.to_possible_value());
            decide(&args.options, "assets", assets).await
        }
    };
    done.map_err(CommandError::of_a_client)
}

impl Prove {
    async fn run(&self) -> Result<i32, CommandError> {
        let app = App::of(&self.options)?;
        let release = self.release.as_deref().unwrap_or("current");
        let body = json!({ "release": release });
        let answer = app.client.open(Method::POST, &app.path("/prove"), &body).await?;
        let mut lines = Lines::of(answer);
        while let Some(line) = lines.next().await {
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            match line["line"].as_str() {
                Some(text) if !self.options.json => say(text),
                Some(_) => {}
                None => return Ok(self.tell(&line)),
            }
        }
        let (what, found) = ("prove the release".to_owned(), "the server went away".to_owned());
        Err(CommandError::Api { what, found })
    }

    /// Tells the end; the exit code says whether all is well.
    fn tell(&self, end: &Value) -> i32 {
        if self.options.json {
            say(&format!("{end:#}"));
        } else if let Some(error) = end["error"].as_str() {
            say(error);
        } else {
            end["lines"].as_array().into_iter().flatten().filter_map(Value::as_str).for_each(say);
        }
        let good = end["verdict"]["findings"].as_array().is_some_and(Vec::is_empty);
        if good { exit_code::OK } else { exit_code::RELEASE }
    }
}

/// Sets what an app decides, where it is given, and shows it.
async fn decide(
    options: &Options,
    what: &str,
    to: Option<clap::builder::PossibleValue>,
) -> Result<i32, CommandError> {
    let app = App::of(options)?;
    let path = app.path("/prove");
    let settings = match to {
        Some(to) => {
            let body = json!({ what: to.get_name() });
            app.client.send(Method::PATCH, &path, &body).await?
        }
        None => app.client.get(&path).await?,
    };
    if options.json {
        say(&format!("{settings:#}"));
    } else {
        say(settings[what].as_str().unwrap_or_default());
    }
    Ok(exit_code::OK)
}
