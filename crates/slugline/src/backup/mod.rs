//! `slugline backup`: everything that a server keeps, in one archive, while it runs; and back again.

mod kinds;
mod read;
mod write;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use slugline_model::build::exit_code;
use slugline_model::message::Message;
use slugline_model::size;

use crate::console::say;
use crate::errors::CommandError;
use crate::server::data_directory_or_default;

/// The commands about backups.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Write everything that a server keeps into one archive, while it runs
    #[command(
        name = "backup",
        after_help = "Example:\n  slugline backup /backup/slugline.tar.zst\nThe archive holds \
                      secrets: config vars, keys and tokens. Only its owner may read it."
    )]
    Backup(Files),
    /// Make a data directory of an archive, for a server that is yet to be started
    #[command(
        name = "backup:restore",
        after_help = "Example:\n  slugline backup:restore /backup/slugline.tar.zst --data-dir \
                      /var/lib/slugline"
    )]
    Restore(Files),
}

/// What a backup is made of, or the other way round.
#[derive(Debug, Args)]
pub(crate) struct Files {
    /// The archive: a tar, packed by zstd
    archive: PathBuf,
    /// The server's data directory
    #[arg(long, env = "SLUGLINE_DATA_DIR")]
    data_dir: Option<PathBuf>,
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
        };
        Message {
            what,
            found,
            allowed:
                "A backup is made of the data directory of a server, by its user, and restored \
                      to a directory that is empty or not there yet."
                    .to_owned(),
            next: next.to_owned(),
            state: state.to_owned(),
        }
    }
}

/// Runs one of the commands; gives the exit code.
pub(crate) fn run(command: BackupCommand) -> Result<i32, CommandError> {
    match command {
        BackupCommand::Backup(files) => files.with(|data_dir, archive| {
            let amount = write::backup(&data_dir, &archive).map_err(|source| {
                let (data_dir, archive) = (data_dir.clone(), archive.clone());
                BackupError::Write { data_dir, archive, source }
            })?;
            say(&format!("{}: {}.", archive.display(), amount.shown()));
            Ok(())
        }),
        BackupCommand::Restore(files) => files.with(|data_dir, archive| {
            let amount = read::restore(&archive, &data_dir).map_err(|source| {
                let (data_dir, archive) = (data_dir.clone(), archive.clone());
                BackupError::Read { data_dir, archive, source }
            })?;
            say(&format!("{}: {}.", data_dir.display(), amount.shown()));
            say(&format!("Next: slugline serve --data-dir {}", data_dir.display()));
            Ok(())
        }),
    }
}

impl Files {
    fn with(
        self,
        work: impl FnOnce(PathBuf, PathBuf) -> Result<(), BackupError>,
    ) -> Result<i32, CommandError> {
        let data_dir = data_directory_or_default(self.data_dir.as_deref())?;
        work(data_dir, self.archive)?;
        Ok(exit_code::OK)
    }
}

/// A name beside another one's.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(ending);
    path.with_file_name(name)
}
