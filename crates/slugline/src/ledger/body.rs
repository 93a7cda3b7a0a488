//! An answer's body, read by something that blocks.

use std::io::{self, Read};

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use tokio::sync::mpsc;

/// Chunks on their way at once.
const AHEAD: usize = 16;

/// A reader of an answer's body. One that breaks off is an error, never an end.
pub(crate) fn reader(answer: http::Response<Incoming>) -> impl Read + Send + 'static {
    let (send, chunks) = mpsc::channel(AHEAD);
    tokio::spawn(async move {
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            let chunk = match frame.map(hyper::body::Frame::into_data) {
                Ok(Ok(chunk)) if chunk.is_empty() => continue,
                Ok(Ok(chunk)) => Ok(chunk),
                Ok(Err(_)) => continue,
                Err(error) => Err(io::Error::other(error)),
            };
            let failed = chunk.is_err();
            if send.send(chunk).await.is_err() || failed {
                return;
            }
        }
        let _ = send.send(Ok(Bytes::new())).await;
    });
    Body { chunks, chunk: Bytes::new(), ended: false }
}

struct Body {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    chunk: Bytes,
    /// An empty chunk says so.
    ended: bool,
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.chunk.is_empty() && !self.ended {
            let broken = || Err(io::ErrorKind::UnexpectedEof.into());
            self.chunk = self.chunks.blocking_recv().unwrap_or_else(broken)?;
            self.ended = self.chunk.is_empty();
        }
        let read = buffer.len().min(self.chunk.len());
        buffer[..read].copy_from_slice(&self.chunk.split_to(read));
        Ok(read)
    }
}
