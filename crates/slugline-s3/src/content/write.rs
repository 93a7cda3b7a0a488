//! Content on its way in: hashed piece by piece beside the network, and synced before it counts.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Md5};
use s3s::{S3ErrorCode, StdError};

use crate::content::checksums::{Algorithm, Checksums};
use crate::content::{ContentId, INLINE, PIECE, Places};
use crate::error::{Result, StorageError};

/// Room that is kept back: to remove things takes some, too.
const RESERVE: u64 = 32 * 1024 * 1024;

/// Content that is whole and on the disk, but that the index does not know yet.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) id: ContentId,
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    pub(crate) checksums: Checksums,
    /// A BLAKE3 hash of each piece.
    pub(crate) hashes: Vec<u8>,
    /// Small content itself.
    pub(crate) data: Option<Bytes>,
    /// The file of content that is not small.
    pub(crate) arrived: Option<Arrived>,
}

impl Written {
    pub(crate) fn md5_hex(&self) -> String {
        hex(&self.md5)
    }
}

/// A file that the index does not know yet. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct Arrived {
    id: ContentId,
    places: Option<Places>,
}

impl Arrived {
    /// The index knows it now: it goes to its place.
    pub(crate) fn settle(mut self) {
        if let Some(places) = self.places.take() {
            places.settle(self.id);
        }
    }

    /// The index may know it: it is left where it is, and the next start decides.
    pub(crate) fn leave(mut self) {
        self.places = None;
    }
}

impl Drop for Arrived {
    fn drop(&mut self) {
        if let Some(places) = &self.places {
            places.remove(self.id);
        }
    }
}

/// Small letters.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes a body of at most so many bytes, and computes what is wanted of it.
pub(crate) async fn write<S>(
    places: &Places,
    body: S,
    most: u64,
    wanted: Vec<Algorithm>,
) -> Result<Written>
where
    S: Stream<Item = std::result::Result<Bytes, StdError>>,
{
    let mut body = std::pin::pin!(body);
    let mut sink = Hand::Here(Box::new(Sink::new(places.clone(), wanted)?));
    let mut buffer = BytesMut::new();
    let mut size = 0_u64;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        size += chunk.len() as u64;
        if size > most {
            return Err(StorageError::refused(
                S3ErrorCode::EntityTooLarge,
                "Your proposed upload exceeds the maximum allowed size",
            ));
        }
        buffer.extend_from_slice(&chunk);
        while buffer.len() >= PIECE {
            let piece = buffer.split_to(PIECE).freeze();
            let ready = sink.ready().await?;
            sink = Hand::Busy(tokio::task::spawn_blocking(move || ready.piece(&piece)));
        }
    }
    let last = buffer.freeze();
    let sink = sink.ready().await?;
    if sink.size == 0 && last.len() <= INLINE {
        return sink.inline(last);
    }
    let finished = tokio::task::spawn_blocking(move || sink.piece(&last)?.finish()).await;
    finished.map_err(|_| StorageError::Closed)?
}

/// Where the sink is: here, or writing what it was given, while more comes.
enum Hand {
    Here(Box<Sink>),
    Busy(tokio::task::JoinHandle<Result<Sink>>),
}

impl Hand {
    async fn ready(self) -> Result<Sink> {
        match self {
            Self::Here(sink) => Ok(*sink),
            Self::Busy(writing) => writing.await.map_err(|_| StorageError::Closed)?,
        }
    }
}

/// What is wrong with a body that breaks off, as far as the layers above say it.
fn broken(error: &StdError) -> StorageError {
    let text = error.to_string();
    let told = |code, message: &str| StorageError::refused(code, message);
    if text.contains("Sha256Mismatch") {
        let message =
            "The provided 'x-amz-content-sha256' header does not match what was computed.";
        return told(S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()), message);
    }
    if text.contains("SignatureMismatch") {
        let message = "A chunk's signature does not match what was computed.";
        return told(S3ErrorCode::SignatureDoesNotMatch, message);
    }
    let message =
        "You did not provide the number of bytes specified by the Content-Length HTTP header.";
    told(S3ErrorCode::IncompleteBody, message)
}

/// What bytes go through.
struct Sink {
    places: Places,
    id: ContentId,
    file: Option<File>,
    size: u64,
    md5: Md5,
    checksums: ChecksumHasher,
    hashes: Vec<u8>,
}

impl Sink {
    fn new(places: Places, wanted: Vec<Algorithm>) -> Result<Self> {
        Ok(Self {
            places,
            id: ContentId::draw()?,
            file: None,
            size: 0,
            md5: Md5::new(),
            checksums: Checksums::hasher(wanted),
            hashes: Vec::new(),
        })
    }

    fn piece(mut self, bytes: &[u8]) -> Result<Self> {
        if bytes.is_empty() {
            return Ok(self);
        }
        self.hash(bytes);
        let path = self.places.arriving(self.id);
        if self.file.is_none() {
            self.file = Some(create(&self.places, &path)?);
        }
        if let Some(file) = &mut self.file {
            file.write_all(bytes).map_err(|error| StorageError::file("write", &path, error))?;
        }
        Ok(self)
    }

    fn hash(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.checksums.update(bytes);
        for piece in bytes.chunks(PIECE) {
            self.hashes.extend_from_slice(blake3::hash(piece).as_bytes());
        }
        self.size += bytes.len() as u64;
    }

    /// Not a byte counts before all are on the disk, and the file's name with them.
    fn finish(mut self) -> Result<Written> {
        if let Some(file) = &self.file {
            let path = self.places.arriving(self.id);
            file.sync_data().map_err(|error| StorageError::file("sync", &path, error))?;
            sync_directory(&self.places.incoming())?;
        }
        self.file = None;
        Ok(self.written(None))
    }

    fn inline(mut self, data: Bytes) -> Result<Written> {
        self.hash(&data);
        room(&self.places)?;
        Ok(self.written(Some(data)))
    }

    fn written(mut self, data: Option<Bytes>) -> Written {
        let id = self.id;
        let (md5, checksums) = (std::mem::take(&mut self.md5), std::mem::take(&mut self.checksums));
        let arrived = data.is_none().then(|| Arrived { id, places: Some(self.places.clone()) });
        Written {
            id,
            size: self.size,
            md5: md5.finalize(),
            checksums: checksums.finalize().into(),
            hashes: std::mem::take(&mut self.hashes),
            data,
            arrived,
        }
    }
}

/// What breaks off leaves nothing.
impl Drop for Sink {
    fn drop(&mut self) {
        if self.file.is_some() {
            self.places.remove(self.id);
        }
    }
}

fn create(places: &Places, path: &Path) -> Result<File> {
    room(places)?;
    File::create_new(path).map_err(|error| StorageError::file("create", path, error))
}

/// Whether there is more room than what is kept back.
fn room(places: &Places) -> Result<()> {
    let stat = rustix::fs::statvfs(places.root());
    let stat = stat.map_err(|error| StorageError::file("look at", places.root(), error.into()))?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < RESERVE { Err(StorageError::DiskFull) } else { Ok(()) }
}

pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(|error| StorageError::file("sync", path, error))
}
