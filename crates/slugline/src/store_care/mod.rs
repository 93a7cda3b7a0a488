//! `slugline store:…`: the slug store checked, repaired, swept and weighed.

mod check;
mod settings;
mod show;

pub(crate) use self::settings::bytes;

use std::collections::HashSet;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;
use slugline_model::care::Removed;
use slugline_model::slug::SlugId;
use slugline_store::Swept;

use crate::client::OfServer;
use crate::console::say;
use crate::errors::CommandError;

pub(crate) use check::fsck;

/// The commands about the slug store.
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCareCommand {
    /// Check everything in the slug store against its hash, and repair it from copies
    #[command(
        name = "store:fsck",
        after_help = "Examples:\n  slugline store:fsck\n  slugline store:fsck --repair --from \
                      /backup/slugline\nThe exit code is 70 where damage remains."
    )]
    Fsck(Fsck),
    /// Remove slugs that retention does not keep, and what only they needed
    #[command(name = "store:gc", after_help = "Example:\n  slugline store:gc --dry-run")]
    Collect(Collect),
    /// Show what takes the room: by app, what is its own and what it shares
    #[command(name = "store:usage", after_help = "Example:\n  slugline store:usage")]
    Usage(Options),
}

/// Which server.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: OfServer,
}

/// How to check.
#[derive(Debug, Args)]
pub(crate) struct Fsck {
    /// Put whole copies in the place of what is damaged
    #[arg(long)]
    repair: bool,
    /// Another slug store, or the data directory that it lies in, with whole copies
    #[arg(long, value_name = "DIRECTORY", requires = "repair")]
    from: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

/// What to remove.
#[derive(Debug, Args)]
pub(crate) struct Collect {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: Options,
}

/// Runs one of the commands; gives the exit code.
pub(crate) async fn run(command: StoreCareCommand) -> Result<i32, CommandError> {
    let done = match command {
        StoreCareCommand::Fsck(fsck) => check::run(fsck).await,
        StoreCareCommand::Collect(collect) => collect.run().await,
        StoreCareCommand::Usage(options) => options.usage().await,
    };
    done.map_err(CommandError::of_a_client)
}

impl Options {
    /// Says lines, or the value that they were made of.
    fn tell(&self, value: &Value, lines: impl FnOnce(&Value) -> Vec<String>) {
        if self.json {
            say(&format!("{value:#}"));
        } else {
            say(&lines(value).join("\n"));
        }
    }

    async fn usage(&self) -> Result<i32, CommandError> {
        let usage = self.server.client()?.get("/store").await?;
        self.tell(&usage, show::usage);
        Ok(exit_code::OK)
    }
}

impl Collect {
    async fn run(&self) -> Result<i32, CommandError> {
        let body = json!({ "dry_run": self.dry_run });
        let client = self.options.server.client()?;
        let collected = client.send(Method::POST, "/store/actions/gc", &body).await?;
        self.options.tell(&collected, |collected| show::collected(collected, self.dry_run));
        Ok(exit_code::OK)
    }
}

/// Those slugs that are there of the ones that are needed.
pub(crate) fn those_of(there: &[SlugId], needed: &[SlugId]) -> Vec<SlugId> {
    let needed: HashSet<&SlugId> = needed.iter().collect();
    there.iter().filter(|id| needed.contains(id)).cloned().collect()
}

/// As the platform knows it.
pub(crate) fn removed(swept: Swept) -> Removed {
    let Swept { slugs, checkouts, pages, objects, bytes } = swept;
    Removed { slugs, checkouts, pages, objects, bytes }
}
