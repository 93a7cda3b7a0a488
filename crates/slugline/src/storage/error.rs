//! What can go wrong between a user's files and an app's bucket.

use std::path::PathBuf;

use slugline_model::message::Message;

use super::moving::MoveError;

/// Why a file is not where it was to go.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageCommandError {
    #[error("find a bucket of {app}")]
    NoBucket { app: String, wanted: Option<String>, known: Vec<String> },
    #[error("{operation} in the bucket {bucket}")]
    Bucket { operation: String, bucket: String, source: object_store::Error },
    #[error("{operation} {}", path.display())]
    File { operation: &'static str, path: PathBuf, source: std::io::Error },
    #[error("find `{path}` among what the app has written")]
    NothingThere { app: String, path: String },
    #[error("put all of it into the bucket")]
    Partly { failed: Vec<String> },
    #[error("move the bucket")]
    Move(#[from] MoveError),
}

impl StorageCommandError {
    /// For whoever typed the command.
    pub(crate) fn explain(&self) -> Message {
        let message =
            |what: String, found: String, allowed: &str, next: &str, state: &str| Message {
                what,
                found,
                allowed: allowed.to_owned(),
                next: next.to_owned(),
                state: state.to_owned(),
            };
        let unchanged = "Nothing was copied.";
        match self {
            Self::NoBucket { app, wanted, known } => message(
                match wanted {
                    Some(name) => format!("cannot find the bucket {name} of {app}"),
                    None => format!("cannot find the bucket of {app}"),
                },
                match known.as_slice() {
                    [] => "Its config vars name none.".to_owned(),
                    known => format!("Its config vars name these: {}.", known.join(", ")),
                },
                "A bucket has config vars such as S3_BUCKET and AWS_ACCESS_KEY_ID.",
                &if known.is_empty() {
                    format!("heroku addons:create s3 -a {app}")
                } else {
                    format!("slugline storage:… --bucket {} -a {app}", known[0])
                },
                unchanged,
            ),
            Self::Bucket { operation, bucket, source } => message(
                format!("cannot {operation} in the bucket {bucket}"),
                source.to_string(),
                "The server must be up, and the key of the config vars must open the bucket.",
                "the same command again: it goes on with what is not there yet",
                "Each object that is there is whole.",
            ),
            Self::File { operation, path, source } => message(
                format!("cannot {operation} {}", path.display()),
                source.to_string(),
                "It must be there, and this user must be allowed to.",
                "the same command again: it goes on with what is not there yet",
                "Each file and each object that is there is whole.",
            ),
            Self::NothingThere { app, path } => message(
                format!("cannot find `{path}` among what {app} has written"),
                "Neither its running dynos nor the layers that are kept have anything there."
                    .to_owned(),
                "A path is as the app sees it: media/, or /app/media/.",
                &format!("slugline fs -a {app}, or slugline lost -a {app}"),
                unchanged,
            ),
            Self::Partly { failed } => message(
                format!("cannot copy {} of the files", failed.len()),
                failed.join("; "),
                "The bucket must have room for them.",
                "the same command again: it goes on with what is not there yet",
                "Each object that is there is whole.",
            ),
            Self::Move(error) => error.explain(),
        }
    }
}

impl MoveError {
    /// For whoever typed the command.
    fn explain(&self) -> Message {
        let (what, found, allowed) = match self {
            Self::Bucket { operation, bucket, source } => (
                format!("cannot {operation} the bucket {bucket}"),
                source.to_string(),
                "Both servers must be up, and reachable from here.",
            ),
            Self::Journal(source) => (
                "cannot note what was carried".to_owned(),
                source.to_string(),
                "It is noted in ~/.cache/slugline/moves, or below XDG_CACHE_HOME.",
            ),
            Self::NoAccess { addon } => (
                format!("cannot find the bucket of {addon}"),
                "Its values name none under the names that Slugline knows.".to_owned(),
                "Its values are those that heroku addons:create s3 gave it.",
            ),
            Self::Partly { failed, .. } => (
                format!("cannot carry {} of the objects", failed.len()),
                failed.join("; "),
                "Each object must be readable in the old bucket, and have room in the new one.",
            ),
            Self::Another { asked, from, to } => (
                format!("cannot begin a move of {asked}, or to it"),
                format!("The move of {from} to {to} is not over."),
                "An app's buckets move one after another.",
            ),
            Self::OldDynos { dynos } => (
                "cannot end the move while dynos still use the old bucket".to_owned(),
                format!("These were started before it: {}.", dynos.join(", ")),
                "What they write is carried once they are gone.",
            ),
        };
        let switched = matches!(self, Self::Partly { switched: true, .. } | Self::OldDynos { .. });
        let state = if switched {
            "The apps use the new bucket. The old one is as it was."
        } else {
            "The old bucket is as it was. What was carried is not carried again."
        };
        let next = match self {
            Self::Another { to, .. } => {
                format!("slugline storage:move --to {to}, which goes on with it")
            }
            _ => "the same command again: it goes on where it was".to_owned(),
        };
        Message { what, found, allowed: allowed.to_owned(), next, state: state.to_owned() }
    }
}
