//! Whether a bucket can be the store's home: found out by writing, reading, listing and removing.

use bytes::Bytes;

use crate::bucket::Bucket;
use crate::bucket::packing::pack_name;
use crate::bucket::trouble::{BucketError, Trouble};

/// What [`Bucket::check`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The bucket, as it was configured.
    pub bucket: String,
    /// Slugs in it.
    pub slugs: u64,
}

impl Bucket {
    /// Does once what the store will do again and again. Leaves nothing in the bucket.
    pub fn check(&self) -> Result<Checked, BucketError> {
        let content = Bytes::from_static(b"slugline was here");
        let mark = pack_name(blake3::hash(&content));
        let name = format!("check/{mark}");
        self.wait(async {
            self.client.put(&name, content.clone()).await?;
            let read = self.client.get(&name, content.len() as u64).await;
            let listed = self.client.list("check").await;
            self.client.delete(&name).await?;
            let wrong = |what| self.client.error(what, &name, Trouble::Damaged);
            if read? != content {
                return Err(wrong("read"));
            }
            if !listed?.iter().any(|(name, _)| *name == mark) {
                return Err(self.client.error("list", "check", Trouble::Missing));
            }
            let slugs = self.client.list("slugs").await?.len() as u64;
            Ok(Checked { bucket: self.settings.shown(), slugs })
        })
    }
}
