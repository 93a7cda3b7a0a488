//! `slugline builds` and its kin: an app's builds, as a client of the Platform API sees them.

pub(crate) mod follow;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;
use slugline_model::name::AppName;

use crate::client::{Client, OfServer};
use crate::console::{complain, say};
use crate::errors::CommandError;
use crate::source;

/// The commands about builds, each also by its name in the singular.
#[derive(Debug, Subcommand)]
pub(crate) enum BuildsCommand {
    /// List an app's builds, the newest first
    #[command(name = "builds", after_help = "Example:\n  slugline builds -a library")]
    List(Options),
    /// Show a build: its steps, its biggest parts, what grew, what leaked
    #[command(
        name = "builds:info",
        visible_alias = "build:info",
        after_help = "Example:\n  slugline builds:info -a library"
    )]
    Info(OfBuild),
    /// Show a build's output, and go on for as long as it grows
    #[command(
        name = "builds:output",
        visible_alias = "build:output",
        after_help = "Example:\n  slugline builds:output -a library"
    )]
    Output(OfBuild),
    /// Follow the build that runs; the exit code is the build's
    #[command(
        name = "builds:watch",
        visible_alias = "build:watch",
        after_help = "Example:\n  slugline builds:watch -a library"
    )]
    Watch(Watch),
    /// Cancel a build that waits or runs
    #[command(
        name = "builds:cancel",
        visible_alias = "build:cancel",
        after_help = "Example:\n  slugline builds:cancel -a library"
    )]
    Cancel(OfBuild),
    /// Build a directory
    #[command(
        name = "builds:create",
        visible_alias = "build:create",
        after_help = "Example:\n  slugline builds:create examples/library -a library"
    )]
    Create(Create),
    /// Build once more from a build's source, buildpacks and config vars
    #[command(
        name = "builds:replay",
        visible_alias = "build:replay",
        after_help = "Example:\n  slugline builds:replay -a library"
    )]
    Replay(OfBuild),
    /// Remove what builds keep for later ones
    #[command(
        name = "builds:cache:purge",
        visible_aliases = ["build:cache:purge", "builds:cache-purge"],
        after_help = "Example:\n  slugline builds:cache:purge -a library"
    )]
    PurgeCache(Options),
}

/// Which app of which server.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The app; the directory's name where it is not given
    #[arg(long, short, env = "HEROKU_APP")]
    app: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    server: OfServer,
}

/// Which build.
#[derive(Debug, Args)]
pub(crate) struct OfBuild {
    /// The build's id, or its beginning; the newest one where it is not given
    id: Option<String>,
    #[command(flatten)]
    options: Options,
}

/// What to watch.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// The build's id, or its beginning; the one that runs where it is not given
    id: Option<String>,
    /// The byte of the output to begin with
    #[arg(long, default_value_t = 0)]
    from: u64,
    #[command(flatten)]
    options: Options,
}

/// What to build.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The app's source
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// Where the app is in the source, if not at its top
    #[arg(long, value_name = "DIRECTORY")]
    root: Option<PathBuf>,
    #[command(flatten)]
    options: Options,
}

/// Runs one of the commands; gives the exit code.
pub(crate) async fn run(command: BuildsCommand) -> Result<i32, CommandError> {
    let done = match command {
        BuildsCommand::List(options) => App::of(&options)?.list(options.json).await,
        BuildsCommand::Info(of) => App::of(&of.options)?.info(of.id, of.options.json).await,
        BuildsCommand::Output(of) => App::of(&of.options)?.output(of.id).await,
        BuildsCommand::Watch(watch) => App::of(&watch.options)?.watch(watch.id, watch.from).await,
        BuildsCommand::Cancel(of) => App::of(&of.options)?.cancel(of.id).await,
        BuildsCommand::Create(create) => create.run().await,
        BuildsCommand::Replay(of) => App::of(&of.options)?.replay(of.id).await,
        BuildsCommand::PurgeCache(options) => App::of(&options)?.purge_cache().await,
    };
    // The server of these commands is another process, and goes on.
    done.map_err(CommandError::of_a_client)
}

/// An app on a server.
pub(crate) struct App {
    pub(crate) name: AppName,
    pub(crate) client: Client,
    /// Whether a program reads what is told.
    pub(crate) json: bool,
}

impl App {
    /// The app that is asked for, else the one that is called as the directory is.
    pub(crate) fn of(options: &Options) -> Result<Self, CommandError> {
        Self::in_directory(options, Path::new("."))
    }

    fn in_directory(options: &Options, directory: &Path) -> Result<Self, CommandError> {
        let client = options.server.client()?;
        let name = crate::up::app_name(options.app.as_deref(), directory)?;
        Ok(Self { name, client, json: options.json })
    }

