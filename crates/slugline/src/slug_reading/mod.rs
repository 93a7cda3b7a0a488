//! `slugline slug:…`: what is in a slug, and how two of them differ.

mod fetch;
mod read;
mod unpack;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;
use slugline_model::listing::{Diff, Node, describe, describe_tree};

use crate::builds::{App, Options};
use crate::console::say;
use crate::errors::CommandError;

pub(crate) use read::{archive, listing, open_whole};

/// The commands that read slugs. A slug is named by a release (`v42`, `42`) or by its id; the
/// current one where none is named.
#[derive(Debug, Subcommand)]
pub(crate) enum SlugReadingCommand {
    /// Show how the slugs of two releases differ
    #[command(name = "slug:diff", after_help = "Example:\n  slugline slug:diff v41 v42 -a library")]
    Diff(DiffArgs),
    /// Show what is in a slug, and how large it is
    #[command(
        name = "slug:tree",
        after_help = "Example:\n  slugline slug:tree v42 static -a library"
    )]
    Tree(TreeArgs),
    /// Print a file of a slug
    #[command(
        name = "slug:cat",
        after_help = "Example:\n  slugline slug:cat v42 Procfile -a library"
    )]
    Cat(CatArgs),
    /// Copy a file or a directory out of a slug
    #[command(
        name = "slug:get",
        after_help = "Example:\n  slugline slug:get v42 static /tmp/static -a library"
    )]
    Get(GetArgs),
    /// Check every file of a slug against its hash
    #[command(name = "slug:verify", after_help = "Example:\n  slugline slug:verify v42 -a library")]
    Verify(OfSlug),
    /// Print a slug's bill of materials
    #[command(
        name = "slug:sbom",
        about = "Print a slug's bill of materials, as CycloneDX JSON",
        after_help = "Example:\n  slugline slug:sbom v42 -a library"
    )]
    Sbom(OfSlug),
    /// Print how a slug came to be, as an in-toto statement with SLSA's provenance
    #[command(
        name = "slug:provenance",
        after_help = "Example:\n  slugline slug:provenance v42 -a library"
    )]
    Provenance(OfSlug),
}

/// Which slugs to compare.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The earlier slug
    from: String,
    /// The later slug; the current one where it is not given
    to: Option<String>,
    #[command(flatten)]
    options: Options,
}

/// Which tree.
#[derive(Debug, Args)]
pub(crate) struct TreeArgs {
    /// The slug, if another than the current one, and a path in it
    #[arg(value_name = "[SLUG] [PATH]", num_args = 0..=2)]
    which: Vec<OsString>,
    /// How many levels deep
    #[arg(long, default_value_t = 1)]
    depth: usize,
    /// The biggest first
    #[arg(long)]
    size: bool,
    #[command(flatten)]
    options: Options,
}

/// Which file.
#[derive(Debug, Args)]
pub(crate) struct CatArgs {
    /// The slug, if another than the current one, and a path in it
    #[arg(value_name = "[SLUG] PATH", num_args = 1..=2, required = true)]
    which: Vec<OsString>,
    #[command(flatten)]
    options: Options,
}

/// What to copy, and where to.
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The slug, if another than the current one, a path in it, and where the copy goes
    #[arg(value_name = "[SLUG] PATH DEST", num_args = 2..=3, required = true)]
    which: Vec<OsString>,
    #[command(flatten)]
    options: Options,
}

/// Which slug.
#[derive(Debug, Args)]
pub(crate) struct OfSlug {
    /// The slug; the current one where it is not given
    slug: Option<String>,
    #[command(flatten)]
    options: Options,
}

/// Runs one of the commands; gives the exit code.
pub(crate) async fn run(command: SlugReadingCommand) -> Result<i32, CommandError> {
    let done = match command {
        SlugReadingCommand::Diff(args) => args.run().await,
        SlugReadingCommand::Tree(args) => args.run().await,
        SlugReadingCommand::Cat(args) => args.run().await,
        SlugReadingCommand::Get(args) => args.run().await,
        SlugReadingCommand::Verify(of) => of.verify().await,
        SlugReadingCommand::Sbom(of) => of.document("sbom").await,
        SlugReadingCommand::Provenance(of) => of.document("provenance").await,
    };
    done.map_err(CommandError::of_a_client)?;
    Ok(exit_code::OK)
}

impl DiffArgs {
    async fn run(&self) -> Result<(), CommandError> {
        let app = App::of(&self.options)?;
        let to = self.to.as_deref().unwrap_or(CURRENT);
        let from = encoded(self.from.as_bytes());
        let path = app.path(&format!("/slugs/{}/diff?from={from}", encoded(to.as_bytes())));
        let diff = app.client.get(&path).await?;
        tell(&self.options, &diff, |diff| {
            Some(describe(&serde_json::from_value::<Diff>(diff).ok()?))
        });
        Ok(())
    }
}

