//! One request to git: its body goes in and its answer comes out as they come, whatever their size.

use std::io;
use std::process::Stdio;

use axum::body::Body;
use bytes::Bytes;
use flate2::write::GzDecoder;
use futures_util::StreamExt as _;
use std::io::Write as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

/// How clients name it.
pub(crate) const GZIP: &str = "gzip";

/// Read at once from git (bytes).
const BUFFER: usize = 64 * 1024;

/// Buffers between git and the client.
const AHEAD: usize = 8;

/// Packed bytes that are unpacked at a time: they may become a thousand times as many.
const STEP: usize = 1024;

/// The last of what git complains of (bytes).
const COMPLAINT: u64 = 8 * 1024;

/// Runs git on a request's body; gives its answer as a body, and does something once git has ended.
/// The request may be packed. What `goes_on` does not end with its client, once its request was whole.
pub(crate) fn exchange<F>(
    mut git: Command,
    body: Body,
    (is_packed, goes_on): (bool, bool),
    ended: impl FnOnce() -> F + Send + 'static,
) -> io::Result<Body>
where
    F: Future<Output = ()> + Send,
{
    git.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = git.spawn()?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("git has no pipes"));
    };
    let (send, answer) = mpsc::channel(AHEAD);
    let feeding = tokio::spawn(feed(stdin, body, is_packed));
    tokio::spawn(async move {
        pass_on(stdout, send, goes_on).await;
        feeding.abort();
        settle(child).await;
        ended().await;
    });
    let next = |mut answer: mpsc::Receiver<Bytes>| async move {
        answer.recv().await.map(|bytes| (Ok::<_, io::Error>(bytes), answer))
    };
    Ok(Body::from_stream(futures_util::stream::unfold(answer, next)))
}

/// Gives git the request. One that breaks off is an input that ends too early, which git refuses.
async fn feed(mut stdin: ChildStdin, body: Body, is_packed: bool) {
    let mut unpack = GzDecoder::new(Vec::new());
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let Ok(chunk) = chunk else { return };
        if !is_packed {
            if stdin.write_all(&chunk).await.is_err() {
                return;
            }
            continue;
        }
        for part in chunk.chunks(STEP) {
            if unpack.write_all(part).is_err() || unpack.flush().is_err() {
                return;
            }
            let plain = std::mem::take(unpack.get_mut());
            if stdin.write_all(&plain).await.is_err() {
                return;
            }
        }
    }
}

/// Gives the client what git answers. Where there is no client any more, a push is read on, so that
/// it goes on; what is only fetched ends.
async fn pass_on(mut stdout: ChildStdout, send: mpsc::Sender<Bytes>, goes_on: bool) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(length @ 1..) = stdout.read(&mut buffer).await {
        let passed = send.send(Bytes::copy_from_slice(&buffer[..length])).await;
        if passed.is_err() && !goes_on {
            return;
        }
    }
}

async fn settle(mut child: Child) {
    let mut complaint = String::new();
    if let Some(stderr) = child.stderr.take() {
        let _ = stderr.take(COMPLAINT).read_to_string(&mut complaint).await;
    }
    match child.wait().await {
        Ok(status) if status.success() => {}
        ended => tracing::debug!(?ended, complaint, "git did not do what it was asked for"),
    }
}
