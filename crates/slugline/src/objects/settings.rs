//! The tables `[s3]` and `[backups]` of the configuration: buckets somewhere else, of which apps get
//! parts, and where backups go.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use slugline_store::bucket::BucketSettings;
use toml::Spanned;

use crate::bucket::{StoreTable, Wrong};

/// What the table may hold, for people.
pub(crate) const ALLOWED: &str = "[s3] and [backups] have `bucket`, such as \"s3://NAME/PREFIX\", `endpoint`, \
    `region`, `path_style` and `credentials`, a file; [s3] has `users = \"radosgw\"`, too, where the \
    gateway is Ceph's, `endpoint` its address, and `bucket` what names of buckets are to begin with.";

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
    /// Who makes users: `radosgw`.
    users: Option<Spanned<String>>,
}

/// Where the plan `external` keeps what apps put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outside {
    /// Below a prefix in the operator's bucket.
    Shared(BucketSettings),
    /// In a bucket of a user of the add-on's own, at Ceph's gateway.
    OwnUsers(BucketSettings),
}

impl ObjectsTable {
    /// What is configured for apps, if anything is.
    pub(crate) fn outside(mut self, file: &Path) -> Result<Option<Outside>, Wrong> {
        let users = self.users.take();
        let wrong = |users: &Spanned<String>, found: &str| Wrong {
            place: Some(users.span()),
            value: users.get_ref().clone(),
            found: found.to_owned(),
        };
        if let Some(users) = users.as_ref().filter(|users| users.get_ref() != "radosgw") {
            return Err(wrong(users, "Users are made at a gateway of Ceph's alone."));
        }
        match (self.settings(file)?, users) {
            (None, Some(users)) => Err(wrong(&users, "There is no `bucket` that it could be for.")),
            (Some(settings), Some(users)) if settings.endpoint.is_none() => {
                Err(wrong(&users, &format!("{} has no `endpoint`.", settings.shown())))
            }
            (Some(settings), Some(users)) if !settings.prefix.is_empty() => {
                Err(wrong(&users, &format!("{} has a prefix.", settings.shown())))
            }
            (settings, Some(_)) => Ok(settings.map(Outside::OwnUsers)),
            (settings, None) => Ok(settings.map(Outside::Shared)),
        }
    }

    /// Which bucket, if any.
    pub(crate) fn settings(self, file: &Path) -> Result<Option<BucketSettings>, Wrong> {
        let Self { bucket, endpoint, region, path_style, credentials, users } = self;
        if let Some(users) = users {
            let found = "Only [s3] has users.".to_owned();
            return Err(Wrong { place: Some(users.span()), value: users.into_inner(), found });
        }
        let table = StoreTable::of_bucket(bucket, endpoint, region, path_style, credentials);
        table.settings(file, |name| std::env::var(name).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(text: &str) -> Result<Option<Outside>, String> {
        let table: ObjectsTable = toml::from_str(text).unwrap();
        table.outside(Path::new("/etc/slugline.toml")).map_err(|wrong| wrong.found)
    }

    #[test]
    fn users_are_made_at_an_address_and_in_buckets_of_their_own() {
        let base = "credentials = \"keys\"\nusers = \"radosgw\"\n";
        let at = "endpoint = \"http://127.0.0.1:1\"\nbucket = \"s3://house\"\n";
        assert!(matches!(outside(&format!("{base}{at}")), Ok(Some(Outside::OwnUsers(_)))));
        let shared = format!("{at}credentials = \"keys\"\n");
        assert!(matches!(outside(&shared), Ok(Some(Outside::Shared(_)))));
        assert_eq!(outside(""), Ok(None));
        for (text, expected) in [
            (format!("{base}bucket = \"s3://house\"\n"), "has no `endpoint`"),
            (format!("{base}{}", at.replace("house", "house/of")), "has a prefix"),
            ("users = \"radosgw\"".to_owned(), "no `bucket`"),
            ("users = \"minio\"".to_owned(), "Ceph's alone"),
        ] {
            let found = outside(&text).unwrap_err();
            assert!(found.contains(expected), "{text}: {found}");
        }
        let backups: ObjectsTable = toml::from_str("users = \"radosgw\"").unwrap();
        let refused = backups.settings(Path::new("x")).err().unwrap();
        assert_eq!(refused.found, "Only [s3] has users.");
    }
}