    /// Tells what was done: to people, or to the program that asked for it.
    pub(crate) fn tell(&self, text: &str, value: &Value) {
        if self.json { say(&format!("{value:#}")) } else { say(text) }
    }

    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/apps/{}{rest}", self.name)
    }

    async fn builds(&self) -> Result<Vec<Value>, CommandError> {
        let builds = self.client.get(&self.path("/builds")).await?;
        Ok(builds.as_array().cloned().unwrap_or_default())
    }

    /// The build that an id, or its beginning, names; else the newest that fits.
    async fn build(
        &self,
        id: Option<String>,
        fits: impl Fn(&Value) -> bool,
    ) -> Result<Value, CommandError> {
        let builds = self.builds().await?;
        let id_of = |build: &Value| build["id"].as_str().unwrap_or_default().to_owned();
        let found = match &id {
            Some(id) => builds.iter().rfind(|build| id_of(build).starts_with(id.as_str())),
            None => builds.iter().rfind(|build| fits(build)).or(builds.last()),
        };
        found.cloned().ok_or_else(|| CommandError::NoBuild {
            app: self.name.to_string(),
            wanted: id,
            known: builds.iter().rev().take(3).map(id_of).collect(),
        })
    }

    async fn list(&self, json: bool) -> Result<i32, CommandError> {
        let mut builds = self.builds().await?;
        builds.reverse();
        if json {
            say(&format!("{:#}", Value::Array(builds)));
            return Ok(exit_code::OK);
        }
        let cache = self.client.get(&self.path("/build-cache")).await?;
        for line in show::list(&self.name, &builds, &cache) {
            say(&line);
        }
        Ok(exit_code::OK)
    }

    async fn info(&self, id: Option<String>, json: bool) -> Result<i32, CommandError> {
        let build = self.build(id, |_| true).await?;
        let mut build = self.client.get(&self.path(&format!("/builds/{}", id_of(&build)))).await?;
        if json {
            let path = self.path(&format!("/builds/{}/result", id_of(&build)));
            build["parts"] = self.client.get(&path).await?["parts"].take();
            say(&format!("{build:#}"));
            return Ok(exit_code::OK);
        }
        let release = match build["release"]["id"].as_str() {
            Some(id) => Some(self.client.get(&self.path(&format!("/releases/{id}"))).await?),
            None => None,
        };
        for line in show::info(&build, release.as_ref()) {
            say(&line);
        }
        Ok(exit_code::OK)
    }

    async fn output(&self, id: Option<String>) -> Result<i32, CommandError> {
        let build = self.build(id, |_| true).await?;
        let (mut lines, path) = (Vec::new(), self.path(&format!("/builds/{}", id_of(&build))));
        let mut line = |line: &str| {
            if self.json { lines.push(line.to_owned()) } else { say(line) }
        };
        let ended = follow::follow(&self.client, &path, &build, 0, &mut line).await?;
        if self.json {
            let told = json!({ "id": ended["id"], "status": ended["status"], "lines": lines });
            say(&format!("{told:#}"));
        }
        Ok(exit_code::OK)
    }

    async fn watch(&self, id: Option<String>, from: u64) -> Result<i32, CommandError> {
        let build = self.build(id, is_pending).await?;
        self.follow(&build, from).await
    }

    async fn cancel(&self, id: Option<String>) -> Result<i32, CommandError> {
        let build = self.build(id, is_pending).await?;
        let path = self.path(&format!("/builds/{}", id_of(&build)));
        let canceled = self.client.send(Method::DELETE, &path, &json!({})).await?;
        self.tell(&format!("Canceling build {}... done", id_of(&build)), &canceled);
        Ok(exit_code::OK)
    }

    async fn replay(&self, id: Option<String>) -> Result<i32, CommandError> {
        let build = self.build(id, |_| true).await?;
        let path = self.path(&format!("/builds/{}/actions/replay", id_of(&build)));
        let replay = self.client.send(Method::POST, &path, &json!({})).await?;
        self.follow(&replay, 0).await
    }

    async fn purge_cache(&self) -> Result<i32, CommandError> {
        let running = self.builds().await?.iter().any(is_pending);
        self.client.send(Method::DELETE, &self.path("/build-cache"), &json!({})).await?;
        let when = if running { "done, once its build is over" } else { "done" };
        let told = json!({ "app": self.name.as_str(), "purged": true, "after_build": running });
        self.tell(&format!("Purging build cache of {}... {when}", self.name), &told);
        Ok(exit_code::OK)
    }

    /// Shows an output to its end, or the build where a program reads; gives the exit code of its build.
    async fn follow(&self, build: &Value, from: u64) -> Result<i32, CommandError> {
        let path = self.path(&format!("/builds/{}", id_of(build)));
        let line = |line: &str| {
            if !self.json {
                say(line);
            }
        };
        let ended = follow::follow(&self.client, &path, build, from, line).await?;
        if self.json {
            say(&format!("{ended:#}"));
        }
        Ok(follow::exit_code(&ended))
    }
}

impl Create {
    async fn run(self) -> Result<i32, CommandError> {
        let directory = &self.directory;
        let name = crate::up::app_name(self.options.app.as_deref(), directory)?;
        let app = App { name, ..App::of(&self.options)? };
        let data_dir = self.options.server.data_dir()?;
        let packed = source::pack(directory, &self.root.unwrap_or_default(), &data_dir)?;
        for warning in &packed.warnings {
            let warning = slugline_model::message::gutter_line(warning);
            if app.json { complain(&warning) } else { say(&warning) }
        }
        let build = follow::start(&app.client, &app.name, packed).await?;
        app.follow(&build, 0).await
    }
}

fn id_of(build: &Value) -> &str {
    build["id"].as_str().unwrap_or_default()
}

fn is_pending(build: &Value) -> bool {
    build["status"] == "pending"
}
