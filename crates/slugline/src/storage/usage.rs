//! `slugline storage:usage`: how much is in an app's bucket, and how much it takes.

use clap::Args;
use serde_json::{Value, json};
use slugline_model::build::exit_code;
use slugline_model::size;

use super::OfBucket;
use super::bucket::AppBucket;
use super::{ls, moving};
use crate::builds::App;
use crate::console::say;
use crate::errors::CommandError;

/// Which bucket's.
#[derive(Debug, Args)]
pub(crate) struct UsageArgs {
    #[command(flatten)]
    of: OfBucket,
}

impl UsageArgs {
    pub(super) async fn run(self) -> Result<i32, CommandError> {
        let app = App::of(&self.of.options)?;
        let addon = moving::source(&app, self.of.bucket.as_deref()).await?;
        let known = app.client.get(&app.path(&format!("/addons/{addon}/usage"))).await?;
        let usage = if known.is_null() { self.counted(&app).await? } else { known };
        if self.of.options.json {
            say(&format!("{usage:#}"));
        } else {
            say(&format!("{addon}: {}", usage["told"].as_str().unwrap_or_default()));
        }
        Ok(exit_code::OK)
    }

    /// Of a bucket somewhere else only its list tells.
    async fn counted(&self, app: &App) -> Result<Value, CommandError> {
        let bucket = AppBucket::of(app, self.of.bucket.as_deref()).await?;
        let objects = ls::list(&bucket, "").await?;
        let (files, bytes) = (objects.len() as u64, objects.iter().map(|one| one.size).sum());
        let told = format!("{}, {}", size::files(files), size::human(bytes));
        Ok(json!({ "files": files, "bytes": bytes, "quota": null, "told": told }))
    }
}
