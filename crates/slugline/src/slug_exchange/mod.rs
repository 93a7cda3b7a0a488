//! `slugline slug:export` and its kin: slugs to and from files and registries, as a client of the
//! Platform API.

mod archive;
mod error;
mod export;
mod import;
mod port;
mod registry;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

pub(crate) use self::error::SlugExchangeError;
use crate::builds::{App, Options};
use crate::errors::CommandError;

/// The commands, each also by its name in the plural.
#[derive(Debug, Subcommand)]
pub(crate) enum SlugExchangeCommand {
    /// Write a release's slug to a file: as Heroku packs it, or as an image
    #[command(
        name = "slug:export",
        visible_alias = "slugs:export",
        after_help = "Example:\n  slugline slug:export v42 -a library -o library.tar \
                      --format oci-archive"
    )]
    Export(Export),
    /// Release what a file holds: a slug.tgz, or an image
    #[command(
        name = "slug:import",
        visible_alias = "slugs:import",
        after_help = "Example:\n  slugline slug:import slug.tgz -a library --process 'web=./serve'"
    )]
    Import(Import),
    /// Send a release's slug to a registry, as an image
    #[command(
        name = "slug:push",
        visible_alias = "slugs:push",
        after_help = "Example:\n  slugline slug:push -a library registry.example/library:v42"
    )]
    Push(Push),
    /// Release an image of a registry
    #[command(
        name = "slug:pull",
        visible_alias = "slugs:pull",
        after_help = "Example:\n  slugline slug:pull -a library registry.example/library:v42"
    )]
    Pull(Pull),
}

/// What a slug becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Heroku's slug.tgz
    Tgz,
    /// An OCI image, as a directory
    Oci,
    /// An OCI image, as a tar archive that `docker load` takes too
    OciArchive,
}

/// What to export.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The release, such as v42; the current one where it is not given
    release: Option<String>,
    /// The file, or for `--format oci` the directory, that is made
    #[arg(long, short)]
    output: PathBuf,
    /// What to make
    #[arg(long, value_enum, default_value_t = Format::Tgz)]
    format: Format,
    #[command(flatten)]
    stack: Stack,
    #[command(flatten)]
    options: Options,
}

/// What lies beneath a slug in an image.
#[derive(Debug, Args)]
struct Stack {
    /// What lies beneath the slug in an image: `host`, what dynos run on here; `none`; or a path of
    /// the server's machine to an OCI layout, an image archive, or a root file system as a
    /// directory or a tarball
    #[arg(long, default_value = "host")]
    stack: String,
}

/// What to import.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// A slug.tgz, an image archive, or an OCI layout's directory
    file: PathBuf,
    #[command(flatten)]
    release: Release,
    /// What the file must hash to, as SHA256: and 64 hexadecimal digits
    #[arg(long)]
    checksum: Option<String>,
    #[command(flatten)]
    options: Options,
}

/// What is made of a slug that came.
#[derive(Debug, Args)]
struct Release {
    /// A process type and its command; those of the Procfile, or of the image, where none is given
    #[arg(long = "process", value_name = "TYPE=COMMAND", value_parser = process)]
    processes: Vec<(String, String)>,
    /// Keep the slug, and release nothing
    #[arg(long)]
    no_release: bool,
}

/// How to get to a registry.
#[derive(Debug, Args)]
struct Login {
    /// Who pushes or pulls; else whoever docker's or podman's file of logins names
    #[arg(long, env = "SLUGLINE_REGISTRY_USERNAME", requires = "password")]
    username: Option<String>,
    /// The user's password or token
    #[arg(long, env = "SLUGLINE_REGISTRY_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Talk to the registry without TLS, though it is on another machine
    #[arg(long)]
    plain_http: bool,
}

/// What to push.
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// `[v42] registry.example/library:tag`: the release, the current one where it is not given,
    /// and the image
    #[arg(num_args = 1..=2, required = true, value_names = ["RELEASE", "IMAGE"])]
    what: Vec<String>,
    #[command(flatten)]
    login: Login,
    #[command(flatten)]
    stack: Stack,
    #[command(flatten)]
    options: Options,
}

/// What to pull.
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// The image: registry.example:5000/library:v42
    reference: String,
    #[command(flatten)]
    login: Login,
    #[command(flatten)]
    release: Release,
    #[command(flatten)]
    options: Options,
}

/// Runs one of the commands; gives the exit code.
pub(crate) async fn run(command: SlugExchangeCommand) -> Result<i32, CommandError> {
    let done = match command {
        SlugExchangeCommand::Export(export) => export.run().await,
        SlugExchangeCommand::Import(import) => import.run().await,
        SlugExchangeCommand::Push(push) => push.run().await,
        SlugExchangeCommand::Pull(pull) => pull.run().await,
    };
    // The server of these commands is another process, and goes on.
    done.map_err(CommandError::of_a_client)
}

fn process(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(_, command)| !command.trim().is_empty());
    let (name, command) = pair.ok_or("it must be TYPE=COMMAND, such as web=./serve")?;
    Ok((name.to_owned(), command.to_owned()))
}

/// The slug of a release, of the current one where none is named: the version and the slug.
async fn slug_of(app: &App, release: Option<&str>) -> Result<(u64, Value), CommandError> {
    let name = archive::percent(release.unwrap_or("current"));
    let path = app.path(&format!("/releases/{name}"));
    let found = match release {
        Some(_) => app.client.get(&path).await?,
        None => app.client.find(&path, "release").await?.unwrap_or_default(),
    };
    let id = found["slug"]["id"].as_str().ok_or_else(|| SlugExchangeError::NoSlug {
        app: app.name.to_string(),
        release: release.map(str::to_owned),
    })?;
    let slug = app.client.get(&app.path(&format!("/slugs/{id}"))).await?;
    Ok((found["version"].as_u64().unwrap_or_default(), slug))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
