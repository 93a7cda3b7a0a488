//! `slugline storage:ls`.

use clap::Args;
use futures_util::TryStreamExt as _;
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore as _};
use serde_json::json;
use slugline_model::build::exit_code;
use slugline_model::size;

use super::OfBucket;
use super::bucket::AppBucket;
use crate::builds::App;
use crate::console::say;
use crate::errors::CommandError;

/// What to list.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Only what begins with this, such as covers/
    prefix: Option<String>,
    #[command(flatten)]
    of: OfBucket,
}

impl LsArgs {
    pub(super) async fn run(self) -> Result<i32, CommandError> {
        let app = App::of(&self.of.options)?;
        let bucket = AppBucket::of(&app, self.of.bucket.as_deref()).await?;
        let objects = list(&bucket, self.prefix.as_deref().unwrap_or_default()).await?;
        let bytes: u64 = objects.iter().map(|object| object.size).sum();
        if self.of.options.json {
            let each = objects.iter().map(|object| {
                json!({
                    "key": object.location.as_ref(),
                    "bytes": object.size,
                    "modified_at": object.last_modified.to_rfc3339(),
                    "etag": object.e_tag,
                })
            });
            let each: Vec<_> = each.collect();
            let all = json!({ "bucket": bucket.name, "bytes": bytes, "objects": each });
            say(&format!("{all:#}"));
            return Ok(exit_code::OK);
        }
        for object in &objects {
            let time = object.last_modified.format("%Y-%m-%d %H:%M");
            say(&format!("{time} {:>8}  {}", size::human(object.size), object.location));
        }
        let count = size::files(objects.len() as u64);
        say(&format!("{count}, {} in {}", size::human(bytes), bucket.name));
        Ok(exit_code::OK)
    }
}

/// Everything whose key begins with a text, which need not end at a slash.
pub(super) async fn list(
    bucket: &AppBucket,
    prefix: &str,
) -> Result<Vec<ObjectMeta>, CommandError> {
    let prefix = format!("{}{prefix}", bucket.prefix);
    let directory = prefix.rfind('/').map(|at| Key::from(&prefix[..at]));
    let listed = bucket.s3.list(directory.as_ref()).try_collect::<Vec<_>>().await;
    let listed = listed.map_err(|error| bucket.failed(format!("list {prefix}"), error))?;
    let mut listed: Vec<_> =
        listed.into_iter().filter(|one| one.location.as_ref().starts_with(&prefix)).collect();
    listed.sort_by(|a, b| a.location.cmp(&b.location));
    Ok(listed)
}
