//! `slugline storage:adopt`: uploads that are on the disks of dynos go into the app's bucket.

use std::collections::BTreeSet;
use std::io::Read as _;

use clap::Args;
use http::Method;
use object_store::path::Path as Key;
use serde_json::{Value, json};
use slugline_model::advice::{Framework, adopted};
use slugline_model::build::exit_code;
use slugline_model::kept;
use slugline_model::size;
use tokio::sync::mpsc;

use super::OfBucket;
use super::bucket::AppBucket;
use super::error::StorageCommandError;
use super::put::put_new;
use crate::builds::App;
use crate::console::{complain, say};
use crate::errors::CommandError;
use crate::ledger::reader;
use crate::slug_reading::encoded;

/// Files that are read before the bucket has taken them.
const AHEAD: usize = 4;
/// A file's size (bytes) above which it is left to `restore` and `storage:put`.
const MOST: u64 = 512 * 1024 * 1024;

/// What to adopt.
#[derive(Debug, Args)]
pub(crate) struct AdoptArgs {
    /// Where the app keeps its uploads, as it sees them: media/
    path: String,
    #[command(flatten)]
    of: OfBucket,
}

/// What became of files.
#[derive(Debug, Default)]
pub(crate) struct Adopted {
    /// Put into the bucket.
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// There already.
    pub(crate) known: u64,
    /// Why not, each with its name.
    pub(crate) failed: Vec<String>,
}

impl AdoptArgs {
    pub(super) async fn run(self) -> Result<i32, CommandError> {
        let app = App::of(&self.of.options)?;
        let bucket = AppBucket::of(&app, self.of.bucket.as_deref()).await?;
        let nothing = || StorageCommandError::NothingThere {
            app: app.name.to_string(),
            path: self.path.clone(),
        };
        let path = kept::absolute(&self.path).map_err(|_| nothing())?;
        let (sources, framework) = sources(&app).await?;
        let mut all = Adopted::default();
        for (name, source) in &sources {
            let url = app.path(&format!("{source}?path={}", encoded(path.as_bytes())));
            let before = all.files + all.known;
            to_bucket(&app, &bucket, &url, &mut all).await?;
            let found = all.files + all.known - before;
            if found > 0 && !app.json {
                say(&format!("{name}: {}", size::files(found)));
            }
        }
        if all.files + all.known == 0 && all.failed.is_empty() {
            return Err(nothing().into());
        }
        let settings = adopted(framework, path.trim_start_matches("/app/"));
        if app.json {
            let settings =
                settings.iter().map(|one| json!({ "place": one.place, "lines": one.lines }));
            let told = json!({
                "files": all.files, "bytes": all.bytes, "known": all.known, "failed": all.failed,
                "bucket": bucket.name, "settings": settings.collect::<Vec<_>>(),
            });
            say(&format!("{told:#}"));
            return all.end();
        }
        all.tell(&bucket);
        for setting in settings {
            say(&format!("\n{}:\n", setting.place));
            for line in setting.lines.lines() {
                say(&format!("    {line}"));
            }
        }
        all.end()
    }
}

impl Adopted {
    pub(crate) fn tell(&self, bucket: &AppBucket) {
        let (count, bytes) = (size::files(self.files), size::human(self.bytes));
        say(&format!("Copied {count}, {bytes}, into {}", bucket.name));
        if self.known > 0 {
            say(&format!("There already, and left as it is: {}", size::files(self.known)));
        }
    }

    /// The exit code, or what was left out.
    pub(crate) fn end(self) -> Result<i32, CommandError> {
        if self.failed.is_empty() {
            return Ok(exit_code::OK);
        }
        Err(StorageCommandError::Partly { failed: self.failed }.into())
    }
}

/// Where files of the app are, the newest first: its running dynos, then layers that are kept.
async fn sources(app: &App) -> Result<(Vec<(String, String)>, Framework), CommandError> {
    let dynos = app.client.get(&app.path("/files")).await?;
    let dynos = dynos.as_array().map(Vec::as_slice).unwrap_or_default();
    let framework = dynos
        .iter()
        .find_map(|dyno| serde_json::from_value::<Framework>(dyno["framework"].clone()).ok());
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let mut sources: Vec<(String, String)> = dynos
        .iter()
        .map(|dyno| {
            let name = text(dyno, "dyno");
            let source = format!("/dynos/{}/archive", encoded(text(dyno, "id").as_bytes()));
            (name, source)
        })
        .collect();
    let receipts = app.client.get(&app.path("/receipts?since=0")).await?;
    let mut receipts = receipts.as_array().cloned().unwrap_or_default();
    receipts.retain(|receipt| receipt["layer"]["state"] == "kept");
    receipts.sort_by_key(|receipt| std::cmp::Reverse(text(receipt, "created_at")));
    let mut seen = BTreeSet::new();
    for receipt in &receipts {
        let name = text(receipt, "name");
        if seen.insert(name.clone()) {
            let source = format!("/receipts/{}/files", encoded(name.as_bytes()));
            sources.push((name, source));
        }
    }
    Ok((sources, framework.unwrap_or_default()))
}

/// Puts the files of a tar of the server's into a bucket, under their paths below `/app`. What has a
/// key already stays: it is newer, or the same.
pub(crate) async fn to_bucket(
    app: &App,
    bucket: &AppBucket,
    url: &str,
    all: &mut Adopted,
) -> Result<(), CommandError> {
    let answer = app.client.open(Method::GET, url, &Value::Null).await?;
    let body = reader(answer);
    let (send, mut files) = mpsc::channel(AHEAD);
    let reading = tokio::task::spawn_blocking(move || read(body, &send));
    while let Some((path, content)) = files.recv().await {
        // Its own name as far as a key may have it: addresses are to stay what they were.
        let key = format!("{}{path}", bucket.prefix);
        let key = Key::parse(&key).unwrap_or_else(|_| Key::from(key));
        match content {
            None => all.failed.push(format!("{path} is larger than {}", size::human(MOST))),
            Some(content) => {
                let bytes = content.len() as u64;
                match put_new(bucket, &key, content).await {
                    Ok(true) => {
                        all.files += 1;
                        all.bytes += bytes;
                    }
                    Ok(false) => all.known += 1,
                    Err(error) => {
                        complain(&format!("{path}: {error}"));
                        all.failed.push(path);
                    }
                }
            }
        }
    }
    let read = reading.await.map_err(std::io::Error::other).flatten();
    read.map_err(|source| {
        StorageCommandError::File { operation: "read", path: "what the dyno wrote".into(), source }
            .into()
    })
}

/// Regular files of a tar; of one that is too large only the name.
fn read(
    body: impl std::io::Read,
    send: &mpsc::Sender<(String, Option<Vec<u8>>)>,
) -> std::io::Result<()> {
    let mut tar = tar::Archive::new(body);
    for entry in tar.entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = path.strip_prefix("app/").unwrap_or(&path).to_owned();
        let content = if entry.size() > MOST {
            None
        } else {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            Some(content)
        };
        if send.blocking_send((path, content)).is_err() {
            break;
        }
    }
    Ok(())
}
