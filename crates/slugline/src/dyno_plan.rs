//! `slugline dyno:plan`: how a dyno is launched, as steps.

use clap::{Args, Subcommand};
use serde_json::Value;
use slugline_model::build::exit_code;

use crate::builds::{App, Options};
use crate::console::say;
use crate::errors::CommandError;

/// The commands about one dyno that the stock command line lacks.
#[derive(Debug, Subcommand)]
pub(crate) enum DynoCommand {
    /// Show how a dyno is launched, step by step: what it sees of the machine, and what it may not
    #[command(name = "dyno:plan", after_help = "Example:\n  slugline dyno:plan web.1 -a library")]
    Plan(Plan),
}

/// Which dyno.
#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Its name, such as web.1, or its id
    dyno: String,
    #[command(flatten)]
    options: Options,
}

/// Runs the command; gives the exit code.
pub(crate) async fn run(command: DynoCommand) -> Result<i32, CommandError> {
    let DynoCommand::Plan(plan) = command;
    plan.show().await.map_err(CommandError::of_a_client)
}

impl Plan {
    async fn show(&self) -> Result<i32, CommandError> {
        let app = App::of(&self.options)?;
        let plan = app.client.get(&app.path(&format!("/dynos/{}/plan", self.dyno))).await?;
        if self.options.json {
            say(&format!("{plan:#}"));
        } else {
            let lines = plan["lines"].as_array().into_iter().flatten().filter_map(Value::as_str);
            for (number, line) in lines.enumerate() {
                say(&format!("{:>3}. {line}", number + 1));
            }
        }
        Ok(exit_code::OK)
    }
}
