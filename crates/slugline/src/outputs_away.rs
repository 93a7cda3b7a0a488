//! The bucket of `[logs]`: outputs of builds and release phases, each an object `outputs/ID`.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryStreamExt as _};
use object_store::path::Path as Key;
use object_store::{MultipartUpload, ObjectStore as _, ObjectStoreExt as _, PutPayload};
use slugline_platform::OutputBucket;
use slugline_store::bucket::BucketSettings;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use uuid::Uuid;

use crate::storage::AppBucket;

/// What is sent at once (bytes); a longer output goes in parts of this size.
const PART: u64 = 16 << 20;

/// The bucket. It is opened anew for each use, so that a key that was replaced in its file serves.
#[derive(Debug)]
pub(crate) struct OutputsAway(pub(crate) BucketSettings);

impl OutputsAway {
    fn directory(&self) -> String {
        let slash = if self.0.prefix.is_empty() { "" } else { "/" };
        format!("{}{slash}outputs", self.0.prefix)
    }

    fn key(&self, id: Uuid) -> Key {
        Key::from(format!("{}/{id}", self.directory()))
    }

    async fn lengths(&self) -> io::Result<HashMap<Uuid, u64>> {
        let bucket = AppBucket::of_table(&self.0)?;
        let directory = Key::from(self.directory());
        let mut listed = bucket.s3.list(Some(&directory));
        let mut lengths = HashMap::new();
        while let Some(one) = listed.try_next().await? {
            // Whatever else is there is not ours.
            if let Some(Ok(id)) = one.location.filename().map(str::parse) {
                lengths.insert(id, one.size);
            }
        }
        Ok(lengths)
    }

    async fn send(&self, id: Uuid, file: &Path) -> io::Result<()> {
        let bucket = AppBucket::of_table(&self.0)?;
        let mut file = tokio::fs::File::open(file).await?;
        let first = part(&mut file).await?;
        if (first.len() as u64) < PART {
            bucket.s3.put(&self.key(id), PutPayload::from(first)).await?;
            return Ok(());
        }
        let mut upload = bucket.s3.put_multipart(&self.key(id)).await?;
        let sent = parts(upload.as_mut(), first, &mut file).await;
        if sent.is_err() {
            // What is left of it shows in no list, and the bucket's rules may remove it.
            let _ = upload.abort().await;
        }
        sent
    }

    async fn fetch(&self, id: Uuid, file: &Path) -> io::Result<()> {
        let bucket = AppBucket::of_table(&self.0)?;
        let mut pieces = bucket.s3.get(&self.key(id)).await?.into_stream();
        let mut file = tokio::fs::File::create(file).await?;
        while let Some(piece) = pieces.try_next().await? {
            file.write_all(&piece).await?;
        }
        file.flush().await
    }
}

async fn part(file: &mut tokio::fs::File) -> io::Result<Vec<u8>> {
    let mut part = Vec::new();
    file.take(PART).read_to_end(&mut part).await?;
    Ok(part)
}

async fn parts(
    upload: &mut dyn MultipartUpload,
    first: Vec<u8>,
    file: &mut tokio::fs::File,
) -> io::Result<()> {
    let mut next = first;
    while !next.is_empty() {
        upload.put_part(PutPayload::from(next)).await?;
        next = part(file).await?;
    }
    upload.complete().await?;
    Ok(())
}

impl OutputBucket for OutputsAway {
    fn shown(&self) -> String {
        self.0.shown()
    }

    fn list(&self) -> BoxFuture<'_, io::Result<HashMap<Uuid, u64>>> {
        self.lengths().boxed()
    }

    fn put<'a>(&'a self, id: Uuid, file: &'a Path) -> BoxFuture<'a, io::Result<()>> {
        self.send(id, file).boxed()
    }

    fn get<'a>(&'a self, id: Uuid, file: &'a Path) -> BoxFuture<'a, io::Result<()>> {
        self.fetch(id, file).boxed()
    }
}
