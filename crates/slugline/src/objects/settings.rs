//! The tables `[s3]` and `[backups]` of the configuration: buckets somewhere else, of which apps get
//! parts, and where backups go.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use slugline_store::bucket::BucketSettings;
use toml::Spanned;

use crate::bucket::{StoreTable, Wrong};

/// What the table may hold, for people.
pub(crate) const ALLOWED: &str = "[s3] and [backups] have `bucket`, such as \"s3://NAME/PREFIX\", `endpoint`, \
    `region`, `path_style` and `credentials`, a file.";

/// Where the plan `external` keeps what apps put, or where backups are.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ObjectsTable {
    /// `s3://NAME/PREFIX`.
    bucket: Option<Spanned<String>>,
    /// The server's address where it is not Amazon's.
    endpoint: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    path_style: Option<bool>,
    /// A file with the credentials; else they are in the environment.
    credentials: Option<Spanned<PathBuf>>,
}

impl ObjectsTable {
    /// What is configured, if anything is.
    pub(crate) fn settings(self, file: &Path) -> Result<Option<BucketSettings>, Wrong> {
        let Self { bucket, endpoint, region, path_style, credentials } = self;
        let table = StoreTable::of_bucket(bucket, endpoint, region, path_style, credentials);
        table.settings(file, |name| std::env::var(name).ok())
    }
}
