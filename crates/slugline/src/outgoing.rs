//! Bodies of requests that are sent as they are read.

use std::io::{self, Read};

use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};

use crate::client::Outgoing;

/// Chunks that are read ahead, and how large each is (bytes).
const AHEAD: usize = 8;
const CHUNK: usize = 1 << 16;

/// What is read as a request's body. Where it cannot be read on, the request breaks off.
pub(crate) fn stream(mut reader: impl Read + Send + 'static) -> Outgoing {
    let (sender, receiver) = tokio::sync::mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = Vec::with_capacity(CHUNK);
            let read = (&mut reader).take(CHUNK as u64).read_to_end(&mut chunk);
            let last = read.as_ref().map_or(true, |read| *read == 0);
            if last && read.is_ok() {
                return;
            }
            let sent = sender.blocking_send(read.map(|_| Frame::data(Bytes::from(chunk))));
            if sent.is_err() || last {
                return;
            }
        }
    });
    let next = |mut receiver: tokio::sync::mpsc::Receiver<io::Result<Frame<Bytes>>>| async move {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    };
    let chunks = futures_util::stream::unfold(receiver, next);
    BodyExt::boxed(StreamBody::new(SyncStream(std::sync::Mutex::new(Box::pin(chunks)))))
}

/// Lets a stream that one task polls count as one that any could.
struct SyncStream<S>(std::sync::Mutex<std::pin::Pin<Box<S>>>);

impl<S: futures_util::Stream> futures_util::Stream for SyncStream<S> {
    type Item = S::Item;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        let inner = self.get_mut().0.get_mut();
        inner.unwrap_or_else(std::sync::PoisonError::into_inner).as_mut().poll_next(context)
    }
}
