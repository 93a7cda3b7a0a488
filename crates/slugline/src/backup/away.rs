//! Archives in a bucket: each goes there in parts while it is written, exists as a whole or not at all,
//! and is read back and compared.

use std::io::{self, Read, Write};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3;
use object_store::path::Path as Key;
use object_store::{
    MultipartUpload, ObjectMeta, ObjectStore as _, ObjectStoreExt as _, PutPayload,
};
use slugline_store::bucket::BucketSettings;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::objects::spelling::Access;
use crate::storage::AppBucket;

/// A part (bytes): ten thousand of them are 320 GB.
const PART: usize = 32 << 20;
/// Pieces of an archive that are read ahead.
const AHEAD: usize = 16;

/// The bucket that backups go to.
#[derive(Debug, Clone)]
pub(super) struct Away {
    s3: Arc<AmazonS3>,
    prefix: String,
    shown: String,
    /// Calls come from a thread that may block.
    runtime: Handle,
}

impl Away {
    pub(super) fn open(settings: &BucketSettings) -> io::Result<Self> {
        let keys = settings.credentials.read().map_err(io::Error::other)?;
        let access = Access {
            key: keys.key_id,
            secret: keys.secret,
            region: settings.region.clone(),
            bucket: settings.bucket.clone(),
            endpoint: settings.endpoint.clone(),
            prefix: None,
        };
        let bucket = AppBucket::open_streaming(&access)?;
        let (prefix, shown) = (settings.prefix.clone(), settings.shown());
        Ok(Self { s3: bucket.s3, prefix, shown, runtime: Handle::current() })
    }

    /// As people know it.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Puts what is written under a name that is not taken. The parts of what fails are given up.
    pub(super) fn put<T>(
        &self,
        name: &str,
        write: impl FnOnce(&mut Parts<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        let key = self.key(name)?;
        match self.runtime.block_on(self.s3.head(&key)) {
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Err(io::Error::other(format!("a backup {name} is there already"))),
        }
        let upload = self.runtime.block_on(self.s3.put_multipart(&key))?;
        let (buffer, digest) = (Vec::with_capacity(PART), blake3::Hasher::new());
        let mut parts = Parts { upload, buffer, digest, runtime: &self.runtime };
        let written = write(&mut parts).and_then(|written| parts.complete().map(|()| written));
        if written.is_err() {
            // What is left of it shows in no list, and the bucket's rules may remove it.
            let _ = self.runtime.block_on(parts.upload.abort());
        }
        let (written, digest) = (written?, parts.digest.finalize());
        if self.runtime.block_on(self.digest(&key))? != digest {
            // Nobody is to rely on it.
            let _ = self.runtime.block_on(self.s3.delete(&key));
            return Err(io::Error::other("it reads otherwise than it was written"));
        }
        Ok(written)
    }

    async fn digest(&self, key: &Key) -> object_store::Result<blake3::Hash> {
        let mut pieces = self.s3.get(key).await?.into_stream();
        let mut digest = blake3::Hasher::new();
        while let Some(piece) = pieces.try_next().await? {
            digest.update(&piece);
        }
        Ok(digest.finalize())
    }

    /// An archive as it comes.
    pub(super) fn get(&self, name: &str) -> io::Result<impl Read + use<>> {
        let key = self.key(name)?;
        let got = self.runtime.block_on(self.s3.get(&key))?;
        let (send, receive) = mpsc::channel(AHEAD);
        self.runtime.spawn(async move {
            let mut pieces = got.into_stream();
            while let Some(piece) = pieces.next().await {
                if send.send(piece.map_err(io::Error::from)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Pieces { receive, piece: bytes::Bytes::new() })
    }

    /// What is there, the oldest first.
    pub(super) fn list(&self) -> io::Result<Vec<(String, ObjectMeta)>> {
        let prefix = (!self.prefix.is_empty()).then(|| Key::from(self.prefix.as_str()));
        let listed = self.s3.list(prefix.as_ref()).try_collect::<Vec<_>>();
        let mut listed = self.runtime.block_on(listed)?;
        listed.sort_by_key(|one| one.last_modified);
        let named = |one: ObjectMeta| {
            let name = one.location.as_ref().strip_prefix(self.prefix.as_str())?;
            Some((name.trim_start_matches('/').to_owned(), one))
        };
        Ok(listed.into_iter().filter_map(named).collect())
    }

    fn key(&self, name: &str) -> io::Result<Key> {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        Ok(Key::parse(format!("{}{slash}{name}", self.prefix))
            .map_err(object_store::Error::from)?)
    }
}

/// An archive on its way.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    upload: Box<dyn MultipartUpload>,
    buffer: Vec<u8>,
    digest: blake3::Hasher,
    runtime: &'a Handle,
}

impl Parts<'_> {
    fn send(&mut self) -> io::Result<()> {
        let part = std::mem::replace(&mut self.buffer, Vec::with_capacity(PART));
        Ok(self.runtime.block_on(self.upload.put_part(PutPayload::from(part)))?)
    }

    fn complete(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.send()?;
        }
        self.runtime.block_on(self.upload.complete())?;
        Ok(())
    }
}

impl Write for Parts<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PART - self.buffer.len());
        self.digest.update(&bytes[..taken]);
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == PART {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Pieces {
    receive: mpsc::Receiver<io::Result<bytes::Bytes>>,
    piece: bytes::Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receive.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => return Ok(0),
            }
        }
        let read = buffer.len().min(self.piece.len());
        buffer[..read].copy_from_slice(&self.piece.split_to(read));
        Ok(read)
    }
}
