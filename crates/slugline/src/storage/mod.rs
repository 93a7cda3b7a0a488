//! `slugline storage:…`: what is in an app's bucket, and how files get there and back. It speaks S3 with
//! the app's own key, wherever the bucket is.

mod adopt;
mod bucket;
mod error;
mod get;
mod ls;
mod moving;
mod progress;
mod put;
mod serve;
mod usage;
mod wire;

use clap::{Args, Subcommand};

use crate::builds::Options;
use crate::errors::CommandError;

pub(crate) use adopt::{Adopted, to_bucket};
pub(crate) use bucket::{AppBucket, access_in};
pub(crate) use error::StorageCommandError;
pub(crate) use wire::{Wire, WireError};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum StorageCommand {
    /// List what is in the app's bucket, and say how much that is
    #[command(
        name = "storage:ls",
        after_help = "Examples:\n  slugline storage:ls -a library\n  slugline storage:ls covers/ -a library"
    )]
    Ls(ls::LsArgs),
    /// Copy an object, or all below a prefix, from the app's bucket
    #[command(
        name = "storage:get",
        after_help = "Examples:\n  slugline storage:get covers/1.png -a library\n  slugline storage:get covers/ DIR -a library"
    )]
    Get(get::GetArgs),
    /// Copy a file, or a directory, into the app's bucket
    #[command(
        name = "storage:put",
        after_help = "Examples:\n  slugline storage:put cover.png covers/1.png -a library\n  slugline storage:put media/ -a library"
    )]
    Put(put::PutArgs),
    /// Copy uploads of running dynos and of kept layers into the app's bucket, and say how the app
    /// finds them there
    #[command(
        name = "storage:adopt",
        after_help = "Example:\n  slugline storage:adopt media/ -a library"
    )]
    Adopt(adopt::AdoptArgs),
    /// Say how much is in the app's bucket, and how much it takes
    #[command(name = "storage:usage", after_help = "Example:\n  slugline storage:usage -a library")]
    Usage(usage::UsageArgs),
    /// Have the router answer for the app's uploads out of its bucket, so that their addresses stay
    #[command(
        name = "storage:serve",
        after_help = "Examples:\n  slugline storage:serve /media/ --public -a library\n  slugline storage:serve --off -a library"
    )]
    Serve(serve::ServeArgs),
    /// Move the app's bucket to another plan while the app runs, each object read back and compared;
    /// the same command again goes on
    #[command(
        name = "storage:move",
        after_help = "Example:\n  slugline storage:move --to s3:external -a library"
    )]
    Move(moving::MoveArgs),
}

/// Which bucket of which app.
#[derive(Debug, Args)]
pub(crate) struct OfBucket {
    /// The add-on's name in the app, where it has several buckets or gave one another name: MEDIA
    #[arg(long, value_name = "ATTACHMENT")]
    bucket: Option<String>,
    #[command(flatten)]
    options: Options,
}

/// Runs one of the commands; gives the exit code.
pub(crate) async fn run(command: StorageCommand) -> Result<i32, CommandError> {
    let done = match command {
        StorageCommand::Ls(args) => args.run().await,
        StorageCommand::Get(args) => args.run().await,
        StorageCommand::Put(args) => args.run().await,
        StorageCommand::Adopt(args) => args.run().await,
        StorageCommand::Usage(args) => args.run().await,
        StorageCommand::Serve(args) => args.run().await,
        StorageCommand::Move(args) => args.run().await,
    };
    done.map_err(CommandError::of_a_client)
}
