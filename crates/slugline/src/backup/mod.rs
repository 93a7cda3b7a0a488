//! `slugline backup`: everything that a server keeps, in one archive, while it runs; and back again.

mod away;
mod kinds;
mod read;
mod write;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use slugline_model::build::exit_code;
use slugline_model::message::Message;
use slugline_model::size;

use crate::configuration::Configuration;
use crate::console::say;
use crate::errors::CommandError;
use crate::server::data_directory_or_default;
use away::Away;

/// The commands about backups.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Write everything that a server keeps into one archive, while it runs
    #[command(
        name = "backup",
        after_help = "Example:\n  slugline backup /backup/slugline.tar.zst\n  slugline backup \
                      s3:2026-05-01.tar.zst\nThe archive holds secrets: config vars, keys and tokens. Only its owner may read it."
    )]
    Backup(Archive),
    /// Make a data directory of an archive, for a server that is yet to be started
    #[command(
        name = "backup:restore",
        after_help = "Example:\n  slugline backup:restore /backup/slugline.tar.zst --data-dir \
                      /var/lib/slugline"
    )]
    Restore(Archive),
    /// List the archives in the bucket that `[backups]` of slugline.toml names
    #[command(name = "backup:list", after_help = "Example:\n  slugline backup:list")]
    List(Configured),
}

/// What a backup is made of, or the other way round.
#[derive(Debug, Args)]
pub(crate) struct Archive {
    /// The archive: a tar, packed by zstd. `s3:NAME` is one in the bucket that `[backups]` of
    /// slugline.toml names
    archive: PathBuf,
    #[command(flatten)]
    configured: Configured,
}

/// Which server, and which bucket.
#[derive(Debug, Args)]
pub(crate) struct Configured {
    /// The server's data directory
    #[arg(long, env = "SLUGLINE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// The configuration; slugline.toml in the data directory where it is not given
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// How much an archive holds.
#[derive(Debug, Default)]
struct Amount {
    files: u64,
    bytes: u64,
}

impl Amount {
    fn shown(&self) -> String {
        format!("{}, {}", size::files(self.files), size::human(self.bytes))
    }
}

/// Why a backup could not be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    #[error("back up {} to {}", data_dir.display(), archive.display())]
    Write { data_dir: PathBuf, archive: PathBuf, source: std::io::Error },
    #[error("restore {} to {}", archive.display(), data_dir.display())]
    Read { data_dir: PathBuf, archive: PathBuf, source: std::io::Error },
    #[error("find the bucket of backups")]
    NoBucket,
    #[error("list {bucket}")]
    List { bucket: String, source: std::io::Error },
}

impl BackupError {
    /// For the operator at a terminal.
    pub(crate) fn explain(&self) -> Message {
        let (what, found, next, state) = match self {
            Self::Write { data_dir, archive, source } => (
                format!("cannot back up {} to {}", data_dir.display(), archive.display()),
                source.to_string(),
                "slugline backup FILE --data-dir DIRECTORY",
                "No archive was written, and the server runs on.",
            ),
            Self::Read { data_dir, archive, source } => (
                format!("cannot restore {} to {}", archive.display(), data_dir.display()),
                source.to_string(),
                "slugline backup:restore FILE --data-dir NEW_DIRECTORY",
                "The data directory is as it was.",
            ),
            Self::NoBucket => (
                "cannot find the bucket that backups are in".to_owned(),
                "slugline.toml has no table [backups].".to_owned(),
                "slugline backup s3:NAME --config FILE",
                UNCHANGED,
            ),
            Self::List { bucket, source } => (
                format!("cannot list {bucket}"),
                source.to_string(),
                "slugline backup:list --config FILE",
                UNCHANGED,
            ),
        };
        Message {
            what,
            found,
            allowed: if self.is_about_a_bucket() { IN_A_BUCKET } else { HERE }.to_owned(),
            next: next.to_owned(),
            state: state.to_owned(),
        }
    }
}

const UNCHANGED: &str = "Nothing was written.";
const HERE: &str = "A backup is made of the data directory of a server, by its user, and restored to a \
    directory that is empty or not there yet.";
const IN_A_BUCKET: &str = "The bucket of [backups] must answer, and its key must be allowed to list, \
    get, put and delete there. A backup is restored to a directory that is empty or not there yet.";

impl BackupError {
    fn is_about_a_bucket(&self) -> bool {
        match self {
            Self::Write { archive, .. } | Self::Read { archive, .. } => {
                name_away(archive).is_some()
            }
            Self::NoBucket | Self::List { .. } => true,
        }
    }
}

/// The name of an archive in the bucket.
fn name_away(archive: &Path) -> Option<&str> {
    archive.to_str()?.strip_prefix("s3:")
}

/// Runs one of the commands, apart from the threads that wait for the bucket; gives the exit code.
pub(crate) async fn run(command: BackupCommand) -> Result<i32, CommandError> {
    let done = tokio::task::spawn_blocking(move || run_here(command)).await;
    done.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}

fn run_here(command: BackupCommand) -> Result<i32, CommandError> {
    match command {
        BackupCommand::Backup(Archive { archive, configured }) => {
            let data_dir = configured.data_dir()?;
            let written = match name_away(&archive) {
                Some(name) => write::backup_away(&data_dir, &configured.away()?, name),
                None => write::backup(&data_dir, &archive),
            };
            let shown = archive.display().to_string();
            let amount =
                written.map_err(|source| BackupError::Write { data_dir, archive, source })?;
            say(&format!("{shown}: {}.", amount.shown()));
        }
        BackupCommand::Restore(Archive { archive, configured }) => {
            let data_dir = configured.data_dir()?;
            let restored = match name_away(&archive) {
                Some(name) => read::restore_away(&configured.away()?, name, &data_dir),
                None => read::restore(&archive, &data_dir),
            };
            let shown = data_dir.display().to_string();
            let amount =
                restored.map_err(|source| BackupError::Read { data_dir, archive, source })?;
            say(&format!("{shown}: {}.", amount.shown()));
            say(&format!("Next: slugline serve --data-dir {shown}"));
        }
        BackupCommand::List(configured) => list(&configured.away()?)?,
    }
    Ok(exit_code::OK)
}

fn list(away: &Away) -> Result<(), BackupError> {
    let bucket = away.shown().to_owned();
    let all = away.list().map_err(|source| BackupError::List { bucket, source })?;
    for (name, object) in &all {
        let time = object.last_modified.format("%Y-%m-%d %H:%M");
        say(&format!("{time} {:>8}  s3:{name}", size::human(object.size)));
    }
    say(&format!("{} in {}", size::files(all.len() as u64), away.shown()));
    Ok(())
}

impl Configured {
    fn data_dir(&self) -> Result<PathBuf, CommandError> {
        data_directory_or_default(self.data_dir.as_deref())
    }

    /// The bucket of backups.
    fn away(&self) -> Result<Away, CommandError> {
        let configuration = Configuration::load(self.config.as_deref(), &self.data_dir()?)?;
        let settings = configuration.backups.ok_or(BackupError::NoBucket)?;
        let bucket = settings.shown();
        Ok(Away::open(&settings).map_err(|source| BackupError::List { bucket, source })?)
    }
}

/// A name beside another one's.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(ending);
    path.with_file_name(name)
}