impl TreeArgs {
    async fn run(&self) -> Result<(), CommandError> {
        let app = App::of(&self.options)?;
        let (slug, path) = match self.which.as_slice() {
            [] => (CURRENT.into(), OsString::new()),
            [only] if names_slug(only) => (only.clone(), OsString::new()),
            [path] => (CURRENT.into(), path.clone()),
            [slug, path, ..] => (slug.clone(), path.clone()),
        };
        let order = if self.size { "size" } else { "name" };
        let query = format!("path={}&depth={}&order={order}", encoded(path.as_bytes()), self.depth);
        let path = app.path(&format!("/slugs/{}/tree?{query}", encoded(slug.as_bytes())));
        let tree = app.client.get(&path).await?;
        tell(&self.options, &tree, |tree| {
            Some(describe_tree(&serde_json::from_value::<Node>(tree).ok()?))
        });
        Ok(())
    }
}

impl CatArgs {
    async fn run(&self) -> Result<(), CommandError> {
        let app = App::of(&self.options)?;
        let (path, slug) = split_last(&self.which);
        fetch::cat(&app, &file_path(&app, slug, path)).await
    }
}

impl GetArgs {
    async fn run(&self) -> Result<(), CommandError> {
        let app = App::of(&self.options)?;
        let (destination, rest) =
            self.which.split_last().map_or((None, &[][..]), |(last, rest)| (Some(last), rest));
        let (path, slug) = split_last(rest);
        let destination = PathBuf::from(destination.cloned().unwrap_or_default());
        fetch::get(&app, &file_path(&app, slug, path), path, &destination).await
    }
}

impl OfSlug {
    fn path(&self, app: &App, rest: &str) -> String {
        let slug = self.slug.as_deref().unwrap_or(CURRENT);
        app.path(&format!("/slugs/{}/{rest}", encoded(slug.as_bytes())))
    }

    async fn verify(&self) -> Result<(), CommandError> {
        let app = App::of(&self.options)?;
        let path = self.path(&app, "actions/verify");
        let verified = app.client.send(Method::POST, &path, &json!({})).await?;
        tell(&self.options, &verified, |verified| {
            Some(vec![format!("Every file is whole: {}", verified["checksum"].as_str()?)])
        });
        Ok(())
    }

    async fn document(&self, name: &str) -> Result<(), CommandError> {
        let app = App::of(&self.options)?;
        let document = app.client.get(&self.path(&app, name)).await?;
        say(&format!("{document:#}"));
        Ok(())
    }
}

/// How the API calls the slug that runs.
const CURRENT: &str = "current";

/// The last of some arguments, and the slug before it, if there is one.
fn split_last(which: &[OsString]) -> (&OsString, Option<&OsString>) {
    static NOTHING: OsString = OsString::new();
    match which {
        [] => (&NOTHING, None),
        [path] => (path, None),
        [slug, path, ..] => (path, Some(slug)),
    }
}

/// `v42`, `42`, `current`, or a slug's id: anything else is a path.
fn names_slug(text: &OsString) -> bool {
    let Some(text) = text.to_str() else { return false };
    let version = text.strip_prefix('v').unwrap_or(text);
    let is_number = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
    is_number || text == CURRENT || text.parse::<uuid::Uuid>().is_ok()
}

fn file_path(app: &App, slug: Option<&OsString>, path: &OsString) -> String {
    let slug = slug.map_or(CURRENT.as_bytes(), |slug| slug.as_bytes());
    app.path(&format!("/slugs/{}/files/{}", encoded(slug), encoded(path.as_bytes())))
}

fn tell(options: &Options, value: &Value, lines: impl FnOnce(Value) -> Option<Vec<String>>) {
    match lines(value.clone()).filter(|_| !options.json) {
        Some(lines) => say(&lines.join("\n")),
        None => say(&format!("{value:#}")),
    }
}

/// Bytes as a part of a URL; slashes stay.
pub(crate) fn encoded(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_told_from_a_path() {
        for slug in ["v42", "42", "current", "00000000-0000-4000-8000-000000000000"] {
            assert!(names_slug(&slug.into()), "{slug}");
        }
        for path in ["static", "v", "v4a", "", "app.py"] {
            assert!(!names_slug(&path.into()), "{path}");
        }
        assert_eq!(encoded(b"a b/caf\xe9?"), "a%20b/caf%E9%3F");
    }
}
