//! `slugline fs`, `lost`, `restore` and `ephemeral`: what dynos write, what they lost, and how to get
//! it back, as a client of the Platform API.

mod body;
mod fs;
mod lost;
pub(crate) mod place;
mod restore;
mod tree;
mod unpack;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::json;
use slugline_model::build::exit_code;

use crate::builds::{App, Options};
use crate::console::say;
use crate::errors::CommandError;

pub(crate) use self::body::reader;
pub(crate) use self::restore::RestoreError;

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Show what dynos have written since they booted, the biggest first
    #[command(
        after_help = "Examples:\n  slugline fs -a library\n  slugline fs web.1 -a library --watch"
    )]
    Fs(fs::FsArgs),
    /// Show what dynos lost when they stopped, and what of it can be had back
    #[command(after_help = "Example:\n  slugline lost --since v41 -a library")]
    Lost(lost::LostArgs),
    /// Get back what a dyno that stopped had written
    #[command(after_help = "Examples:\n  slugline restore web.1@3 -a library\n  \
                            slugline restore web.1@3 media/ rescued -a library")]
    Restore(restore::RestoreArgs),
    /// Show or set what becomes of an app whose dynos write files: warn, strict or quiet
    #[command(after_help = "Example:\n  slugline ephemeral strict -a library-review")]
    Ephemeral(EphemeralArgs),
}

/// What is to become of such an app.
#[derive(Debug, Args)]
pub(crate) struct EphemeralArgs {
    /// `warn` says in the log what is lost; `strict` lets writing fail at once (EROFS) but in
    /// directories that app.json declares as scratch; `quiet` says nothing in the log
    mode: Option<String>,
    #[command(flatten)]
    options: Options,
}

/// Runs one of the commands; gives the exit code.
pub(crate) async fn run(command: LedgerCommand) -> Result<i32, CommandError> {
    let done = match command {
        LedgerCommand::Fs(args) => args.run().await,
        LedgerCommand::Lost(args) => args.run().await,
        LedgerCommand::Restore(args) => args.run().await,
        LedgerCommand::Ephemeral(args) => args.run().await,
    };
    done.map_err(CommandError::of_a_client)
}

impl EphemeralArgs {
    async fn run(self) -> Result<i32, CommandError> {
        let app = App::of(&self.options)?;
        let path = app.path("/ephemeral");
        let answer = match &self.mode {
            Some(mode) => app.client.send(Method::PATCH, &path, &json!({ "mode": mode })).await?,
            None => app.client.get(&path).await?,
        };
        let mode = answer["mode"].as_str().unwrap_or_default();
        if self.options.json {
            say(&format!("{answer:#}"));
        } else if self.mode.is_some() {
            say(&format!("{}: {mode}, for dynos from their next start on", app.name));
        } else {
            say(mode);
        }
        Ok(exit_code::OK)
    }
}
