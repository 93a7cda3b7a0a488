//! `slugline storage:move`: an app's bucket goes to another service, object by object, while the app
//! runs. The same command again goes on where it was.

mod journal;
mod object;
mod pass;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Args;
use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;
use slugline_model::carry::Phase;
use slugline_model::size;

use super::OfBucket;
use super::bucket::access_of;
use super::error::StorageCommandError;
use super::wire::{Wire, WireError};
use crate::builds::App;
use crate::console::say;
use crate::errors::CommandError;
use journal::Journal;
use pass::{Passed, pass};

/// Looks at both buckets before the apps change over, at most: an app that writes without end is
/// carried after by the last one.
const LOOKS: usize = 5;
/// How long older dynos are waited for.
const PATIENCE: Duration = Duration::from_mins(15);

/// The plan of other people's buckets.
const EXTERNAL: &str = "s3:external";

/// Where to.
#[derive(Debug, Args)]
pub(crate) struct MoveArgs {
    /// The plan that the bucket goes to; s3:external where it is not given
    #[arg(long, value_name = "PLAN")]
    to: Option<String>,
    #[command(flatten)]
    of: OfBucket,
}

/// Why a bucket has not moved, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MoveError {
    #[error("{operation} the bucket {bucket}")]
    Bucket { operation: &'static str, bucket: String, source: WireError },
    #[error("note what was carried")]
    Journal(#[from] std::io::Error),
    #[error("find the bucket of {addon}")]
    NoAccess { addon: String },
    #[error("carry all objects")]
    Partly { failed: Vec<String>, switched: bool },
    #[error("begin another move")]
    Another { asked: String, from: String, to: String },
    #[error("wait for dynos that still use the old bucket")]
    OldDynos { dynos: Vec<String> },
}

impl MoveError {
    fn of(wire: &Wire, operation: &'static str, source: WireError) -> Self {
        Self::Bucket { operation, bucket: wire.bucket.clone(), source }
    }
}

impl From<MoveError> for CommandError {
    fn from(error: MoveError) -> Self {
        StorageCommandError::Move(error).into()
    }
}

/// A move as the server tells of it.
struct Begun {
    app: App,
    told: Value,
}

impl MoveArgs {
    pub(super) async fn run(self) -> Result<i32, CommandError> {
        let app = App::of(&self.of.options)?;
        let mut begun =
            Begun::find_or_begin(app, self.to.as_deref(), self.of.bucket.as_deref()).await?;
        let (source, target) = (begun.wire("source").await?, begun.wire("target").await?);
        let mut journal = Journal::open(&begun.text("target", "id")).map_err(MoveError::from)?;
        let (from, to) = (begun.text("source", "name"), begun.text("target", "name"));
        say(&format!("{from} ({}) goes to {to} ({})", source.bucket, target.bucket));
        if begun.told["switched_at"].is_null() {
            target.abort_all().await.map_err(|error| MoveError::of(&target, "use", error))?;
            carry_all((&source, &target), &mut journal).await?;
            begun.switch().await?;
        }
        begun.wait_for_older_dynos().await?;
        let last = pass((&source, &target), &mut journal, Phase::After).await?;
        tell("Last look", &last);
        refuse_partly(last, true)?;
        begun.act("finish").await?;
        // It is of no use any more.
        let _ = std::fs::remove_file(&journal.path);
        say(&format!(
            "The bucket is moved. The old one is as it was, and no app uses it. To remove it:\n    \
             heroku addons:destroy {from} -a {}",
            begun.app.name
        ));
        Ok(exit_code::OK)
    }
}

/// Looks until both are the same, or nearly.
async fn carry_all(buckets: (&Wire, &Wire), journal: &mut Journal) -> Result<(), MoveError> {
    for look in 1..=LOOKS {
        let passed = pass(buckets, journal, Phase::Before).await?;
        tell(&format!("Look {look}"), &passed);
        let is_over = passed.found_nothing();
        refuse_partly(passed, false)?;
        if is_over {
            break;
        }
    }
    Ok(())
}

fn tell(which: &str, passed: &Passed) {
    let (count, bytes) = (size::files(passed.carried), size::human(passed.bytes));
    let removed = match passed.removed {
        0 => String::new(),
        removed => format!(", {} removed", size::files(removed)),
    };
    let same = size::files(passed.same);
    say(&format!("{which}: {count} carried and read back, {bytes}{removed}; {same} the same"));
}

fn refuse_partly(passed: Passed, switched: bool) -> Result<(), MoveError> {
    if passed.failed.is_empty() {
        return Ok(());
    }
    Err(MoveError::Partly { failed: passed.failed, switched })
}

impl Begun {
    /// One that is not over, or a new one.
    async fn find_or_begin(
        app: App,
        plan: Option<&str>,
        bucket: Option<&str>,
    ) -> Result<Self, CommandError> {
        let moves = app.client.get(&app.path("/addon-moves")).await?;
        let moves = moves.as_array().cloned().unwrap_or_default();
        let unfinished = moves.into_iter().find(|one| one["finished_at"].is_null());
        if let Some(told) = unfinished {
            let begun = Self { app, told };
            return begun.is_what_is_asked(plan, bucket).await.map(|()| begun);
        }
        let source = source(&app, bucket).await?;
        let path = app.path(&format!("/addons/{source}/move"));
        let values = app.client.get(&format!("/addons/{source}/config")).await?;
        let body = json!({ "plan": plan.unwrap_or(EXTERNAL), "config": names_of(&vars(&values)) });
        let told = app.client.send(Method::POST, &path, &body).await?;
        Ok(Self { app, told })
    }

    /// One move at a time: another one is not begun by going on with this.
    async fn is_what_is_asked(
        &self,
        plan: Option<&str>,
        bucket: Option<&str>,
    ) -> Result<(), CommandError> {
        let (from, to) = (self.text("source", "name"), self.text("target", "plan"));
        let is_plan = |asked: &str| asked == to || to.strip_prefix("s3:") == Some(asked);
        let other = match (plan, bucket) {
            (Some(plan), _) if !is_plan(plan) => Some(plan.to_owned()),
            // After the change-over the attachment is the new one's.
            (_, Some(bucket)) => {
                let named = source(&self.app, Some(bucket)).await?;
                let is_one = named == from || named == self.text("target", "name");
                (!is_one).then_some(named)
            }
            _ => None,
        };
        match other {
            None => Ok(()),
            Some(asked) => Err(MoveError::Another { asked, from, to }.into()),
        }
    }

    fn text(&self, side: &str, name: &str) -> String {
        self.told[side][name].as_str().unwrap_or_default().to_owned()
    }

    /// One of the two buckets.
    async fn wire(&self, side: &str) -> Result<Wire, CommandError> {
        let addon = self.text(side, "name");
        let values = self.app.client.get(&format!("/addons/{addon}/config")).await?;
        let access = access_of(&vars(&values)).ok_or(MoveError::NoAccess { addon })?;
        let bucket = access.bucket.clone();
        Ok(Wire::open(&access).map_err(|source| MoveError::Bucket {
            operation: "use",
            bucket,
            source,
        })?)
    }

    async fn act(&mut self, what: &str) -> Result<(), CommandError> {
        let source = self.text("source", "name");
        let path = self.app.path(&format!("/addons/{source}/move/actions/{what}"));
        self.told = self.app.client.send(Method::POST, &path, &Value::Null).await?;
        Ok(())
    }

    async fn switch(&mut self) -> Result<(), CommandError> {
        self.act("switch").await?;
        for (app, version) in self.releases().await? {
            say(&format!("{app} uses the new bucket from v{version} on"));
        }
        Ok(())
    }

    /// The release by which each app changed over.
    async fn releases(&self) -> Result<Vec<(String, u64)>, CommandError> {
        let reference = format!("(@ref:{})", self.text("target", "name"));
        let is_it = |release: &Value| {
            let text = release["description"].as_str().unwrap_or_default();
            text.starts_with("Move ") && text.ends_with(&reference)
        };
        let mut found = Vec::new();
        for app in self.told["target"]["apps"].as_array().cloned().unwrap_or_default() {
            let Some(app) = app.as_str() else { continue };
            let releases = self.app.client.get(&format!("/apps/{app}/releases")).await?;
            let releases = releases.as_array().cloned().unwrap_or_default();
            let version = releases.iter().rev().find(|release| is_it(release));
            found.extend(version.and_then(|one| Some((app.to_owned(), one["version"].as_u64()?))));
        }
        Ok(found)
    }

    /// Dynos that were started before know the old bucket alone.
    async fn wait_for_older_dynos(&self) -> Result<(), CommandError> {
        let releases = self.releases().await?;
        let end = Instant::now() + PATIENCE;
        loop {
            let mut old = Vec::new();
            for (app, version) in &releases {
                let dynos = self.app.client.get(&format!("/apps/{app}/dynos")).await?;
                let dynos = dynos.as_array().cloned().unwrap_or_default();
                let is_old = |dyno: &&Value| {
                    dyno["release"]["version"].as_u64().is_some_and(|of| of < *version)
                };
                let name =
                    |dyno: &Value| format!("{app}'s {}", dyno["name"].as_str().unwrap_or_default());
                old.extend(dynos.iter().filter(is_old).map(name));
            }
            if old.is_empty() {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(MoveError::OldDynos { dynos: old }.into());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// The add-on that is meant: of an attachment, or the app's only one of the service.
pub(super) async fn source(app: &App, attachment: Option<&str>) -> Result<String, CommandError> {
    let name = |addon: &Value| addon["name"].as_str().unwrap_or_default().to_owned();
    if let Some(attachment) = attachment {
        let attachment = attachment.to_ascii_uppercase();
        let addon = app.client.get(&app.path(&format!("/addons/{attachment}"))).await?;
        return Ok(name(&addon));
    }
    let addons = app.client.get(&app.path("/addons")).await?;
    let addons = addons.as_array().cloned().unwrap_or_default();
    let of_service: Vec<String> =
        addons.iter().filter(|one| one["addon_service"]["name"] == "s3").map(name).collect();
    match of_service.as_slice() {
        [only] => Ok(only.clone()),
        several => Err(StorageCommandError::NoBucket {
            app: app.name.to_string(),
            wanted: None,
            known: several.to_vec(),
        }
        .into()),
    }
}

fn vars(values: &Value) -> BTreeMap<String, String> {
    let pairs = values.as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    pairs.map(|pair| (text(&pair["name"]), text(&pair["value"]))).collect()
}

/// The new bucket's config vars have the names that the old one's have.
fn names_of(vars: &BTreeMap<String, String>) -> Value {
    let begins = |prefix: &str| vars.keys().any(|name| name.starts_with(prefix));
    if begins("BUCKETEER_") {
        return json!({ "names": "bucketeer" });
    }
    if begins("CLOUDCUBE_") { json!({ "names": "cloudcube" }) } else { json!({}) }
}
