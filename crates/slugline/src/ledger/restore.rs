//! `slugline restore`: what a dyno that stopped had written, copied to where the user wants it.

use std::path::{Path, PathBuf};

use clap::Args;
use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;
use slugline_model::kept::{self, RunName};
use slugline_model::message::Message;
use slugline_model::size;

use super::body::reader;
use super::place::Place;
use super::unpack::{Unpacked, unpack};
use crate::builds::{App, Options};
use crate::console::{complain, say};
use crate::errors::CommandError;
use crate::slug_reading::encoded;
use crate::storage::{Adopted, AppBucket, to_bucket};

/// What to get back, and where to.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The run, such as web.1@3; or a dyno that runs, such as web.1
    run: String,
    /// Paths as the app sees them, such as media/, all of what matters where none is given; and
    /// the directory that the copies go to, one of the run's name where it is not given
    #[arg(value_name = "[PATHS…] DIR")]
    rest: Vec<String>,
    /// Replace files that are there and differ
    #[arg(long)]
    force: bool,
    /// Copy into the app's bucket instead of a directory: every argument behind the run is a path
    #[arg(long, conflicts_with = "force", requires = "rest")]
    to_s3: bool,
    #[command(flatten)]
    options: Options,
}

/// Why nothing, or not all, could be restored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    #[error("write into {}", directory.display())]
    Write { directory: PathBuf, source: std::io::Error },
    #[error("find `{path}` in {run}")]
    Path { run: String, path: String },
}

/// How many of those that are in the way are named.
const NAMED: usize = 10;

impl RestoreArgs {
    pub(super) async fn run(self) -> Result<i32, CommandError> {
        let app = App::of(&self.options)?;
        if self.to_s3 {
            return self.to_bucket(&app).await;
        }
        let (directory, paths) = self.places()?;
        let url = app.path(&source(&self.run, &paths));
        let answer = app.client.open(Method::GET, &url, &Value::Null).await?;
        let (to, force) = (directory.clone(), self.force);
        let all = !paths.is_empty();
        let body = reader(answer);
        let unpacked = tokio::task::spawn_blocking(move || {
            let place = Place::open(&to, force)?;
            unpack(body, &place, all)
        });
        let unpacked = unpacked.await.map_err(std::io::Error::other).flatten();
        let unpacked = unpacked.map_err(|source| {
            CommandError::Restore(RestoreError::Write { directory: directory.clone(), source })
        })?;
        if all && unpacked.is_empty() {
            let (run, path) = (self.run.clone(), paths.join("` or `"));
            return Err(RestoreError::Path { run, path }.into());
        }
        self.tell(&unpacked, &directory);
        Ok(if unpacked.in_the_way.is_empty() { exit_code::OK } else { exit_code::INTERNAL })
    }

    async fn to_bucket(&self, app: &App) -> Result<i32, CommandError> {
        let paths =
            self.rest.iter().map(|path| self.absolute(path)).collect::<Result<Vec<_>, _>>()?;
        let bucket = AppBucket::of(app, None).await?;
        let mut all = Adopted::default();
        to_bucket(app, &bucket, &app.path(&source(&self.run, &paths)), &mut all).await?;
        if all.files + all.known == 0 && all.failed.is_empty() {
            let (run, path) = (self.run.clone(), paths.join("` or `"));
            return Err(RestoreError::Path { run, path }.into());
        }
        all.tell(&bucket);
        all.end()
    }

    fn absolute(&self, path: &str) -> Result<String, CommandError> {
        let refused = |_| RestoreError::Path { run: self.run.clone(), path: path.to_owned() };
        Ok(kept::absolute(path).map_err(refused)?)
    }

    /// Where to, and which paths, absolute.
    fn places(&self) -> Result<(PathBuf, Vec<String>), CommandError> {
        let (directory, paths) = match self.rest.split_last() {
            None => (self.run.as_str(), &[][..]),
            Some((directory, paths)) => (directory.as_str(), paths),
        };
        let paths = paths.iter().map(|path| self.absolute(path)).collect::<Result<_, _>>()?;
        Ok((Path::new(directory).to_path_buf(), paths))
    }

    fn tell(&self, unpacked: &Unpacked, directory: &Path) {
        let Unpacked { written, bytes, same, in_the_way, noise } = unpacked;
        if self.options.json {
            let told = json!({
                "files": written, "bytes": bytes, "directory": directory, "same": same,
                "left_out": noise, "in_the_way": in_the_way,
            });
            return say(&format!("{told:#}"));
        }
        let size = size::human(*bytes);
        say(&format!("Restored {}, {size}, to {}", size::files(*written), directory.display()));
        if *same > 0 {
            say(&format!("{} had been restored before", size::files(*same)));
        }
        if *noise > 0 {
            let (files, run) = (size::files(*noise), &self.run);
            say(&format!(
                "{files} of caches and temporary data left out; with them: slugline restore {run} \
                 / {}",
                directory.display()
            ));
        }
        if in_the_way.is_empty() {
            return;
        }
        complain(&format!(
            "{} not restored, since something else is there (--force replaces files):",
            size::files(in_the_way.len() as u64)
        ));
        for path in in_the_way.iter().take(NAMED) {
            complain(&format!("  {}", path.display()));
        }
        if in_the_way.len() > NAMED {
            complain(&format!("  and {} more", in_the_way.len() - NAMED));
        }
    }
}

/// Where the server gives it: a run's layer, or what a live dyno has written.
fn source(run: &str, paths: &[String]) -> String {
    let name = encoded(run.as_bytes());
    let is_live = run.parse::<RunName>().is_err() && run.parse::<uuid::Uuid>().is_err();
    let path = |path: &String| format!("path={}", encoded(path.as_bytes()));
    let query: Vec<String> = paths.iter().map(path).collect();
    let query = query.join("&");
    if is_live {
        format!("/dynos/{name}/archive?{query}")
    } else {
        format!("/receipts/{name}/files?{query}")
    }
}

impl RestoreError {
    /// For whoever wants files back.
    pub(crate) fn explain(&self) -> Message {
        match self {
            Self::Write { directory, source } => Message {
                what: format!("cannot restore into {}", directory.display()),
                found: source.to_string(),
                allowed: "It must be a directory that this user may write to, the disk must have \
                          room, and the server must go on."
                    .to_owned(),
                next: "the same command again: it goes on with what is not there yet".to_owned(),
                state: "Each file that is there is whole; others were not begun.".to_owned(),
            },
            Self::Path { run, path } => Message {
                what: format!("cannot find `{path}` in {run}"),
                found: format!("{run} wrote nothing there."),
                allowed: "A path is as the app sees it: media/, or /app/media/.".to_owned(),
                next: "slugline lost shows what each run had written".to_owned(),
                state: "Nothing was started or changed.".to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_and_a_live_dyno_are_asked_for_by_name() {
        let paths = ["/app/a b".to_owned(), "/srv".to_owned()];
        assert_eq!(source("web.1@3", &[]), "/receipts/web.1%403/files?");
        assert_eq!(source("web.1", &paths), "/dynos/web.1/archive?path=/app/a%20b&path=/srv");
    }
}
