//! Between requests, which wait without a thread, and the store, which blocks one.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// Chunks on their way at once.
const AHEAD: usize = 8;

/// What goes out at once (bytes).
const CHUNK: usize = 1 << 16;

/// How long the other side may take for a chunk before it is given up on: it keeps the store from
/// removing slugs.
const PATIENCE: Duration = Duration::from_mins(5);

type Chunk = io::Result<Bytes>;

/// A request's body as the store reads it; an empty chunk is its end.
pub(crate) fn reader() -> (mpsc::Sender<Chunk>, impl Read + Send + 'static) {
    let (sender, receiver) = mpsc::channel(AHEAD);
    (sender, Reader { receiver, chunk: Bytes::new(), ended: false })
}

/// How much of a body is thrown away that nobody reads on (bytes). A client that is still sending
/// would not hear why.
const THROWN_AWAY: usize = 1 << 30;

/// Passes a body on until its end.
pub(crate) async fn forward(body: Body, sender: mpsc::Sender<Chunk>) {
    let mut chunks = body.into_data_stream();
    let mut unread = 0;
    while unread < THROWN_AWAY {
        let chunk = match tokio::time::timeout(PATIENCE, chunks.next()).await {
            Ok(Some(Ok(chunk))) if chunk.is_empty() => continue,
            Ok(Some(chunk)) => chunk.map_err(io::Error::other),
            Ok(None) => Ok(Bytes::new()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let size = chunk.as_ref().map_or(0, Bytes::len);
        if sender.send(chunk).await.is_err() {
            unread += size;
        }
        if size == 0 {
            return;
        }
    }
}

struct Reader {
    receiver: mpsc::Receiver<Chunk>,
    chunk: Bytes,
    ended: bool,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() && !self.ended {
            // A sender that went away without an end: the client did.
            let gone = || Err(io::ErrorKind::UnexpectedEof.into());
            self.chunk = self.receiver.blocking_recv().unwrap_or_else(gone)?;
            self.ended = self.chunk.is_empty();
        }
        let read = buffer.len().min(self.chunk.len());
        buffer[..read].copy_from_slice(&self.chunk.split_to(read));
        Ok(read)
    }
}

/// A body that is written by something that blocks. Where that fails, the body breaks off, so that
/// no client takes it for whole.
pub(crate) fn body<E: Display>(
    write: impl FnOnce(&mut dyn Write) -> Result<(), E> + Send + 'static,
) -> Body {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        let mut writer = Writer { sender, runtime, pending: Vec::with_capacity(CHUNK) };
        let written = write(&mut writer).map_err(|error| error.to_string());
        let flushed = written.and_then(|()| writer.flush().map_err(|error| error.to_string()));
        if let Err(error) = flushed {
            tracing::warn!(error, "an answer broke off");
            let _ = writer.send(Err(io::Error::other(error)));
        }
    });
    let next = |mut receiver: mpsc::Receiver<Chunk>| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    };
    Body::from_stream(futures_util::stream::unfold(receiver, next))
}

struct Writer {
    sender: mpsc::Sender<Chunk>,
    runtime: Handle,
    pending: Vec<u8>,
}

impl Writer {
    fn send(&self, chunk: Chunk) -> io::Result<()> {
        let sent = tokio::time::timeout(PATIENCE, self.sender.send(chunk));
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK);
        self.pending.extend_from_slice(&bytes[..taken]);
        if self.pending.len() >= CHUNK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.pending, Vec::with_capacity(CHUNK));
        self.send(Ok(chunk.into()))
    }
}

/// What is told of something that goes on, one JSON object a line.
pub(crate) struct Lines<'a> {
    out: &'a mut dyn Write,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(out: &'a mut dyn Write) -> Self {
        Self { out }
    }

    pub(crate) fn line(&mut self, line: &str) {
        self.object(&json!({ "line": line }));
    }

    /// Whoever no longer listens does not stop what goes on.
    pub(crate) fn object(&mut self, object: &Value) {
        let _ = writeln!(self.out, "{object}").and_then(|()| self.out.flush());
    }
}
